#pragma once
// What the program remembers between starts: window layout, columns, filters, zooms, theme, drafts. One JSON file,
// <home>/workbench.json, read once before the first window and written on a background thread a moment after a change
// (and at exit), so that no call here touches the disk. GUI thread only.

#include <QJsonObject>
#include <QJsonValue>
#include <QObject>
#include <QTimer>

#include <filesystem>

namespace rankscope::ui {

class Settings : public QObject {
  Q_OBJECT
 public:
  // Reads the file if it is there; a damaged file is set aside as workbench.json.bad and defaults are used.
  explicit Settings(std::filesystem::path file, QObject* parent = nullptr);
  ~Settings() override;

  // Keys are dotted, "runs.columns"; values are whole JSON values.
  QJsonValue value(const QString& key, const QJsonValue& fallback = {}) const;
  QString string(const QString& key, const QString& fallback = {}) const;
  int integer(const QString& key, int fallback = 0) const;
  bool flag(const QString& key, bool fallback = false) const;
  void setValue(const QString& key, const QJsonValue& value);
  void remove(const QString& key);

  // Waits until everything is on disk; for exit and tests.
  void flush();
  QString problem() const { return m_problem; }  // why the last write failed, or empty

 Q_SIGNALS:
  void changed(const QString& key);
  void writeFailed(const QString& problem);

 private:
  void writeLater();
  void writeNow();

  std::filesystem::path m_file;
  QJsonObject m_values;
  QTimer m_timer;
  bool m_dirty = false;
  QString m_problem;
};

}  // namespace rankscope::ui
