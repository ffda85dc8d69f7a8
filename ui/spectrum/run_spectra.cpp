#include "ui/spectrum/run_spectra.h"

#include <QTimer>
#include <algorithm>

#include "core/store/store.h"
#include "ui/shell/store_service.h"

namespace rankscope::ui {
namespace {

constexpr int kLookEveryMs = 3000;

}  // namespace

RunSpectra::RunSpectra(StoreService* store, QObject* parent) : QObject(parent), m_store(store), m_timer(new QTimer(this)) {
  m_timer->setInterval(kLookEveryMs);
  connect(m_timer, &QTimer::timeout, this, &RunSpectra::refresh);
}

void RunSpectra::setRun(const QString& id) {
  if (id == m_run) return;
  m_run = id;
  m_read.clear();
  m_all.clear();
  Q_EMIT changed();
  refresh();
}

void RunSpectra::watch(bool on) { on ? m_timer->start() : m_timer->stop(); }

void RunSpectra::refresh() {
  if (m_run.isEmpty()) return;
  struct Look {
    std::set<Key> there;
    std::vector<One> fresh;
    std::string problem;
  };
  m_store->read(
      this, objectName().toLatin1() + "/spectra",
      [folder = m_store->runFolder(m_run), known = m_read](Store&) -> Result<Look> {
        Look look;
        for (const auto& file : listSpectra(folder)) {
          std::error_code gone;
          const Key key{file.string(), std::filesystem::last_write_time(file, gone)};
          if (gone) continue;
          look.there.insert(key);
          if (known.count(key) != 0) continue;
          if (auto read = readSpectrum(file); read.ok()) look.fresh.push_back(std::make_shared<const RunSpectrum>(std::move(*read)));
          else look.problem = read.error().message();
        }
        return look;
      },
      [this, run = m_run](Result<Look> look) {
        if (run != m_run || !look.ok()) return;
        const bool same = look->there == m_read;
        m_read = std::move(look->there);
        if (!look->problem.empty()) Q_EMIT failed(QString::fromStdString(look->problem));
        if (same) return;
        for (const One& fresh : look->fresh) {
          std::erase_if(m_all, [&](const One& old) { return old->step == fresh->step; });
          m_all.push_back(fresh);
        }
        // What was thinned out is gone from the folder.
        std::erase_if(m_all, [this](const One& one) {
          return std::none_of(m_read.begin(), m_read.end(), [&](const Key& key) {
            return std::filesystem::path(key.first) == spectrumFile(m_store->runFolder(m_run), one->step);
          });
        });
        std::sort(m_all.begin(), m_all.end(), [](const One& a, const One& b) { return a->step < b->step; });
        Q_EMIT changed();
      });
}

int RunSpectra::indexNear(qint64 step) const {
  int found = m_all.empty() ? -1 : 0;
  for (size_t i = 0; i < m_all.size() && m_all[i]->step <= step; ++i) found = static_cast<int>(i);
  return found;
}

}  // namespace rankscope::ui
