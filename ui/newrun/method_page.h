#pragma once
// Picks the method: a list with what each does and where it comes from, rank on a logarithmic slider, alpha, the scale on
// B·A that follows, the sites, and the method's own options. GUI thread.

#include <QWidget>

#include "ui/newrun/answers.h"

class QLabel;
class QListWidget;
class QToolButton;

namespace rankscope::ui {

class OptionField;
class OptionForm;
class RankSlider;
class RunDraft;
class SitesPanel;

class MethodPage : public QWidget {
  Q_OBJECT

 public:
  explicit MethodPage(RunDraft* draft, QWidget* parent = nullptr);
  void setMethods(const nlohmann::json& answer);  // of the helper's `methods`: adds the paper of each
  SitesPanel* sites() const { return m_sites; }
  RankSlider* rank() const { return m_rank; }
  QListWidget* list() const { return m_list; }
  OptionForm* form() const { return m_form; }
  void setFullRank(qint64 rank);

 Q_SIGNALS:
  void focused(OptionField* field);

 private:
  void refresh();

  RunDraft* m_draft;
  QListWidget* m_list;
  QWidget* m_rankRow;
  RankSlider* m_rank;
  QLabel* m_rankError;
  QToolButton* m_rankRevert;
  QToolButton* m_methodRevert;
  QLabel* m_scale;
  OptionForm* m_alpha;
  OptionForm* m_form;
  SitesPanel* m_sites;
  QString m_rejected;
};

}  // namespace rankscope::ui
