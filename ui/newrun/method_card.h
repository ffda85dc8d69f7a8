#pragma once
// One method explained: its drawing at the present rank, formula, what it does, when to choose it, what it costs under
// this run (as estimated for the consequences), what becomes of it, and where it was published. GUI thread.

#include <QWidget>
#include <optional>

#include "ui/newrun/answers.h"

class QHBoxLayout;
class QLabel;

namespace rankscope::ui {

class MethodDrawing;

class MethodCard : public QWidget {
  Q_OBJECT

 public:
  explicit MethodCard(QWidget* parent = nullptr);
  void setMethod(const QString& method, qint64 rank);  // rank 0: it has none
  void setEstimate(const std::optional<RunEstimate>& estimate);
  void addToHeading(QWidget* widget);

 private:
  void showCost();

  QHBoxLayout* m_heading;
  QLabel* m_title;
  QLabel* m_group;
  MethodDrawing* m_drawing;
  QLabel* m_formula;
  QLabel* m_does;
  QLabel *m_choose, *m_avoid, *m_trains, *m_memory, *m_merge, *m_files, *m_citation, *m_citationCaption;
  QString m_method;
  std::optional<RunEstimate> m_estimate;
};

}  // namespace rankscope::ui
