#pragma once
// The parts of a run as a list down the left side: each with its present choice in a second line, a dot when something in
// it differs from the preset, and a red count of mistakes. Choosing one shows its page. GUI thread.

#include <QListWidget>

namespace rankscope::ui {

class StepRail : public QListWidget {
  Q_OBJECT

 public:
  enum Roles { IdRole = Qt::UserRole + 1, ChoiceRole, MistakesRole, ChangesRole };

  explicit StepRail(QWidget* parent = nullptr);
  void addStep(const QString& id, const QString& title, const QString& iconName);
  void setStep(const QString& id, const QString& choice, int mistakes, int changes);
  void choose(const QString& id);
  QString current() const;

 Q_SIGNALS:
  void chosen(const QString& id);

 private:
  QListWidgetItem* find(const QString& id) const;
};

}  // namespace rankscope::ui
