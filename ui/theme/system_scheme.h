#pragma once
// Asks the desktop whether it prefers dark (the settings portal of freedesktop.org, over D-Bus) and follows changes. Qt
// before 6.5 does not do this. Without a session bus nothing happens and Qt's own palette decides. GUI thread.

#include <QDBusVariant>  // whole: a slot whose argument's type is only declared is not found by D-Bus
#include <QObject>

namespace rankscope::ui {

class SystemScheme : public QObject {
  Q_OBJECT
 public:
  using QObject::QObject;
  void start();  // after the first window is shown: connecting to the bus may take a moment

 private Q_SLOTS:
  void settingChanged(const QString& group, const QString& key, const QDBusVariant& value);

 private:
  void take(const QVariant& value);
};

}  // namespace rankscope::ui
