#pragma once
// All spectra of one run, by rising step: read from its folder on a reader thread and held, so that the time scrubber answers
// while it is dragged. Looks for new ones while the run goes on. GUI thread.

#include <QObject>
#include <QString>
#include <filesystem>
#include <memory>
#include <set>
#include <vector>

#include "core/runlog/spectrum_file.h"

class QTimer;

namespace rankscope::ui {

class StoreService;

class RunSpectra : public QObject {
  Q_OBJECT

 public:
  using One = std::shared_ptr<const RunSpectrum>;

  explicit RunSpectra(StoreService* store, QObject* parent = nullptr);
  void setRun(const QString& id);  // "" for none
  const QString& run() const { return m_run; }
  void refresh();  // looks for files that were not read yet, and for those that were written anew
  void watch(bool on);  // every few seconds

  bool isEmpty() const { return m_all.empty(); }
  const std::vector<One>& all() const { return m_all; }
  int indexNear(qint64 step) const;  // the newest that is not after it, else the first; −1 without any

 Q_SIGNALS:
  void changed();
  void failed(const QString& message);  // a file could not be read; the others are there

 private:
  using Key = std::pair<std::string, std::filesystem::file_time_type>;

  StoreService* m_store;
  QTimer* m_timer;
  QString m_run;
  std::set<Key> m_read;  // files, damaged ones among them, by their time
  std::vector<One> m_all;
};

}  // namespace rankscope::ui
