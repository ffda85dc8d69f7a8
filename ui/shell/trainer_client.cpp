#include "ui/shell/trainer_client.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QStandardPaths>

#include "core/config/run_config.h"

namespace rankscope::ui {

namespace {

constexpr qsizetype kLongestLine = 64 << 20;
constexpr int kMaxAttempts = 2;
constexpr int kQuickDeathLimit = 3;

std::string field(const nlohmann::json& object, const char* name) {
  const auto it = object.find(name);
  if (it == object.end() || it->is_null()) return {};
  return it->is_string() ? it->get<std::string>() : it->dump();
}

Error errorFrom(const nlohmann::json& body) {
  Error error;
  if (!body.is_object()) {
    error.what = "the helper answered with an error it could not explain";
    error.hint = "Try again; if it stays, look into the log of the helper.";
    return error;
  }
  const std::string code = field(body, "code");
  for (const ErrorCode known : {ErrorCode::Usage, ErrorCode::BadInput, ErrorCode::Training, ErrorCode::Interrupted,
                                ErrorCode::Store, ErrorCode::Io, ErrorCode::Internal})
    if (code == errorCodeName(known)) error.code = known;
  error.what = field(body, "what");
  error.where = field(body, "where");
  error.found = field(body, "found");
  error.expected = field(body, "expected");
  error.hint = field(body, "hint");
  return error;
}

}  // namespace

TrainerClient::TrainerClient(QString program, std::filesystem::path home, QObject* parent)
    : QObject(parent), m_program(std::move(program)), m_home(std::move(home)) {
  m_restart.setSingleShot(true);
  connect(&m_restart, &QTimer::timeout, this, [this] {
    if (!m_pending.isEmpty()) ensureStarted();
  });
}

TrainerClient::~TrainerClient() {
  if (!m_helper) return;
  m_helper->disconnect(this);
  m_helper->closeWriteChannel();  // its sign to leave
  if (!m_helper->waitForFinished(300)) m_helper->kill();
  m_helper->waitForFinished(300);
}

quint64 TrainerClient::request(QObject* receiver, const QString& method, Json params, Callback done,
                               const QString& slot, Progress progress) {
  if (!slot.isEmpty()) {
    QList<quint64> older;
    for (auto it = m_pending.cbegin(); it != m_pending.cend(); ++it)
      if (it.value()->slot == slot && it.value()->receiver == receiver) older.push_back(it.key());
    for (const quint64 id : older) cancel(id);
  }
  const bool wasIdle = m_pending.isEmpty();
  const quint64 id = m_nextId++;
  auto pending = std::make_shared<Pending>();
  pending->receiver = receiver;
  pending->hadReceiver = receiver != nullptr;
  pending->method = method;
  pending->slot = slot;
  pending->params = std::move(params);
  pending->done = std::move(done);
  pending->progress = std::move(progress);
  m_pending.insert(id, pending);
  if (wasIdle) Q_EMIT busyChanged(true);
  if (m_helper && m_helper->state() == QProcess::Running)
    send(id, *pending);
  else if (!m_restart.isActive())
    ensureStarted();
  return id;
}

void TrainerClient::cancel(quint64 id) {
  if (!m_pending.remove(id)) return;
  if (m_helper && m_helper->state() == QProcess::Running) {
    const Json message = {{"id", m_nextId++}, {"method", "cancel"}, {"params", {{"id", id}}}};
    m_helper->write(QByteArray::fromStdString(message.dump() + "\n"));
  }
  if (m_pending.isEmpty()) Q_EMIT busyChanged(false);
}

void TrainerClient::ensureStarted() {
  if (m_helper) return;
  m_buffer.clear();
  m_errorTail.clear();
  m_helper = std::make_unique<QProcess>();
  m_helper->setProgram(m_program);
  m_helper->setArguments({QStringLiteral("serve"), QStringLiteral("--home"), QString::fromStdString(m_home.string())});
  connect(m_helper.get(), &QProcess::started, this, [this] {
    for (auto it = m_pending.begin(); it != m_pending.end(); ++it) send(it.key(), *it.value());
  });
  connect(m_helper.get(), &QProcess::readyReadStandardOutput, this, &TrainerClient::readLines);
  connect(m_helper.get(), &QProcess::readyReadStandardError, this, [this] {
    m_errorTail = (m_errorTail + m_helper->readAllStandardError()).right(2000);
  });
  connect(m_helper.get(), &QProcess::finished, this, [this](int code, QProcess::ExitStatus status) {
    helperEnded(status == QProcess::CrashExit ? tr("it crashed") : tr("it ended with code %1").arg(code));
  });
  connect(m_helper.get(), &QProcess::errorOccurred, this, [this](QProcess::ProcessError problem) {
    if (problem == QProcess::FailedToStart) helperEnded(tr("it could not be started: %1").arg(m_helper->errorString()));
  });
  m_helper->start();
}

void TrainerClient::send(quint64 id, Pending& pending) {
  ++pending.attempts;
  Json message = {{"id", id}, {"method", pending.method.toStdString()}, {"params", pending.params}};
  if (!pending.slot.isEmpty()) message["slot"] = pending.slot.toStdString();
  m_helper->write(QByteArray::fromStdString(message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"));
}

void TrainerClient::readLines() {
  m_buffer += m_helper->readAllStandardOutput();
  qsizetype begin = 0;
  for (;;) {
    const qsizetype end = m_buffer.indexOf('\n', begin);
    if (end < 0) break;
    handleLine(m_buffer.mid(begin, end - begin));
    begin = end + 1;
  }
  m_buffer.remove(0, begin);
  if (m_buffer.size() > kLongestLine && m_helper) m_helper->kill();
}

void TrainerClient::handleLine(const QByteArray& line) {
  const Json message = Json::parse(line.constData(), line.constData() + line.size(), nullptr, false);
  if (!message.is_object() || !message.contains("id") || !message["id"].is_number_unsigned()) return;
  m_quickDeaths = 0;
  const auto id = message["id"].get<quint64>();
  const auto it = m_pending.constFind(id);
  if (it == m_pending.constEnd()) return;  // cancelled meanwhile
  if (const auto progress = message.find("progress"); progress != message.end()) {
    const std::shared_ptr<Pending> pending = *it;
    if (pending->progress && (pending->receiver || !pending->hadReceiver)) pending->progress(*progress);
  } else if (const auto problem = message.find("error"); problem != message.end()) {
    finish(id, errorFrom(*problem));
  } else if (const auto result = message.find("result"); result != message.end()) {
    finish(id, Result<Json>(*result));
  }
}

void TrainerClient::finish(quint64 id, Result<Json> result) {
  const std::shared_ptr<Pending> pending = m_pending.take(id);
  if (!pending) return;
  if (m_pending.isEmpty()) Q_EMIT busyChanged(false);
  if (pending->done && (pending->receiver || !pending->hadReceiver)) pending->done(std::move(result));
}

void TrainerClient::helperEnded(const QString& reason) {
  if (!m_helper) return;
  m_helper->disconnect(this);
  m_helper.release()->deleteLater();
  ++m_quickDeaths;
  QString said = QString::fromUtf8(m_errorTail).trimmed();
  if (const qsizetype cut = said.lastIndexOf(QLatin1Char('\n')); cut >= 0) said = said.mid(cut + 1);
  Q_EMIT helperDied(reason);

  const bool giveUp = m_quickDeaths >= kQuickDeathLimit;
  QList<quint64> lost;
  for (auto it = m_pending.cbegin(); it != m_pending.cend(); ++it)
    if (giveUp || it.value()->attempts >= kMaxAttempts) lost.push_back(it.key());
  for (const quint64 id : lost) {
    finish(id, Error{ErrorCode::Internal, tr("the helper program stopped: %1").arg(reason).toStdString(),
                     m_program.toStdString(), said.toStdString(), "",
                     tr("Check that rankscope-train starts on the command line, then try again.").toStdString()});
  }
  if (!m_pending.isEmpty()) m_restart.start(200);
}

Result<qint64> TrainerClient::startDetached(const QStringList& arguments, const QString& logName) {
  const QString home = QString::fromStdString(m_home.string());
  QDir(home).mkpath(QStringLiteral("logs"));
  QProcess process;
  process.setProgram(m_program);
  QStringList all = arguments;
  all << QStringLiteral("--home") << home;
  process.setArguments(all);
  process.setWorkingDirectory(home);
  process.setStandardInputFile(QProcess::nullDevice());
  const QString log = QStringLiteral("%1/logs/%2.log").arg(home, logName);
  process.setStandardOutputFile(log, QIODevice::Append);
  process.setStandardErrorFile(log, QIODevice::Append);
  qint64 pid = 0;
  if (!process.startDetached(&pid))
    return Error{ErrorCode::Io, tr("the training program could not be started").toStdString(), m_program.toStdString(),
                 process.errorString().toStdString(), tr("a program that can be run").toStdString(),
                 tr("Install rankscope-train beside this program or set RANKSCOPE_TRAIN to its path.").toStdString()};
  return pid;
}

Result<qint64> TrainerClient::startQueueRunner() {
  return startDetached({QStringLiteral("queue"), QStringLiteral("run")}, QStringLiteral("queue"));
}

Result<qint64> TrainerClient::startAsideRunner() {
  return startDetached({QStringLiteral("queue"), QStringLiteral("run"), QStringLiteral("--slot"), QLatin1String(kAsideSlot),
                        QStringLiteral("--group"), QLatin1String(kAsideGroup)},
                       QStringLiteral("queue-aside"));
}

QString TrainerClient::findProgram() {
  const QString named = qEnvironmentVariable("RANKSCOPE_TRAIN");
  if (!named.isEmpty()) return named;
  const QString beside = QCoreApplication::applicationDirPath() + QStringLiteral("/rankscope-train");
  if (QFileInfo(beside).isExecutable()) return beside;
  const QString found = QStandardPaths::findExecutable(QStringLiteral("rankscope-train"));
  return found.isEmpty() ? beside : found;
}

QString TrainerClient::shellCommand(const QStringList& words) {
  QStringList quoted;
  for (const QString& word : words) quoted << QString::fromStdString(shellQuote(word.toStdString()));
  return quoted.join(QLatin1Char(' '));
}

}  // namespace rankscope::ui
