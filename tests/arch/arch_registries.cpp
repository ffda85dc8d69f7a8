// The option table is read by programs that never see the engine, so the engine's lists are held against it here: what
// can be chosen exists, and what exists can be chosen.
#include <algorithm>
#include <set>
#include <string>

#include "core/config/option_spec.h"
#include "core/config/run_config.h"
#include "core/config/method_parts.h"
#include "core/eval/registry.h"
#include "core/methods/inserted.h"
#include "core/methods/low_rank_parts.h"
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
      QCOMPARE(applies(*findOption("method.rank"), config), hasRank(entry.name));
      QCOMPARE(findInsertedKind(entry.name) != nullptr, entry.kind() == MethodKind::Inserted);
    }
  }

  // Parts of low-rank methods: what can be chosen is built, and every preset's parts are there.
  void methodParts() {
    const auto builtParts = [](const auto& entries) {
      std::set<std::string> names = namesOf(entries);
      names.insert("auto");
      return joined(names);
    };
    QCOMPARE(joined(choicesOf("method.form")), builtParts(siteForms()));
    QCOMPARE(joined(choicesOf("method.init")), builtParts(lowRankStarts()));
    QCOMPARE(joined(choicesOf("method.rule")), builtParts(trainingRules()));
    for (const MethodEntry& entry : methodEntries()) {
      const MethodParts* preset = presetParts(entry.name);
      QCOMPARE(preset != nullptr, entry.lowRank());
      if (!preset) continue;
      QVERIFY2(!partsProblem(*preset), entry.name.c_str());
      MethodSettings settings;
      settings.name = entry.name;
      QVERIFY2(makeParts(settings).ok(), entry.name.c_str());
    }
  }

  // An option of a rule applies wherever the rule is, by the method's name or by choice.
  void optionsFollowTheParts() {
    RunConfig config;
    QVERIFY(config.assign({"method.name=reflora"}).empty());
    QVERIFY(applies(*findOption("method.warmup_steps"), config));
    QVERIFY(config.assign({"method.rule=plain"}).empty());
    QVERIFY(!applies(*findOption("method.warmup_steps"), config));
    QVERIFY(config.assign({"method.name=dora", "method.rule=reflora"}).empty());
    QVERIFY(applies(*findOption("method.warmup_steps"), config));
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
