// Parts of the trainer on their own: order of the data, packing, the step, checkpoints.
#include <ATen/ATen.h>

#include <QTemporaryDir>
#include <QtTest/QtTest>

#include <algorithm>
#include <fstream>
#include <numeric>
#include <set>

#include "core/optim/registry.h"
#include "core/train/checkpoint.h"
#include "core/text/registry.h"
#include "core/train/packing.h"
#include "core/train/run_output.h"
#include "core/train/step_engine.h"
#include "core/train/step_plan.h"
#include "tests/core/io/gguf_builder.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using rankscope::test::FakeModel;

namespace {

TokenizedSet threeSentences() {
  TokenizedSet set;
  const std::vector<std::vector<int32_t>> ids = {{1, 5, 6}, {1, 7, 8, 9, 10}, {1, 4}};
  for (const auto& sequence : ids) {
    std::vector<uint8_t> mask(sequence.size(), 1);
    mask[0] = 0;
    mask[1] = sequence.size() > 2 ? 0 : 1;  // a prompt that carries no loss
    ExampleView example;
    example.ids = sequence;
    example.lossMask = mask;
    set.add(example);
  }
  return set;
}

struct Rig {
  explicit Rig(double learningRate = 0.1, double clip = 1.0) {
    method = test::attached(model, test::smallSettings("lora", {}, {"all-linear"}));
    OptimizerSettings sgd;
    sgd.name = "sgd";
    optimizer = std::move(*makeOptimizer(method->trainable(), sgd));
    Schedule schedule;
    schedule.kind = Schedule::Kind::Constant;
    engine = std::make_unique<StepEngine>(model, *method, *optimizer, schedule, StepSettings{learningRate, clip, 0});
  }
  std::vector<at::Tensor> weights() const {
    std::vector<at::Tensor> out;
    for (const auto& parameter : method->trainable()) out.push_back(parameter.tensor.detach().clone());
    return out;
  }
  FakeModel model;
  std::unique_ptr<Method> method;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<StepEngine> engine;
};

bool sameBits(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!at::equal(a[i], b[i])) return false;
  return true;
}

CheckpointContents someContents(int64_t step) {
  CheckpointContents contents;
  contents.trainer.step = step;
  contents.trainer.tokens = 1000 + step;
  contents.trainer.seconds = 1.25;
  contents.trainer.bestMetric = "eval/loss";
  contents.trainer.bestValue = 0.1 + 0.2;
  contents.trainer.bestStep = 3;
  contents.trainer.computeDtype = "bf16";
  contents.trainer.threads = 2;
  contents.trainer.labels = {"no", "yes"};
  contents.trainer.lastEvaluation = {{"loss", 0.5}};
  contents.trainable["a.lora_A.weight"] = at::randn({3, 5});
  contents.optimizer["a.lora_A.weight.exp_avg"] = at::randn({3, 5});
  return contents;
}

}  // namespace

class TrainParts : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void everyExampleOncePerEpoch() {
    StepPlan::Settings settings;
    settings.examples = 23;
    settings.batchSize = 4;
    settings.accumulation = 2;
    settings.epochs = 3;
    settings.seed = 5;
    StepPlan plan(settings);
    QCOMPARE(plan.stepsPerEpoch(), int64_t{3});  // 6 micro-batches, the last of 3 examples
    QCOMPARE(plan.totalSteps(), int64_t{9});
    std::vector<std::vector<uint32_t>> orders;
    for (int64_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<uint32_t> seen;
      for (int64_t step = epoch * 3; step < epoch * 3 + 3; ++step)
        for (const auto& batch : plan.microBatches(step)) seen.insert(seen.end(), batch.begin(), batch.end());
      QCOMPARE(std::set<uint32_t>(seen.begin(), seen.end()).size(), size_t{23});
      QCOMPARE(seen.size(), size_t{23});
      orders.push_back(seen);
    }
    QVERIFY(orders[0] != orders[1]);
    // Asked out of order, as a resumed run does, the steps are the same.
    StepPlan again(settings);
    QCOMPARE(again.microBatches(7), plan.microBatches(7));
    QCOMPARE(again.microBatches(2), plan.microBatches(2));
  }

  void packingKeepsBoundaries() {
    const TokenizedSet set = threeSentences();
    const std::vector<uint32_t> order = {1, 2, 0};
    const PackedBatch batch = packExamples(set, order, DataTask::Instruction);
    QCOMPARE(batch.starts, (std::vector<int64_t>{0, 5, 7, 10}));
    const std::vector<int64_t> labels(batch.labels.const_data_ptr<int64_t>(), batch.labels.const_data_ptr<int64_t>() + 10);
    // Position i holds the token after it; prompts and the last token of a sequence hold nothing.
    QCOMPARE(labels, (std::vector<int64_t>{-100, 8, 9, 10, -100, 4, -100, -100, 6, -100}));
    QCOMPARE(countLabels(batch), int64_t{5});
    const std::vector<int64_t> positions(batch.positionIds.const_data_ptr<int64_t>(),
                                         batch.positionIds.const_data_ptr<int64_t>() + 10);
    QCOMPARE(positions, (std::vector<int64_t>{0, 1, 2, 3, 4, 0, 1, 0, 1, 2}));
  }

  void accumulationWeighsEveryLabelTheSame() {
    // One batch of three sequences, or the same three one at a time: the same gradient, so the same weights after a step.
    Rig whole(0.1, 0), parts(0.1, 0);
    std::vector<PackedBatch> pieces;
    TokenizedSet set;
    for (int32_t i = 0; i < 3; ++i) {
      ExampleView example;
      const std::vector<int32_t> ids = {1, 2 + i, 3 + i};
      example.ids = std::span<const int32_t>(ids).first(static_cast<size_t>(1 + i));
      example.classLabel = i;
      set.add(example);
    }
    for (uint32_t i = 0; i < 3; ++i) pieces.push_back(packExamples(set, std::vector<uint32_t>{i}, DataTask::Classification));
    const std::vector<uint32_t> all = {0, 1, 2};
    const auto one = whole.engine->run(0, 10, {packExamples(set, all, DataTask::Classification)});
    const auto many = parts.engine->run(0, 10, pieces);
    QVERIFY(one && many);
    QVERIFY(std::abs(one->loss - many->loss) < 1e-6);
    QVERIFY(std::abs(one->gradNorm - many->gradNorm) < 1e-5 * one->gradNorm);
    const auto a = whole.weights(), b = parts.weights();
    for (size_t i = 0; i < a.size(); ++i) QVERIFY(at::allclose(a[i], b[i], 1e-5, 1e-6));
  }

  void clippingBoundsTheStep() {
    Rig rig(1.0, 0.01);
    const auto before = rig.weights();
    const auto result = rig.engine->run(0, 10, {test::fakeBatch(rig.model)});
    QVERIFY(result);
    QVERIFY(result->gradNorm > 0.01);
    double moved = 0;
    const auto after = rig.weights();
    for (size_t i = 0; i < after.size(); ++i) moved += (after[i] - before[i]).square().sum().item<double>();
    QVERIFY(std::sqrt(moved) < 0.01 * 1.001);  // plain SGD at rate 1 moves by the clipped gradient
    QVERIFY(std::sqrt(moved) > 0.01 * 0.99);
  }

  void notFiniteStopsBeforeTheWeightsMove() {
    Rig rig;
    rig.model.parameters().at(rig.model.parameters().entries().front().name).data().fill_(std::nan(""));
    const auto before = rig.weights();
    const auto result = rig.engine->run(4, 10, {test::fakeBatch(rig.model)});
    QVERIFY(!result);
    QCOMPARE(result.error().code, ErrorCode::Training);
    QVERIFY2(result.error().found.find(rig.model.parameters().entries().front().name) != std::string::npos,
             result.error().message().c_str());
    QVERIFY(result.error().where.find("5") != std::string::npos);
    QVERIFY(sameBits(before, rig.weights()));
  }

  void abandonedStepLeavesNothing() {
    Rig rig;
    const auto before = rig.weights();
    int calls = 0;
    const PackedBatch batch = test::fakeBatch(rig.model);
    const auto result = rig.engine->run(0, 10, {batch, batch}, [&] { return ++calls < 2; });
    QVERIFY(result && result->abandoned);
    QVERIFY(sameBits(before, rig.weights()));
    for (const auto& parameter : rig.engine->parameters()) QVERIFY(!parameter.tensor.grad().defined());
  }

  void checkpointRoundTrip() {
    QTemporaryDir folder;
    const std::filesystem::path run = folder.path().toStdString();
    const CheckpointContents written = someContents(12);
    const auto info = writeCheckpoint(run, written);
    QVERIFY2(info, info ? "" : info.error().message().c_str());
    const auto read = readCheckpoint(info->path);
    QVERIFY2(read, read ? "" : read.error().message().c_str());
    QCOMPARE(read->trainer.step, int64_t{12});
    QCOMPARE(read->trainer.bestValue, 0.1 + 0.2);
    QCOMPARE(read->trainer.labels, written.trainer.labels);
    QVERIFY(at::equal(read->trainable.at("a.lora_A.weight"), written.trainable.at("a.lora_A.weight")));
    QVERIFY(at::equal(read->optimizer.at("a.lora_A.weight.exp_avg"), written.optimizer.at("a.lora_A.weight.exp_avg")));
    QVERIFY(read->method.empty());
    // The same step again takes the old one's place.
    CheckpointContents second = someContents(12);
    QVERIFY(writeCheckpoint(run, second));
    QVERIFY(at::equal(readCheckpoint(info->path)->trainable.at("a.lora_A.weight"), second.trainable.at("a.lora_A.weight")));
    QCOMPARE(listCheckpoints(run).size(), size_t{1});
  }

  void damagedCheckpointIsPassedOver() {
    QTemporaryDir folder;
    const std::filesystem::path run = folder.path().toStdString();
    QVERIFY(writeCheckpoint(run, someContents(3)));
    const auto newest = writeCheckpoint(run, someContents(6));
    const std::filesystem::path file = newest->path / "trainable.safetensors";
    for (const char* kind : {"flipped", "short", "absent"}) {
      QVERIFY(writeCheckpoint(run, someContents(6)));
      if (std::string(kind) == "flipped") {
        std::fstream bytes(file, std::ios::in | std::ios::out | std::ios::binary);
        bytes.seekg(-3, std::ios::end);
        const int was = bytes.get();
        bytes.seekp(-3, std::ios::end);
        bytes.put(static_cast<char>(was ^ 0x55));  // not a fixed byte, which the random weights may have there already
      } else if (std::string(kind) == "short") {
        std::filesystem::resize_file(file, std::filesystem::file_size(file) - 1);
      } else {
        std::filesystem::remove(file);
      }
      std::vector<Error> warnings;
      const auto found = findGoodCheckpoint(run, -1, warnings);
      QVERIFY2(found, kind);
      QCOMPARE(found->info.step, int64_t{3});
      QCOMPARE(warnings.size(), size_t{1});
      QVERIFY(warnings.front().where.find("trainable.safetensors") != std::string::npos);
      QVERIFY(!warnings.front().hint.empty());
    }
  }

  void pruningKeepsNewestAndBest() {
    QTemporaryDir folder;
    const std::filesystem::path run = folder.path().toStdString();
    for (int64_t step : {2, 4, 6, 8}) QVERIFY(writeCheckpoint(run, someContents(step)));
    std::filesystem::create_directory(run / "checkpoints" / ".writing-step-00000010");  // what a kill left
    pruneCheckpoints(run, 2, 2);
    std::vector<int64_t> steps;
    for (const auto& info : listCheckpoints(run)) steps.push_back(info.step);
    QCOMPARE(steps, (std::vector<int64_t>{8, 6, 2}));
    QVERIFY(!std::filesystem::exists(run / "checkpoints" / ".writing-step-00000010"));
  }

  void checkpointOnAReadOnlyPlace() {
    QTemporaryDir folder;
    const std::filesystem::path run = folder.path().toStdString();
    std::ofstream(run / "checkpoints") << "a file where the folder should be";
    const auto written = writeCheckpoint(run, someContents(1));
    QVERIFY(!written);
    QCOMPARE(written.error().code, ErrorCode::Io);
    QVERIFY(!written.error().hint.empty());
  }

  // A model out of a GGUF file takes its tokenizer along; one that nobody knows is told of.
  void tokenizerOutOfGguf() {
    using namespace gguf_file;
    QTemporaryDir home;
    const std::filesystem::path root = home.path().toStdString();
    const auto saved = [&](const char* pre) {
      const std::filesystem::path base = root / pre;
      std::filesystem::create_directories(base);
      std::ofstream(base / "model.gguf", std::ios::binary)
          << file({keyText("general.architecture", "llama"), keyText("tokenizer.ggml.model", "gpt2"),
                   keyText("tokenizer.ggml.pre", pre), keyTexts("tokenizer.ggml.tokens", {"a", "b", "ab"}),
                   keyTexts("tokenizer.ggml.merges", {"a b"})},
                  {});
      const FakeModel model;
      const auto remarks = saveModelFolder(base / "out", model, base, at::kFloat, {});
      if (!remarks) qFatal("%s", remarks.error().message().c_str());
      return *remarks;
    };
    std::vector<std::string> remarks = saved("gpt-2");
    QCOMPARE(remarks.size(), size_t{1});
    QVERIFY(remarks[0].find("from the base model's GGUF file") != std::string::npos);
    const auto tokenizer = loadTokenizer(root / "gpt-2/out");
    QVERIFY2(tokenizer.ok(), tokenizer.ok() ? "" : tokenizer.error().message().c_str());
    QCOMPARE((*tokenizer)->encode("ab").ids, (std::vector<int32_t>{2}));
    remarks = saved("poro-chat");
    QCOMPARE(remarks.size(), size_t{1});
    QVERIFY2(remarks[0].find("no tokenizer was written") == 0 && remarks[0].find("poro-chat") != std::string::npos, remarks[0].c_str());
    QVERIFY(std::filesystem::exists(root / "poro-chat/out/config.json"));
    QVERIFY(!std::filesystem::exists(root / "poro-chat/out/tokenizer.json"));
  }
};

QTEST_GUILESS_MAIN(TrainParts)
#include "parts.moc"
