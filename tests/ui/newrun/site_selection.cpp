#include <QAbstractItemModelTester>
#include <QSignalSpy>
#include <QtTest>

#include "ui/newrun/site_selection.h"
#include "ui/newrun/site_table_model.h"

using namespace rankscope::ui;

namespace {

std::vector<SiteInfo> llamaSites(int layers) {
  std::vector<SiteInfo> sites;
  for (int layer = 0; layer < layers; ++layer) {
    const std::string block = "model.layers." + std::to_string(layer);
    for (const char* kind : {"q_proj", "v_proj"}) sites.push_back({block + ".self_attn." + kind, kind, layer, 64, 64});
    sites.push_back({block + ".mlp.up_proj", "up_proj", layer, 256, 64});
  }
  sites.push_back({"lm_head", "lm_head", -1, 1000, 64});
  return sites;
}

std::vector<SiteInfo> bertSites() {
  std::vector<SiteInfo> sites;
  for (int layer = 0; layer < 2; ++layer) {
    const std::string block = "encoder.layer." + std::to_string(layer);
    sites.push_back({block + ".attention.output.dense", "dense", layer, 32, 32});
    sites.push_back({block + ".output.dense", "dense", layer, 32, 128});
    sites.push_back({block + ".intermediate.dense", "dense", layer, 128, 32});
  }
  return sites;
}

}  // namespace

class SiteSelectionTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void matchesAsPeftDoes() {
    QVERIFY(targetMatches("model.layers.0.self_attn.q_proj", "q_proj"));
    QVERIFY(targetMatches("model.layers.0.self_attn.q_proj", "self_attn.q_proj"));
    QVERIFY(targetMatches("lm_head", "lm_head"));
    QVERIFY(!targetMatches("model.layers.0.self_attn.qq_proj", "q_proj"));
    QVERIFY(!targetMatches("q_proj", "model.q_proj"));
  }

  void emptyTargetsAreTheFamilyDefault() {
    SiteSelection s;
    s.setSites(llamaSites(3), {"q_proj", "v_proj"});
    s.readChoice({});
    QCOMPARE(s.selectedCount(), 6);
    QCOMPARE(s.toChoice(), SiteChoice{});
  }

  void allLinearLeavesTheHeadOut() {
    SiteSelection s;
    s.setSites(llamaSites(2), {"q_proj"});
    s.readChoice({{"all-linear"}, {}, {}});
    QCOMPARE(s.selectedCount(), 6);
  }

  // Whatever is ticked, reading back what is written ticks the same.
  void writesWhatItReads_data() {
    QTest::addColumn<int>("seed");
    for (int seed = 0; seed < 40; ++seed) QTest::addRow("%d", seed) << seed;
  }
  void writesWhatItReads() {
    QFETCH(int, seed);
    srand(static_cast<unsigned>(seed));
    SiteSelection s;
    s.setSites(seed % 2 ? llamaSites(4) : bertSites(), seed % 2 ? std::vector<std::string>{"q_proj"} : std::vector<std::string>{"output.dense"});
    bool any = false;
    for (size_t i = 0; i < s.sites().size(); ++i) {
      const bool on = rand() % 3 != 0;
      any = any || on;
      s.setSelected(static_cast<int>(i), on);
      if (rand() % 4 == 0) s.setRank(static_cast<int>(i), 1 + rand() % 16);
    }
    if (seed % 5 == 0) s.setColumn(0, true), s.setColumnRank(0, 3), any = true;
    if (!any) s.setSelected(0, true);
    SiteSelection back;
    back.setSites(s.sites(), seed % 2 ? std::vector<std::string>{"q_proj"} : std::vector<std::string>{"output.dense"});
    back.readChoice(s.toChoice());
    for (size_t i = 0; i < s.sites().size(); ++i) {
      QCOMPARE(back.selected(static_cast<int>(i)), s.selected(static_cast<int>(i)));
      QCOMPARE(back.rankOf(static_cast<int>(i)), s.rankOf(static_cast<int>(i)));
    }
  }

  void saysProductsShortly() {
    SiteSelection s;
    s.setSites(llamaSites(4), {"q_proj"});
    s.setColumn(static_cast<size_t>(std::find(s.kinds().begin(), s.kinds().end(), "v_proj") - s.kinds().begin()), true);
    QCOMPARE(s.toChoice().targetModules, std::vector<std::string>{"v_proj"});
    QVERIFY(s.toChoice().layers.empty());
    s.setAll(false);
    for (const auto& site : s.sites()) {
      if (site.layer == 1 && site.kind != "up_proj") s.setSelected(static_cast<int>(&site - s.sites().data()), true);
    }
    QCOMPARE(s.toChoice().targetModules.size(), size_t{2});
    QCOMPARE(s.toChoice().layers, std::vector<int64_t>{1});
  }

  void tellsEqualKindsApart() {
    SiteSelection s;
    s.setSites(bertSites(), {});
    QCOMPARE(s.kinds().size(), size_t{3});
    // "output.dense" would also fit attention.output.dense: only full names are exact.
    for (size_t c = 0; c < s.kinds().size(); ++c) {
      if (s.kinds()[c] == "output.dense") s.setColumn(c, true);
    }
    if (s.selectedCount() > 0) {
      for (const auto& target : s.toChoice().targetModules) QVERIFY(target != "output.dense");
    }
  }

  // Convolutions by their names within a block; lookups are ticked by themselves only.
  void convolutionsAndEmbeddings() {
    const auto conv = [](std::string name, int64_t layer, std::vector<int64_t> shape) {
      SiteInfo site{std::move(name), {}, layer, shape[0], shape[1] * shape[2] * shape[3]};
      site.operation = "convolution";
      site.shape = std::move(shape);
      return site;
    };
    std::vector<SiteInfo> sites{conv("conv1", -1, {64, 3, 7, 7}), conv("layer1.0.conv1", 0, {64, 64, 3, 3}),
                                conv("layer2.0.conv1", 1, {128, 64, 3, 3}), conv("layer2.0.downsample.0", 1, {128, 64, 1, 1}),
                                {"fc", "fc", -1, 10, 128}};
    SiteTableModel model;
    model.setSites(sites, {"conv1", "downsample.0"});
    QCOMPARE(model.selection().kinds(), (std::vector<std::string>{"conv1", "downsample.0", "fc"}));
    model.readChoice({});
    QCOMPARE(model.selection().selectedCount(), 4);
    QVERIFY(model.index(1, 1).data(Qt::ToolTipRole).toString().contains(QString::fromUtf8("convolution 64 × 3 × 7 × 7")));
    SiteChoice linear;
    linear.targetModules = {"all-linear"};
    model.readChoice(linear);
    QCOMPARE(model.selection().selectedCount(), 0);

    auto words = llamaSites(2);
    words.push_back({"model.embed_tokens", "embed_tokens", -1, 64, 1000, "embedding", {1000, 64}});
    SiteSelection s;
    s.setSites(words, {"q_proj"});
    s.setAll(true);
    QCOMPARE(s.selectedCount(), int(words.size()) - 1);
    QCOMPARE(s.share(), SiteSelection::Share::All);
    s.setAll(false);
    s.setSelected(int(words.size()) - 1, true);
    QCOMPARE(s.share(), SiteSelection::Share::Some);
    QCOMPARE(s.toChoice().targetModules, std::vector<std::string>{"embed_tokens"});
  }

  void gridModel() {
    SiteTableModel model;
    QAbstractItemModelTester tester(&model);
    model.setSites(llamaSites(3), {"q_proj"});
    model.readChoice({});
    QCOMPARE(model.rowCount(), 5);     // all, outside, three layers
    QCOMPARE(model.columnCount(), 5);  // all, q, v, up, lm_head
    QSignalSpy edited(&model, &SiteTableModel::edited);
    QCOMPARE(model.index(0, 0).data(Qt::CheckStateRole).toInt(), int(Qt::PartiallyChecked));
    QVERIFY(model.setData(model.index(0, 0), Qt::Checked, Qt::CheckStateRole));
    QCOMPARE(edited.count(), 1);
    QCOMPARE(model.selection().selectedCount(), 10);
    QVERIFY(model.setData(model.index(2, 0), Qt::Unchecked, Qt::CheckStateRole));
    QCOMPARE(model.selection().selectedCount(), 7);
    // A rank beyond what the matrix can carry is refused with what to do.
    QSignalSpy rejected(&model, &SiteTableModel::rejected);
    const auto cell = model.index(2, 1 + int(std::find(model.selection().kinds().begin(), model.selection().kinds().end(), "q_proj") -
                                             model.selection().kinds().begin()));
    QVERIFY(!model.setData(cell, "65", Qt::EditRole));
    QVERIFY(!model.setData(cell, "many", Qt::EditRole));
    QCOMPARE(rejected.count(), 2);
    QVERIFY(rejected.last().first().toString().contains("1 to 64"));
    QVERIFY(model.setData(cell, "32", Qt::EditRole));
    QCOMPARE(cell.data(Qt::DisplayRole).toString(), QString("32"));
    QVERIFY(model.setData(cell, "", Qt::EditRole));
    QCOMPARE(cell.data(SiteTableModel::OwnRankRole).toLongLong(), 0);
  }
};

QTEST_MAIN(SiteSelectionTest)
#include "site_selection.moc"
