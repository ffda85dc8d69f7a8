#pragma once
// Chooses a run: a combo box over the store, running ones first, then the newest, each with its state's icon. A run that
// the store does not know yet can be chosen too (it was started a moment ago). GUI thread.

#include <QComboBox>

namespace rankscope::ui {

class StoreService;

class RunChooser : public QComboBox {
  Q_OBJECT

 public:
  enum Roles { IdRole = Qt::UserRole, StatusRole };

  explicit RunChooser(StoreService* store, QWidget* parent = nullptr);
  void reload();
  void choose(const QString& id);
  const QString& runId() const { return m_id; }
  QString runName() const;
  bool isEmpty() const { return m_loaded && count() == 0; }
  bool loaded() const { return m_loaded; }

 Q_SIGNALS:
  void chosen(const QString& id);  // by the user
  void reloaded();

 private:
  StoreService* m_store;
  QString m_id;
  bool m_loaded = false;
};

}  // namespace rankscope::ui
