#pragma once
// Fields of the option table in a column: those of some groups or keys, only what applies, advanced ones folded away;
// or, as a list of results, whatever matches a search or differs from the preset. GUI thread.

#include <QStringList>
#include <QWidget>
#include <functional>
#include <vector>

class QLabel;
class QToolButton;
class QVBoxLayout;

namespace rankscope::ui {

class OptionField;
class RunDraft;

class OptionForm : public QWidget {
  Q_OBJECT

 public:
  explicit OptionForm(RunDraft* draft, QWidget* parent = nullptr);

  // All options of these groups but `except`, in the table's order; with several groups each gets a heading.
  void showGroups(const QStringList& groups, const QStringList& except = {});
  void showKeys(const QStringList& keys);
  // Every option under its group's heading; what is seen is decided by the two below.
  void showAll();
  void setSearch(const QString& text);
  void setOnlyChanged(bool on);
  void setEmptyText(const QString& text);

  OptionField* field(const QString& key) const;
  int visibleFields() const;

 Q_SIGNALS:
  void focused(OptionField* field);

 public Q_SLOTS:
  void refresh();

 private:
  struct Section {
    QWidget* heading = nullptr;
    std::vector<OptionField*> fields, advanced;
    QToolButton* more = nullptr;
    bool open = false;
  };
  void clear();
  void addSection(const QString& title, const QStringList& keys, bool fold);
  bool wanted(const OptionField* field) const;

  RunDraft* m_draft;
  QVBoxLayout* m_column;
  QLabel* m_empty;
  std::vector<Section> m_sections;
  QStringList m_words;
  bool m_searching = false, m_onlyChanged = false;
};

}  // namespace rankscope::ui
