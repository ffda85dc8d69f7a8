#pragma once
// Picks the method: the list of all, a card that draws and explains the chosen one, the settings it was published with,
// rank on a logarithmic slider, alpha, the scale on B·A that follows, the sites, and the method's own options. GUI thread.

#include <QWidget>

#include "ui/newrun/answers.h"

class QBoxLayout;
class QLabel;
class QToolButton;

namespace rankscope::ui {

class MethodCard;
class MethodPicker;
class OptionField;
class OptionForm;
class PublishedPanel;
class RankSlider;
class RunDraft;
class SitesPanel;

class MethodPage : public QWidget {
  Q_OBJECT

 public:
  explicit MethodPage(RunDraft* draft, QWidget* parent = nullptr);
  // As the consequences show it; empty while there is none.
  void setEstimate(const std::optional<RunEstimate>& estimate);
  SitesPanel* sites() const { return m_sites; }
  RankSlider* rank() const { return m_rank; }
  MethodPicker* picker() const { return m_picker; }
  OptionForm* form() const { return m_form; }
  void setFullRank(qint64 rank);

 Q_SIGNALS:
  void focused(OptionField* field);

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  void refresh();

  RunDraft* m_draft;
  QBoxLayout* m_column;  // the page from top to bottom
  QBoxLayout* m_choice;  // list and card, where there is room for both
  MethodPicker* m_picker;
  MethodCard* m_card;
  PublishedPanel* m_published;
  QWidget* m_rankRow;
  RankSlider* m_rank;
  QLabel* m_rankError;
  QToolButton* m_rankRevert;
  QToolButton* m_methodRevert;
  QLabel* m_scale;
  OptionForm* m_alpha;
  OptionForm* m_form;
  OptionForm* m_layers;
  SitesPanel* m_sites;
  QString m_rejected;
};

}  // namespace rankscope::ui
