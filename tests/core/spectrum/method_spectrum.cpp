// Spectra of what methods did to small models: of the weights that the run really began with, and of those that it uses.

#include <QtTest/QtTest>

#include "core/spectrum/method_spectrum.h"
#include "tests/methods/family_training.h"

using namespace rankscope;
using namespace rankscope::testing;
using nlohmann::json;

namespace {

const auto goOn = [](int64_t, int64_t, const std::string&) { return true; };

// W as the model multiplies by it now.
at::Tensor usedWeight(const LinearSite& site) {
  const at::Tensor weight = site.denseWeight().to(at::kDouble);
  return site.adapter ? weight + site.adapter->deltaWeight().to(at::kDouble) : weight;
}

}  // namespace

class MethodSpectrum : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void isThatOfTheWeightsInUse_data() {
    QTest::addColumn<QString>("method");
    QTest::addColumn<QString>("options");
    QTest::addColumn<QString>("family");
    for (const char* family : {"gpt2", "llama", "deberta"})
      for (const auto& [method, options] : std::vector<std::pair<const char*, const char*>>{
               {"full", "{}"}, {"lora", "{}"}, {"rora", "{}"}, {"reflora", "{}"}, {"dora", "{}"}, {"adalora", "{}"}, {"pissa", "{}"},
               {"only_b", "{}"}, {"lora_pro", "{}"}, {"lora", R"({"base": "nf4"})"}, {"pissa", R"({"base": "nf4"})"},
               {"dora", R"({"base": "nf4"})"}})
        QTest::newRow(qPrintable(QString("%1 %2 %3").arg(method, options, family))) << method << options << family;
  }
  void isThatOfTheWeightsInUse() {
    QFETCH(QString, method);
    QFETCH(QString, options);
    QFETCH(QString, family);
    const auto known = std::find_if(families().begin(), families().end(), [&](const auto& f) { return f.first == family.toStdString(); });
    MethodSettings settings = settingsOf(method.toStdString(), json::parse(options.toStdString()));
    if (method != "full") settings.targetModules = {"all-linear"};
    Training training(known->second, settings, at::kFloat);
    std::map<std::string, at::Tensor> before;
    for (const LinearSite* site : training.method->changedSites()) before[site->name] = usedWeight(*site).clone();
    training.run(0, 3);
    const auto spectrum = methodSpectrum(*training.method, {}, {.k = 6, .heatmapColumns = 12}, goOn);
    QVERIFY2(spectrum.ok(), spectrum ? "" : spectrum.error().message().c_str());
    QCOMPARE(spectrum->sites.size(), training.method->changedSites().size());
    size_t at = 0;
    for (const LinearSite* site : training.method->changedSites()) {
      const SiteSpectrum& got = spectrum->sites[at++];
      QCOMPARE(got.site, site->name);
      QCOMPARE(got.layer, site->layer);
      MatrixChange change;
      change.before = before[site->name];
      change.after = usedWeight(*site);
      const SiteSpectrum expected = siteSpectrum(computeBaseSvd(change.before), change, {.k = 6, .heatmapColumns = 12});
      const float top = expected.sigmaAfter.front();
      QVERIFY(expected.relativeUpdate > 0 || method == "adalora");  // which may have pruned all of it
      // Products in single precision lie between the two.
      for (size_t i = 0; i < 6; ++i) QVERIFY2(std::abs(got.sigmaAfter[i] - expected.sigmaAfter[i]) < 2e-5f * top, site->name.c_str());
      QVERIFY2(std::abs(got.relativeUpdate - expected.relativeUpdate) < 1e-3 * expected.relativeUpdate + 2e-6, site->name.c_str());
      for (size_t i = 0; i < 6; ++i) {
        const bool apart = (i == 0 || expected.sigmaAfter[i - 1] - expected.sigmaAfter[i] > 0.02f * top) &&
                           (i == 5 || expected.sigmaAfter[i] - expected.sigmaAfter[i + 1] > 0.02f * top);
        if (apart && i < 5) QVERIFY2(std::abs(got.maxCos[i] - expected.maxCos[i]) < 2e-3f, site->name.c_str());
      }
    }
  }

  void whatChangesNoMatrixIsRefused_data() {
    QTest::addColumn<QString>("method");
    for (const char* method : {"bitfit", "houlsby", "prefix", "loreft"}) QTest::newRow(method) << method;
  }
  void whatChangesNoMatrixIsRefused() {
    QFETCH(QString, method);
    const Training training(encoder("bert"), settingsOf(method.toStdString(), json::object()), at::kFloat);
    const auto spectrum = methodSpectrum(*training.method, {}, {}, goOn);
    QVERIFY(!spectrum.ok() && !spectrum.error().hint.empty());
    QCOMPARE(spectrum.error().found, method.toStdString());
  }

  void canBeCancelled() {
    MethodSettings lora = settingsOf("lora", json::object());
    lora.targetModules = {"query"};
    const Training training(encoder("bert"), lora, at::kFloat);
    int asked = 0;
    const auto spectrum = methodSpectrum(*training.method, {}, {}, [&](int64_t, int64_t, const std::string&) { return ++asked < 3; });
    QCOMPARE(spectrum.error().code, ErrorCode::Interrupted);
    QCOMPARE(asked, 3);
  }
};

QTEST_GUILESS_MAIN(MethodSpectrum)
#include "method_spectrum.moc"
