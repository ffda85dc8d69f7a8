#include "ui/shell/settings.h"

#include "core/config/result.h"
#include "core/config/files.h"

#include <QCoreApplication>
#include <QFile>
#include <QJsonDocument>
#include <QPointer>
#include <QThreadPool>

namespace rankscope::ui {

namespace {

constexpr qint64 kLimit = 16 << 20;
constexpr int kWriteDelayMs = 800;

// One write at a time and in order: a pool of one thread, shared by the (one) Settings of a process.
QThreadPool& writer() {
  static QThreadPool pool;
  pool.setMaxThreadCount(1);
  return pool;
}

}  // namespace

Settings::Settings(std::filesystem::path file, QObject* parent) : QObject(parent), m_file(std::move(file)) {
  QFile in(QString::fromStdString(m_file.string()));
  if (in.size() <= kLimit && in.open(QIODevice::ReadOnly)) {
    QJsonParseError problem;
    const QJsonDocument document = QJsonDocument::fromJson(in.readAll(), &problem);
    if (document.isObject()) {
      m_values = document.object();
    } else {
      in.close();
      std::error_code ignored;
      std::filesystem::rename(m_file, m_file.string() + ".bad", ignored);
    }
  }
  m_timer.setSingleShot(true);
  m_timer.setInterval(kWriteDelayMs);
  connect(&m_timer, &QTimer::timeout, this, &Settings::writeNow);
}

Settings::~Settings() { flush(); }

QJsonValue Settings::value(const QString& key, const QJsonValue& fallback) const {
  const auto it = m_values.constFind(key);
  return it == m_values.constEnd() ? fallback : *it;
}

QString Settings::string(const QString& key, const QString& fallback) const { return value(key).toString(fallback); }
int Settings::integer(const QString& key, int fallback) const { return value(key).toInt(fallback); }
bool Settings::flag(const QString& key, bool fallback) const { return value(key).toBool(fallback); }

void Settings::setValue(const QString& key, const QJsonValue& value) {
  const auto it = m_values.constFind(key);
  if (it != m_values.constEnd() && *it == value) return;
  m_values.insert(key, value);
  writeLater();
  Q_EMIT changed(key);
}

void Settings::remove(const QString& key) {
  if (!m_values.contains(key)) return;
  m_values.remove(key);
  writeLater();
  Q_EMIT changed(key);
}

void Settings::writeLater() {
  m_dirty = true;
  if (!m_timer.isActive()) m_timer.start();
}

void Settings::writeNow() {
  if (!m_dirty) return;
  m_dirty = false;
  m_timer.stop();
  const QPointer<Settings> self(this);
  writer().start([self, file = m_file, values = m_values] {
    const QByteArray bytes = QJsonDocument(values).toJson(QJsonDocument::Indented);
    const Result<void> done = writeFileAtomically(file, std::string_view(bytes.constData(), static_cast<size_t>(bytes.size())));
    const QString problem = done.ok() ? QString() : QString::fromStdString(done.error().message());
    QMetaObject::invokeMethod(qApp, [self, problem] {
      if (!self || self->m_problem == problem) return;
      self->m_problem = problem;
      if (!problem.isEmpty()) Q_EMIT self->writeFailed(problem);
    });
  });
}

void Settings::flush() {
  writeNow();
  writer().waitForDone();
}

}  // namespace rankscope::ui
