// Spectra while a run trains: what is recorded, that training does not notice, and that a later look finds the same.
#include <ATen/Parallel.h>

#include <QtTest/QtTest>

#include "core/train/spectrum_probe.h"
#include "core/train/trained_model.h"
#include "tests/core/train/train_until.h"
#include "tests/methods/family_training.h"

using namespace rankscope;
using rankscope::test::adapterBytes;
using rankscope::test::bytesOf;
using rankscope::test::eventsOf;
using rankscope::test::Home;
using rankscope::test::series;
using rankscope::test::train;
using rankscope::test::trainUntil;

namespace {

std::vector<int64_t> stepsOf(const RunFolder& run) {
  std::vector<int64_t> steps;
  for (const auto& file : listSpectra(run.path()))
    if (const auto spectrum = readSpectrum(file)) steps.push_back(spectrum->step);
  return steps;
}

}  // namespace

class LiveSpectra : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void areRecorded_data() {
    QTest::addColumn<QString>("method");
    QTest::addColumn<bool>("ranks");  // of a full update they cost a decomposition
    QTest::newRow("lora") << "lora" << true;
    QTest::newRow("dora") << "dora" << false;
    QTest::newRow("qlora") << "qlora" << true;
    QTest::newRow("pissa") << "pissa" << true;
    QTest::newRow("full") << "full" << false;
  }
  void areRecorded() {
    QFETCH(QString, method);
    QFETCH(bool, ranks);
    Home home;
    const std::vector<std::string> change = {"method.name=" + method.toStdString(), "train.spectrum_every=5"};
    const RunFolder run = home.run(change);
    QVERIFY(!train(run, home).error);
    QCOMPARE(stepsOf(run), (std::vector<int64_t>{0, 5, 10, 12}));
    const auto counts = series(run, "spectrum/intruders");
    QCOMPARE(counts.size(), size_t{4});
    QCOMPARE(counts.at(0), 0.0);
    QCOMPARE(series(run, "spectrum/effective_rank").size(), ranks ? size_t{3} : size_t{0});  // nothing has changed at first
    const auto starts = eventsOf<event::Start>(run);
    size_t told = 0;
    for (const event::Sites& sites : eventsOf<event::Sites>(run))
      for (const auto& [name, values] : sites.values)
        if (name == "intruders") {
          QCOMPARE(values.size(), starts[0].sites.size());
          ++told;
        }
    QCOMPARE(told, size_t{4});

    // Training does not notice.
    const RunFolder twin = home.run({change[0], "train.spectrum=off"});
    QVERIFY(!train(twin, home).error);
    QVERIFY(stepsOf(twin).empty());
    QVERIFY(series(twin, "spectrum/intruders").empty());
    const std::string file = method == "full" ? "model/model.safetensors" : "adapter/adapter_model.safetensors";
    QVERIFY(bytesOf(run.path() / file) == bytesOf(twin.path() / file));

    // A look at the last checkpoint finds what was seen live.
    const auto live = readSpectrum(listSpectra(run.path()).back());
    QVERIFY(live->live);
    auto trained = loadRunModel(run, home.places, {});
    QVERIFY2(trained.ok(), trained ? "" : trained.error().message().c_str());
    const auto later = methodSpectrum(*trained->setup.method, home.places.cache, {.k = 10}, [](int64_t, int64_t, const std::string&) { return true; });
    QVERIFY(later.ok());
    QCOMPARE(later->sites.size(), live->sites.size());
    for (size_t i = 0; i < live->sites.size(); ++i) {
      QCOMPARE(live->sites[i].site, later->sites[i].site);
      QCOMPARE(live->sites[i].intruders(0.5, 10), later->sites[i].intruders(0.5, 10));
      const size_t kept = std::min(live->sites[i].maxCos.size(), later->sites[i].maxCos.size());
      QVERIFY(kept >= 8);
      for (size_t j = 0; j < kept; ++j) QVERIFY(std::abs(live->sites[i].maxCos[j] - later->sites[i].maxCos[j]) < 1e-4f);
      if (ranks) QVERIFY(std::abs(live->sites[i].effectiveRank - later->sites[i].effectiveRank) < 1e-5);
    }
  }

  void goOnAfterAResume() {
    Home home;
    const std::vector<std::string> change = {"train.spectrum_every=4"};
    const RunFolder run = home.run(change);
    trainUntil(run, home, 6, Command::Stop);
    QVERIFY(!train(run, home, true).error);
    QCOMPARE(stepsOf(run), (std::vector<int64_t>{0, 4, 8, 12}));
  }

  void whatCostsMuchIsNotGivenUnasked() {
    RunConfig config;
    SpectrumProbeCost small, large;
    for (int i = 0; i < 12; ++i) small.add(384, 384, false, 2);
    for (int i = 0; i < 64; ++i) large.add(4096, 4096, false, 2);
    QVERIFY(probesSpectrum(config, small) && !probesSpectrum(config, large) && !probesSpectrum(config, {}));
    QVERIFY(config.set("train.spectrum", "on").ok());
    QVERIFY(probesSpectrum(config, large) && !probesSpectrum(config, {}));
    QVERIFY(config.set("train.spectrum", "off").ok());
    QVERIFY(!probesSpectrum(config, small));
    QCOMPARE(small.bytes, int64_t{12 * 4 * 384 * (2 * 384 + 1)});
    // A full update's look makes matrices of its size.
    QVERIFY(config.set("train.spectrum", "auto").ok());
    SpectrumProbeCost wide;
    wide.add(512, 4608, true, 2);
    QVERIFY(wide.work > 2 * 8 * 4 * 512 * 4608);
    QVERIFY(!probesSpectrum(config, wide) || wide.bytes + wide.work <= (int64_t{192} << 20));
    wide = {};
    wide.add(4096, 4096, false, 2);
    QCOMPARE(wide.work, int64_t{0});
  }

  // A long run keeps its whole course; what was computed at someone's wish stays.
  void manyAreThinned() {
    QTemporaryDir folder;
    const std::filesystem::path path = folder.path().toStdString();
    RunSpectrum spectrum;
    spectrum.step = 7;
    QVERIFY(writeSpectrum(path, spectrum).ok());
    spectrum.live = true;
    for (int64_t step = 0; step <= 100; step += 10) {
      spectrum.step = step;
      QVERIFY(keepLiveSpectrum(path, spectrum, 6).ok());
    }
    std::vector<int64_t> steps;
    for (const auto& file : listSpectra(path)) steps.push_back(readSpectrum(file)->step);
    QVERIFY(steps.size() <= 7);
    QCOMPARE(steps.front(), int64_t{0});
    QCOMPARE(steps[1], int64_t{7});
    QCOMPARE(steps.back(), int64_t{100});
  }

  // Whole decompositions on several threads at once, each matrix on one: MKL's QR would wait for ever in a nested region.
  void threadsDoNotWaitForEachOther_data() {
    QTest::addColumn<QString>("method");
    for (const char* method : {"full", "lora", "dora"}) QTest::newRow(method) << method;
  }
  void threadsDoNotWaitForEachOther() {
    QFETCH(QString, method);
    const int before = at::get_num_threads();
    at::set_num_threads(3);
    MethodSettings settings = testing::settingsOf(method.toStdString(), nlohmann::json::object());
    if (method != "full") settings.targetModules = {"all-linear"};
    testing::Training training(testing::rotary("llama", {{"hidden_size", 96}, {"intermediate_size", 420}}), settings, at::kFloat);
    training.run(0, 2);
    const auto probe = SpectrumProbe::make(*training.method, {}, [](const std::string&, double) { return true; });
    QVERIFY(probe.ok());
    const RunSpectrum spectrum = probe->measure();
    QCOMPARE(at::get_num_threads(), 3);
    at::set_num_threads(before);
    QCOMPARE(spectrum.sites.size(), training.method->changedSites().size());
    for (const SiteSpectrum& site : spectrum.sites) QVERIFY(site.residualBound < 1e-9 && site.maxCos.size() == 10);
  }

  void methodsWithoutMatricesHaveNone() {
    Home home;
    const RunFolder run = home.run({"method.name=prefix", "train.spectrum=on", "train.max_steps=2"});
    QVERIFY(!train(run, home).error);
    QVERIFY(stepsOf(run).empty());
  }
};

QTEST_GUILESS_MAIN(LiveSpectra)
#include "live_spectra.moc"
