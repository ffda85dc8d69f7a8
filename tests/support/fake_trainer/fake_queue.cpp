#include <cstdlib>

#include "core/runlog/run_folder.h"
#include "core/store/store.h"
#include "tests/support/fake_trainer/fake_trainer.h"

namespace rankscope::test {

int fakeQueue(const Places& places, const std::string& slot, const std::string& group, int milliseconds) {
  if (group.empty()) return 0;  // runs are started by the tests themselves
  auto store = Store::open(places.store, Store::Mode::ReadWrite);
  if (!store) return 1;
  while (true) {
    const auto job = (*store)->claimNextJob(slot, "fake", group);
    if (!job || !*job) return job.ok() ? 0 : 1;
    const int64_t id = (*job)->id;
    if (std::getenv("FAKE_SPECTRUM_FAILS")) {
      (void)(*store)->finishJob(id, JobState::Failed, Error{ErrorCode::BadInput, "this run has saved no weights yet", "", "", "", "Let the run finish."});
      continue;
    }
    bool cancelled = false;
    const int code = fakeSpectrum(places.runs / (*job)->spec.runId, milliseconds, [&](size_t done, size_t total, const std::string& site) {
      (void)(*store)->reportJob(id, static_cast<double>(done) / static_cast<double>(total), site);
      const auto now = (*store)->job(id);
      cancelled = now.ok() && now->cancelRequested;
      return !cancelled;
    });
    (void)(*store)->finishJob(id, cancelled ? JobState::Cancelled : code == 0 ? JobState::Done : JobState::Failed);
  }
}

}  // namespace rankscope::test
