// Weights of every format as tensors: views, alignment, shards of pickled files, and which file of a folder counts.

#include <filesystem>
#include <fstream>

#include "archive_builder.h"
#include "core/io/safetensors_writer.h"
#include "core/io/shard_index.h"
#include "core/io/weight_source.h"

using namespace rankscope;
using namespace archive;
namespace fs = std::filesystem;

namespace {

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string checkpoint(const std::string& name, float first) {
  return torchZip(dictPickle({{name, tensor(storage("FloatStorage", "0", 6), 0, {3, 2}, {1, 3})}}),
                  {floats({first, 2, 3, 4, 5, 6})});
}

}  // namespace

class WeightSourcesTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void stridedAndMisaligned() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    // Whatever the alignment of the storage within the file, the numbers are the same.
    for (int shift = 0; shift < 4; ++shift) {
      const std::string name(static_cast<size_t>(shift + 1), 'w');
      write(folder / "pytorch_model.bin", checkpoint(name, 1));
      const Result<WeightSource> source = WeightSource::open(folder);
      QVERIFY2(source.ok(), source.ok() ? "" : source.error().message().c_str());
      const Result<at::Tensor> read = source->tensor(name);
      QVERIFY(read.ok());
      QVERIFY(at::equal(*read, at::arange(1, 7, at::kFloat).view({2, 3}).t()));
    }
  }

  void pickledShards() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    write(folder / "pytorch_model-00001-of-00002.bin", checkpoint("a", 10));
    write(folder / "pytorch_model-00002-of-00002.bin", checkpoint("b", 20));
    write(folder / "pytorch_model.bin.index.json",
          R"({"weight_map":{"a":"pytorch_model-00001-of-00002.bin","b":"pytorch_model-00002-of-00002.bin"}})");
    const Result<WeightSource> source = WeightSource::open(folder);
    QVERIFY2(source.ok(), source.ok() ? "" : source.error().message().c_str());
    QCOMPARE(source->names(), (std::vector<std::string>{"a", "b"}));
    QCOMPARE(source->tensor("b")->select(0, 0).select(0, 0).item<float>(), 20.f);
    const Result<WeightSummary> summary = inspectWeights(folder);
    QVERIFY(summary.ok());
    QCOMPARE(summary->format, std::string("torch"));
    QCOMPARE(summary->parameters, uint64_t{12});
    write(folder / "pytorch_model.bin.index.json", R"({"weight_map":{"a":"../pytorch_model-00001-of-00002.bin"}})");
    QVERIFY(!WeightSource::open(folder).ok());
    write(folder / "pytorch_model.bin.index.json", R"({"weight_map":{"c":"pytorch_model-00001-of-00002.bin"}})");
    const Result<WeightSource> promised = WeightSource::open(folder);
    QVERIFY(!promised.ok() && promised.error().message().find("lacks a tensor") != std::string::npos);
  }

  void whichFileCounts() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    write(folder / "optimizer.pt", checkpoint("o", 1));
    write(folder / "training_args.bin", checkpoint("t", 1));
    QVERIFY(!WeightSource::open(folder).ok());
    write(folder / "best.th", checkpoint("a", 1));
    QVERIFY(WeightSource::open(folder)->contains("a"));
    write(folder / "other.pt", checkpoint("b", 1));
    const Result<WeightSource> two = WeightSource::open(folder);
    QVERIFY(!two.ok() && two.error().message().find("several files") != std::string::npos);
    QVERIFY(WeightSource::open(folder / "other.pt")->contains("b"));
    write(folder / "pytorch_model.bin", checkpoint("c", 1));
    QVERIFY(WeightSource::open(folder)->contains("c"));
    QVERIFY(writeSafetensors(folder / "model.safetensors", {{"d", at::ones({1})}}).ok());
    QVERIFY(WeightSource::open(folder)->contains("d"));
  }

  void whatIsNoWeights() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    struct Row {
      const char *name, *bytes, *words;
    };
    for (const Row& row :
         {Row{"a.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS"},
          Row{"b.bin", "<!DOCTYPE html>", "web page"}, Row{"c.bin", "", "empty file"},
          Row{"d.safetensors", "abcdefgh", "safetensors header"},
          Row{"e.xyz", "abcdefghij", "safetensors, a PyTorch checkpoint, or GGUF"},
          Row{"f.gguf", "abcd", "no GGUF file"}, Row{"g.pt", "abcd", "no PyTorch checkpoint"}}) {
      write(folder / row.name, row.bytes);
      const Result<WeightSource> source = WeightSource::open(folder / row.name);
      QVERIFY2(!source.ok(), row.name);
      QVERIFY2(source.error().message().find(row.words) != std::string::npos, source.error().message().c_str());
      QVERIFY(!source.error().hint.empty());
    }
  }

  void quantisedFileAsTensors() {
    const fs::path file = fs::path(RANKSCOPE_SOURCE_DIR) / "tests/core/io/fixtures/tiny.gguf";
    const Result<WeightSource> source = WeightSource::open(file);
    QVERIFY2(source.ok(), source.ok() ? "" : source.error().message().c_str());
    const at::Tensor q = source->tensor("model.layers.0.self_attn.q_proj.weight").value();
    QCOMPARE(q.scalar_type(), at::kFloat);
    QVERIFY(q.sizes() == at::IntArrayRef({8, 256}));
    QVERIFY(q.isfinite().all().item<bool>());
    QCOMPARE(source->tensor("model.layers.1.self_attn.v_proj.weight")->scalar_type(), at::kBFloat16);
    QCOMPARE(source->tensor("model.norm.weight", at::kBFloat16)->scalar_type(), at::kBFloat16);
  }
};

QTEST_APPLESS_MAIN(WeightSourcesTest)
#include "weight_sources.moc"
