#pragma once
// Talks to `rankscope-train`: quick questions to one helper process (`rankscope-train serve`, JSON lines, started on
// first need and again if it dies), and long work as detached processes that outlive this program. GUI thread only;
// nothing here waits.

#include "core/config/result.h"

#include <QHash>
#include <QObject>
#include <QPointer>
#include <QProcess>
#include <QString>
#include <QStringList>
#include <QTimer>

#include <filesystem>
#include <functional>

#include <nlohmann/json.hpp>

namespace rankscope::ui {

class TrainerClient : public QObject {
  Q_OBJECT
 public:
  using Json = nlohmann::json;
  using Callback = std::function<void(Result<Json>)>;
  using Progress = std::function<void(const Json&)>;

  // `home` is handed to the helper as --home, so that it works on the same folders.
  TrainerClient(QString program, std::filesystem::path home, QObject* parent = nullptr);
  ~TrainerClient() override;

  // Asks the helper. A request with a slot cancels older ones of that slot, here and in the helper; their callbacks are
  // never called. Callbacks of a dead receiver are never called. When the helper dies, what it was working on is asked
  // once more of a new one; dying again ends it with an Error that says so.
  quint64 request(QObject* receiver, const QString& method, Json params, Callback done, const QString& slot = {},
                  Progress progress = {});
  void cancel(quint64 id);
  bool busy() const { return !m_pending.isEmpty(); }

  // Starts `rankscope-train <arguments>` in a session of its own: it lives on when this program ends. What it prints goes
  // to <home>/logs/<logName>.log. Returns its process id.
  Result<qint64> startDetached(const QStringList& arguments, const QString& logName);
  // Starts the queue's runner; it takes jobs in order and ends when none is left. Starting a second one is harmless: the
  // runner itself makes sure that one slot has one runner.
  Result<qint64> startQueueRunner();
  // The runner of short jobs that are not worth waiting for a training run to end (spectra): a slot and a group of their
  // own, so that they run beside it.
  static constexpr const char* kAsideSlot = "aside";
  static constexpr const char* kAsideGroup = "aside";
  Result<qint64> startAsideRunner();

  const QString& program() const { return m_program; }
  // The trainer that belongs to this program: $RANKSCOPE_TRAIN, else beside the executable, else in PATH.
  static QString findProgram();
  // For showing and copying: words quoted for a POSIX shell.
  static QString shellCommand(const QStringList& words);

 Q_SIGNALS:
  void busyChanged(bool busy);
  void helperDied(const QString& reason);

 private:
  struct Pending {
    QPointer<QObject> receiver;
    bool hadReceiver = false;
    QString method;
    QString slot;
    Json params;
    Callback done;
    Progress progress;
    int attempts = 0;
  };
  void ensureStarted();
  void send(quint64 id, Pending& pending);
  void readLines();
  void handleLine(const QByteArray& line);
  void finish(quint64 id, Result<Json> result);
  void helperEnded(const QString& reason);

  QString m_program;
  std::filesystem::path m_home;
  std::unique_ptr<QProcess> m_helper;
  QByteArray m_buffer;
  QByteArray m_errorTail;
  QHash<quint64, std::shared_ptr<Pending>> m_pending;
  quint64 m_nextId = 1;
  int m_quickDeaths = 0;
  QTimer m_restart;
};

}  // namespace rankscope::ui
