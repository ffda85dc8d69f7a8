#include <QtTest>

#include "ui/library/run_output.h"
#include "ui/library/shape_tree.h"

using namespace rankscope;
using namespace rankscope::ui;

class ShapeTreeTest : public QObject {
  Q_OBJECT

  static const ShapeNode* child(const ShapeNode& node, const QString& name) {
    for (const ShapeNode& each : node.children)
      if (each.name == name) return &each;
    return nullptr;
  }

 private Q_SLOTS:
  void alikeLayersShareALine() {
    std::vector<NamedShape> shapes;
    shapes.push_back({"model.embed_tokens.weight", "32000 × 4096", 32000.0 * 4096});
    for (int layer = 0; layer < 32; ++layer)
      for (const char* part : {"self_attn.q_proj", "self_attn.v_proj", "mlp.up_proj"})
        shapes.push_back({QStringLiteral("model.layers.%1.%2").arg(layer).arg(part), "4096 × 4096", 4096.0 * 4096});
    const ShapeNode root = shapeTree(shapes);
    QCOMPARE(root.children.size(), size_t{1});
    const ShapeNode& model = root.children[0];
    QCOMPARE(model.name, QString("model"));
    QVERIFY(child(model, "embed_tokens.weight"));
    QCOMPARE(child(model, "embed_tokens.weight")->detail, QString("32000 × 4096"));
    const ShapeNode* layers = child(model, "layers");
    QVERIFY(layers);
    QCOMPARE(layers->children.size(), size_t{1});
    QCOMPARE(layers->children[0].name, QString("0 … 31"));
    QCOMPARE(layers->children[0].alike, 32);
    QCOMPARE(layers->children[0].elements, 32 * 3 * 4096.0 * 4096);
    QCOMPARE(root.elements, 32000.0 * 4096 + 96 * 4096.0 * 4096);
    QCOMPARE(child(layers->children[0], "self_attn")->children.size(), size_t{2});
    QVERIFY(child(layers->children[0], "mlp.up_proj"));
  }

  void aLayerThatDiffersStandsApart() {
    std::vector<NamedShape> shapes;
    for (int layer = 0; layer < 5; ++layer)
      shapes.push_back({QStringLiteral("h.%1.c_attn").arg(layer), layer == 2 ? "3 × 2" : "3 × 1", 3});
    const ShapeNode root = shapeTree(shapes);
    QStringList names;
    for (const ShapeNode& each : root.children[0].children) names << each.name;
    QCOMPARE(names, (QStringList{"0 … 1", "2", "3 … 4"}));
  }

  void namesOfOutputsAreFit() {
    QCOMPARE(fileNameFor("lora r=8, reviews/s0", "abcdef0123"), QString("lora-r-8-reviews-s0"));
    QCOMPARE(fileNameFor("../..", "abcdef0123"), QString("run-abcdef01"));
    QCOMPARE(fileNameFor("Überlauf.v2", "x"), QString("Überlauf.v2"));
  }

  void destinationsAreRefusedWithAReason() {
    QTemporaryDir folder;
    const QString base = folder.path();
    QVERIFY(lookAtDestination(base + "/new/one", OutputKind::Merged).problem.isEmpty());
    QVERIFY(lookAtDestination(base, OutputKind::Merged).problem.isEmpty());  // empty
    QVERIFY(lookAtDestination(base, OutputKind::Gguf).problem.contains("folder"));
    QVERIFY(lookAtDestination("relative", OutputKind::Merged).problem.contains("whole path"));
    QFile file(base + "/file.gguf");
    QVERIFY(file.open(QIODevice::WriteOnly) && file.write("x") == 1);
    file.close();
    QVERIFY(lookAtDestination(base, OutputKind::Peft).problem.contains("Nothing is overwritten"));
    QVERIFY(lookAtDestination(file.fileName(), OutputKind::Gguf).problem.contains("Nothing is overwritten"));
    QVERIFY(lookAtDestination(file.fileName() + "/below", OutputKind::Merged).problem.contains("is a file"));
    QCOMPARE(freeDestination(file.fileName(), OutputKind::Gguf), base + "/file-2.gguf");
    QCOMPARE(freeDestination(base, OutputKind::Merged), base + "-2");
    QVERIFY(lookAtDestination(base + "/new", OutputKind::Merged).freeBytes > 0);
  }
};

QTEST_GUILESS_MAIN(ShapeTreeTest)
#include "shape_tree.moc"
