#pragma once
// The one box that finds runs: words, /regex/ and comparisons, checked by the store while typing. A mistake is underlined
// and said below; names of fields, metrics and options are completed. GUI thread.

#include <QLineEdit>
#include <QTimer>
#include <functional>

class QCompleter;
class QLabel;
class QStringListModel;

namespace rankscope::ui {

class StoreService;

class FilterBox : public QWidget {
  Q_OBJECT
 public:
  FilterBox(StoreService& store, QWidget* parent = nullptr);

  QString text() const;                 // what is in the box
  QString filter() const { return m_good; }  // the last text that could be used
  void setText(const QString& text);    // applied at once
  void focusInput();
  QLineEdit* input() const { return m_input; }
  QString problem() const { return m_problem; }

 Q_SIGNALS:
  void filterChanged(const QString& filter);
  void problemChanged(const QString& problem);  // empty: the text can be used
  void leaveDown();                              // Return or Down: on to the table

 protected:
  bool eventFilter(QObject* object, QEvent* event) override;

 private:
  void check();
  void loadNames();
  void complete();
  void insertCompletion(const QString& word);
  void showProblem(const QString& problem, qsizetype offset, qsizetype length);

  StoreService& m_store;
  QLineEdit* m_input;
  QCompleter* m_completer;
  QStringListModel* m_names;
  QTimer m_pause, m_mistake;
  std::function<void()> m_tell;
  QString m_good, m_problem;
};

}  // namespace rankscope::ui
