// The option table is read by programs that never see the engine, so the engine's lists are held against it here: what
// can be chosen exists, and what exists can be chosen.
#include <algorithm>
#include <set>
#include <string>

#include "core/config/option_spec.h"
#include "core/config/run_config.h"
#include "core/eval/registry.h"
#include "core/methods/registry.h"
#include "core/optim/registry.h"
#include "core/optim/schedule.h"

using namespace rankscope;

namespace {
std::set<std::string> choicesOf(const char* key) {
  std::set<std::string> values;
  for (const OptionChoice& choice : findOption(key)->choices) values.insert(choice.value);
  return values;
}
template <typename Entries>
std::set<std::string> namesOf(const Entries& entries) {
  std::set<std::string> names;
  for (const auto& entry : entries) names.insert(entry.name);
  return names;
}
std::string joined(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += name + ' ';
  return text;
}
}  // namespace

class ArchRegistries : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void methods() {
    QCOMPARE(joined(choicesOf("method.name")), joined(namesOf(methodEntries())));
    for (const MethodEntry& entry : methodEntries()) {
      RunConfig config;
      QVERIFY(config.set("method.name", entry.name).ok());
      QCOMPARE(applies(*findOption("method.rank"), config), entry.lowRank);
    }
  }

  void optimizersAndSchedules() {
    QCOMPARE(joined(choicesOf("optim.name")), joined(namesOf(optimizerEntries())));
    for (const std::string& kind : choicesOf("optim.schedule"))
      QVERIFY2(makeSchedule(kind, 0, 0, 10).ok(), kind.c_str());
  }

  // train.best_metric takes "loss" and every metric of the task, and no other.
  void metrics() {
    std::set<std::string> all = {"loss"};
    for (const MetricEntry& entry : metricEntries()) all.insert(entry.name);
    QCOMPARE(joined(choicesOf("train.best_metric")), joined(all));
    for (const std::string& task : choicesOf("data.task")) {
      std::set<std::string> taken, offered = {"loss"};
      for (const std::string& metric : all) {
        RunConfig config;
        QVERIFY(config
                    .assign({"model.path=m", "data.train=t", "data.task=" + task,
                             "train.best_metric=" + metric})
                    .empty());
        if (validate(config).empty()) taken.insert(metric);
      }
      for (const MetricEntry* entry : metricsOfTask(task)) offered.insert(entry->name);
      QCOMPARE(joined(taken), joined(offered));
    }
  }
};

QTEST_GUILESS_MAIN(ArchRegistries)
#include "arch_registries.moc"
