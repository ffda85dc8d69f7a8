// The desktop's wish for dark, asked of a settings portal on a session bus of the test's own.
#include <QDBusConnection>
#include <QDBusMessage>
#include <QDBusVariant>
#include <QProcess>
#include <QStandardPaths>
#include <QtTest>

#include "ui/theme/system_scheme.h"
#include "ui/theme/theme.h"

using namespace rankscope::ui;

// What the freedesktop.org portal answers: the value inside a second variant.
class Portal : public QObject {
  Q_OBJECT
  Q_CLASSINFO("D-Bus Interface", "org.freedesktop.portal.Settings")
 public:
  uint scheme = 1;

 public Q_SLOTS:
  Q_SCRIPTABLE QDBusVariant Read(const QString& group, const QString& key) {
    if (group != "org.freedesktop.appearance" || key != "color-scheme") return QDBusVariant(QString());
    return QDBusVariant(QVariant::fromValue(QDBusVariant(scheme)));
  }
};

class SystemSchemeTest : public QObject {
  Q_OBJECT
  QProcess m_bus;

 private Q_SLOTS:
  void initTestCase() {
    const auto program = QStandardPaths::findExecutable("dbus-daemon");
    if (program.isEmpty()) QSKIP("there is no dbus-daemon");
    m_bus.start(program, {"--session", "--nofork", "--print-address"});
    QVERIFY(m_bus.waitForReadyRead(5000));
    qputenv("DBUS_SESSION_BUS_ADDRESS", m_bus.readLine().trimmed());
    Theme::instance().install(*qApp);
  }
  void cleanupTestCase() {
    m_bus.kill();
    m_bus.waitForFinished(2000);
  }

  void followsThePortal() {
    Portal portal;
    QDBusConnection desktop = QDBusConnection::connectToBus(QDBusConnection::SessionBus, "desktop");
    QVERIFY(desktop.registerService("org.freedesktop.portal.Desktop"));
    QVERIFY(desktop.registerObject("/org/freedesktop/portal/desktop", &portal, QDBusConnection::ExportScriptableSlots));
    Theme& theme = Theme::instance();
    theme.setMode(ThemeMode::System);
    theme.setSystemDark(false);
    SystemScheme scheme;
    scheme.start();
    QTRY_VERIFY(theme.dark());

    const auto tell = [&](uint value) {
      QDBusMessage change = QDBusMessage::createSignal("/org/freedesktop/portal/desktop", "org.freedesktop.portal.Settings",
                                                       "SettingChanged");
      change << QString("org.freedesktop.appearance") << QString("color-scheme")
             << QVariant::fromValue(QDBusVariant(value));
      QVERIFY(desktop.send(change));
    };
    tell(2);
    QTRY_VERIFY(!theme.dark());
    tell(1);
    QTRY_VERIFY(theme.dark());
    // A choice of the user's own outweighs the desktop's.
    theme.setMode(ThemeMode::Light);
    QVERIFY(!theme.dark());
    tell(2);
    tell(1);
    QTest::qWait(200);
    QVERIFY(!theme.dark());
    theme.setMode(ThemeMode::System);
    QVERIFY(theme.dark());
  }
};

QTEST_MAIN(SystemSchemeTest)
#include "system_scheme.moc"
