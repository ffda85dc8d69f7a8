#pragma once
// One workbench per home: a second start hands its wish (which view to show) to the first and ends. A local socket named
// after the home; a socket left behind by a crash is taken over. GUI thread.

#include <QLocalServer>
#include <QObject>

#include <filesystem>

namespace rankscope::ui {

class SingleInstance : public QObject {
  Q_OBJECT
 public:
  explicit SingleInstance(const std::filesystem::path& home, QObject* parent = nullptr);
  // True: this is the first one, and it listens from now on. False: the other one has been told `view`.
  bool claim(const QString& view);

 Q_SIGNALS:
  void raiseAsked(const QString& view);

 private:
  QString m_name;
  QLocalServer m_server;
};

}  // namespace rankscope::ui
