// Residual networks against the published numbers (torchvision's are golden_check's), the CIFAR network's reference
// accuracy; batch norms in training, frozen and recomputed; what full fine-tuning saves and resumes.

#include "golden_case.h"

#include <QTemporaryDir>

#include "core/config/files.h"
#include "core/io/safetensors_writer.h"
#include "core/methods/registry.h"
#include "core/models/resnet_layout.h"
#include "tests/support/fake_training.h"

using namespace rankscope;
using namespace rankscope::testing;
using test::attached;
using test::smallSettings;

namespace {

std::unique_ptr<Model> loadImages(const std::filesystem::path& folder, int64_t labels, at::ScalarType dtype = at::kFloat) {
  ModelLoadOptions options;
  options.head = HeadKind::ImageClassification;
  options.numLabels = labels;
  options.dtype = dtype;
  auto model = loadModel(folder, options);
  if (!model) qFatal("%s", model.error().message().c_str());
  return std::move(model).value();
}

PackedBatch imageBatch(const at::Tensor& pixels, const at::Tensor& labels = {}) {
  PackedBatch batch;
  batch.pixels = pixels;
  batch.labels = labels;
  for (int64_t i = 0; i <= pixels.size(0); ++i) batch.starts.push_back(i);
  return batch;
}

// A small network in a folder of its own, weights drawn.
struct SmallNetwork {
  QTemporaryDir folder;
  std::filesystem::path path;
  explicit SmallNetwork(const nlohmann::json& changes = {}) : path(folder.path().toStdString()) {
    nlohmann::json config = {{"model_type", "resnet"},   {"embedding_size", 8},     {"hidden_sizes", {8, 12, 16}},
                             {"depths", {1, 2, 1}},      {"layer_type", "basic"},   {"num_channels", 3},
                             {"id2label", {{"0", "a"}, {"1", "b"}, {"2", "c"}}}};
    if (changes.is_object()) config.update(changes);
    (void)writeFileAtomically(path / "config.json", config.dump());
  }
  std::unique_ptr<Model> model(uint64_t seed = 3) const {
    ModelLoadOptions options;
    options.head = HeadKind::ImageClassification;
    options.numLabels = 3;
    options.randomInit = true;
    options.seed = seed;
    auto made = loadModel(path, options);
    if (!made) qFatal("%s", made.error().message().c_str());
    return std::move(made).value();
  }
};

NamedTensors weightsOf(const Model& model) {
  NamedTensors weights;
  for (const ParameterTable* table : {&model.parameters(), &model.buffers()})
    for (const auto& entry : table->entries()) weights.emplace_back(entry.name, entry.tensor);
  return weights;
}

// The model's weights, after they were written beside its config.json.
NamedTensors saved(const SmallNetwork& small, const Model& model) {
  NamedTensors weights = weightsOf(model);
  if (auto written = writeModelWeights(small.path, weights); !written) qFatal("%s", written.error().message().c_str());
  return weights;
}

PackedBatch drawnBatch(int64_t images = 4, int64_t side = 32) {
  const auto pixels = at::arange(images * 3 * side * side, at::kFloat).mul(0.7391).sin().view({images, 3, side, side});
  return imageBatch(pixels, at::arange(images, at::kLong).remainder(3));
}

#define CLOSE(actual, expected, atol, rtol)                                                                  \
  do {                                                                                                       \
    const auto a_ = (actual).detach().to(at::kDouble), e_ = (expected).to(at::kDouble);                      \
    QVERIFY2(a_.sizes() == e_.sizes(), "shapes differ");                                                     \
    QVERIFY2(((a_ - e_).abs() - (rtol) * e_.abs()).max().item<double>() <= (atol),                           \
             qPrintable(QString("%1: off by %2").arg(#actual).arg(worst(a_, e_))));                          \
  } while (false)

}  // namespace

class Resnets : public QObject {
  Q_OBJECT
 private:
  static bool haveShared() { return std::filesystem::exists(sharedFolder() / "reference"); }

 private Q_SLOTS:
  void publishedNames_data() {
    QTest::addColumn<bool>("recompute");
    QTest::newRow("plain") << false;
    QTest::newRow("recomputed") << true;
  }
  void publishedNames() {
    if (!haveShared()) QSKIP("the reference folder is not here");
    QFETCH(bool, recompute);
    const GoldenCase golden("resnet18_hf");
    auto model = loadImages(golden.folder, 10);
    QVERIFY(model->loadReport().unused.empty() && model->loadReport().newlyInitialised.empty());
    model->gradientCheckpointing = recompute;
    const auto batch = imageBatch(golden.get("in/pixel_values"), golden.get("in/labels"));
    ForwardContext context;
    {
      at::NoGradGuard off;
      CLOSE(model->logits(batch, context), golden.get("out/logits"), golden.tolerance("logits_atol"), 0);
      const auto states = model->hiddenStates(batch, context);
      QCOMPARE(states.size(), size_t{5});
      for (size_t i = 0; i < states.size(); ++i)
        CLOSE(states[i], golden.get("out/hidden_states." + std::to_string(i)), 2e-4, 0);
    }
    // Gradients under the checkpoint's statistics, then one pass in training mode, which moves them.
    auto method = attached(*model, smallSettings("full"));
    const auto loss = model->loss(batch, context);
    CLOSE(loss.reshape({1}), golden.get("out/loss"), 1e-5, 0);
    loss.backward();
    int compared = 0;
    for (const auto& [key, value] : golden.meta["tensors"].items())
      if (key.starts_with("grad/")) {
        CLOSE(model->parameters().at(key.substr(5)).grad(), golden.get(key), golden.tolerance("grad_atol"), golden.tolerance("grad_rtol"));
        ++compared;
      }
    QCOMPARE(compared, 3);
    context.training = true;
    const auto trained = model->loss(batch, context);
    CLOSE(trained.reshape({1}), golden.get("train/loss"), 1e-5, 0);
    trained.backward();
    const std::string norm = "resnet.embedder.embedder.normalization.";
    for (const char* name : {"running_mean", "running_var"})
      CLOSE(model->buffers().at(norm + name), golden.get("train/after/" + norm + name), 1e-6, 1e-5);
  }

  // Both files of the CIFAR network, one with its names inside a wrapper; neither has a config.json.
  void cifarReference_data() {
    QTest::addColumn<QString>("file");
    QTest::newRow("th") << "resnet20-12fca82f.th";
    QTest::newRow("safetensors") << "resnet20-12fca82f.safetensors";
  }
  void cifarReference() {
    const auto folder = sharedFolder() / "data/models/resnet_cifar10";
    const auto records = sharedFolder() / "data/cifar10/cifar-10-batches-bin/test_batch_500.bin";
    if (!std::filesystem::exists(records)) QSKIP("the CIFAR data is not here");
    QFETCH(QString, file);
    auto reference = readJsonFile(folder / "reference.json");
    QVERIFY(reference.ok());
    auto model = loadImages(folder / file.toStdString(), 10);
    QCOMPARE(model->numLayers(), int64_t{9});
    QVERIFY(model->loadReport().unused.empty() && model->loadReport().newlyInitialised.empty());
    auto bytes = readFileBounded(records, size_t{1} << 24);
    QVERIFY(bytes.ok());
    const auto all = at::from_blob(bytes->data(), {500, 3073}, at::kByte);
    const auto mean = at::tensor({0.485, 0.456, 0.406}, at::kFloat).view({1, 3, 1, 1});
    const auto deviation = at::tensor({0.229, 0.224, 0.225}, at::kFloat).view({1, 3, 1, 1});
    const auto pixels = (all.slice(1, 1).to(at::kFloat).div(255).reshape({500, 3, 32, 32}) - mean) / deviation;
    at::NoGradGuard off;
    ForwardContext context;
    const auto logits = model->logits(imageBatch(pixels.contiguous()), context);
    const auto right = logits.argmax(1).eq(all.select(1, 0).to(at::kLong)).sum().item<int64_t>();
    QCOMPARE(right, (*reference)["correct_of_500"].get<int64_t>());
    for (int64_t i = 0; i < 3; ++i)
      CLOSE(logits[i], at::tensor((*reference)["logits_first_3"][static_cast<size_t>(i)].get<std::vector<double>>()), 2e-5, 0);
  }

  void bareConfigs() {
    QVERIFY(!bareResnetConfig({}));
    QVERIFY(!bareResnetConfig({{"conv1.weight", Dtype::F32, {64, 3, 7, 7}}, {"fc.weight", Dtype::F32, {10, 512}}}));
    std::vector<TensorInfo> tensors = {{"net.conv1.weight", Dtype::F32, {16, 1, 3, 3}}, {"net.linear.weight", Dtype::F32, {5, 32}}};
    for (const char* name : {"layer1.0", "layer1.1", "layer2.0"})
      for (const char* conv : {".conv1.weight", ".conv2.weight"})
        tensors.push_back({std::string("net.") + name + conv, Dtype::F32, {name[5] == '1' ? 16 : 32, 16, 3, 3}});
    const auto config = bareResnetConfig(tensors);
    QVERIFY(config);
    QCOMPARE((*config)["depths"], (nlohmann::json{2, 1}));
    QCOMPARE((*config)["hidden_sizes"], (nlohmann::json{16, 32}));
    QVERIFY((*config)["shortcut"] == "padding" && (*config)["stem"] == "3x3" && (*config)["num_labels"] == 5);
    const auto layout = readResnetLayout(*config);
    QCOMPARE(layout.stages[1][0].padChannels, int64_t{8});
    QVERIFY(layout.classifier == "linear" && !layout.stemPools && layout.channels == 1);
  }

  void badConfigs_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    QTest::newRow("type") << "layer_type" << "\"dense\"";
    QTest::newRow("stages") << "depths" << "[1, 2]";
    QTest::newRow("none") << "hidden_sizes" << "[]";
    QTest::newRow("negative") << "depths" << "[1, -2, 1]";
    QTest::newRow("huge") << "hidden_sizes" << "[8, 1000000000000, 16]";
    QTest::newRow("text") << "embedding_size" << "\"8\"";
    QTest::newRow("activation") << "hidden_act" << "\"mish\"";
  }
  void badConfigs() {
    QFETCH(QString, key);
    QFETCH(QString, value);
    nlohmann::json change;
    change[key.toStdString()] = nlohmann::json::parse(value.toStdString());
    const SmallNetwork small(change);
    ModelLoadOptions options;
    options.head = HeadKind::ImageClassification;
    options.randomInit = true;
    const auto model = loadModel(small.path, options);
    QVERIFY(!model.ok());
    QVERIFY2(model.error().message().find(key.toStdString()) != std::string::npos || key == "depths", model.error().message().c_str());
    QVERIFY(!model.error().hint.empty());
  }

  void bf16NearFp32() {
    const SmallNetwork small;
    auto wide = small.model();
    auto weights = saved(small, *wide);
    auto narrow = loadImages(small.path, 3, at::kBFloat16);
    QVERIFY(narrow->loadReport().newlyInitialised.empty());
    QCOMPARE(narrow->buffers().at("resnet.embedder.embedder.normalization.running_var").scalar_type(), at::kFloat);
    at::NoGradGuard off;
    ForwardContext context;
    const auto batch = drawnBatch();
    const auto a = wide->logits(batch, context), b = narrow->logits(batch, context);
    QCOMPARE(b.scalar_type(), at::kFloat);
    QVERIFY2(worst(a, b) < 0.03 * a.abs().max().item<double>(), qPrintable(QString::number(worst(a, b))));
    // Saved and loaded, the same outputs.
    auto again = loadImages(small.path, 3);
    QVERIFY(at::equal(again->logits(batch, context), a));
  }

  // A new number of classes is a new head, told; the rest is the checkpoint's.
  void anotherNumberOfClasses() {
    const SmallNetwork small;
    auto wide = small.model();
    auto weights = saved(small, *wide);
    auto model = loadImages(small.path, 7);
    QCOMPARE(model->loadReport().newlyInitialised, (std::vector<std::string>{"classifier.1.weight", "classifier.1.bias"}));
    QCOMPARE(model->numLabels(), int64_t{7});
    QCOMPARE(model->sites().back()->outFeatures, int64_t{7});
    MethodSettings settings;
    settings.targetModules = {"classifier.1"};
    auto lora = makeMethod(settings);
    const auto ok = (*lora)->attach(*model);
    QVERIFY(!ok.ok() && ok.error().hint.find("full") != std::string::npos);
    weights.erase(weights.begin());
    QVERIFY(writeModelWeights(small.path, weights).ok());
    ModelLoadOptions options;
    options.head = HeadKind::ImageClassification;
    const auto incomplete = loadModel(small.path, options);
    QVERIFY(!incomplete.ok() && incomplete.error().found.find("convolution") != std::string::npos);
  }

  // In training the statistics move once a pass, whether blocks are recomputed or not, and gradients are the same.
  void recomputingMovesStatisticsOnce() {
    const SmallNetwork small;
    std::vector<at::Tensor> means, gradients;
    for (const bool recompute : {false, true}) {
      auto model = small.model();
      model->gradientCheckpointing = recompute;
      auto method = attached(*model, smallSettings("full"));
      ForwardContext context;
      context.training = true;
      model->loss(drawnBatch(), context).backward();
      for (const auto& entry : model->buffers().entries()) means.push_back(entry.tensor.clone());
      for (const auto& entry : model->parameters().entries()) gradients.push_back(entry.tensor.grad());
    }
    const size_t half = means.size() / 2, count = gradients.size() / 2;
    for (size_t i = 0; i < half; ++i) QVERIFY(at::equal(means[i], means[i + half]));
    for (size_t i = 0; i < count; ++i) QVERIFY(at::allclose(gradients[i], gradients[i + count], 1e-5, 1e-7));
    QVERIFY(means[0].abs().max().item<double>() > 0);
  }

  // A frozen base keeps its statistics; the classifier that the checkpoint brought may carry an adapter and merge.
  void adapterOnTheClassifier() {
    const SmallNetwork small;
    auto drawn = small.model();
    saved(small, *drawn);
    auto model = loadImages(small.path, 3);
    const auto before = model->buffers().at("resnet.embedder.embedder.normalization.running_mean").clone();
    auto method = attached(*model, smallSettings("lora", {}, {"classifier.1"}));
    QCOMPARE(method->trainable().size(), size_t{2});
    for (const auto& parameter : method->trainable()) {
      at::NoGradGuard off;
      auto tensor = parameter.tensor;
      tensor.normal_(0, 0.1);
    }
    ForwardContext context;
    context.training = true;
    const auto batch = drawnBatch();
    const auto loss = model->loss(batch, context);
    loss.backward();
    for (const auto& parameter : method->trainable()) QVERIFY(parameter.tensor.grad().defined());
    QVERIFY(at::equal(model->buffers().at("resnet.embedder.embedder.normalization.running_mean"), before));
    at::NoGradGuard off;
    context.training = false;
    const auto adapted = model->logits(batch, context);
    QVERIFY(method->merge(*model).ok());
    CLOSE(model->logits(batch, context), adapted, 1e-5, 1e-5);
  }

  // METHODS 21: A of the base's geometry, B of 1×1; the update merges exactly; files as PEFT has them.
  void adaptersOnConvolutions_data() {
    QTest::addColumn<QString>("method");
    QTest::addColumn<QString>("options");
    QTest::addRow("LoRA") << "lora" << "{}";
    QTest::addRow("DoRA") << "dora" << "{}";
    QTest::addRow("PiSSA") << "pissa" << "{}";
  }
  void adaptersOnConvolutions() {
    QFETCH(QString, method);
    QFETCH(QString, options);
    const SmallNetwork small;
    auto model = small.model(), other = small.model(), base = small.model();
    auto settings = smallSettings(method.toStdString(), nlohmann::json::parse(options.toStdString()), {"convolution"});
    settings.rank = 2;
    auto adapters = attached(*model, settings);
    const auto batch = drawnBatch();
    ForwardContext context;
    {
      const at::NoGradGuard off;
      CLOSE(model->logits(batch, context), base->logits(batch, context), 1e-5, 1e-5);
    }
    QCOMPARE(adapters->changedSites().size() + 1, model->sites().size());
    int64_t expected = 0, factors = 0;
    for (const LinearSite* site : adapters->changedSites()) {
      const auto& c = site->convolution;
      QCOMPARE(site->inFeatures, c.channels * c.kernel * c.kernel);
      expected += settings.rank * (site->inFeatures + site->outFeatures) + (method == "dora" ? site->outFeatures : 0);
    }
    for (const auto& parameter : adapters->trainable())
      if (parameter.name.find(".lora_") != std::string::npos) factors += parameter.tensor.numel();
    QCOMPARE(factors, expected);
    test::disturb(*adapters, 0.05);

    context.training = true;
    model->loss(batch, context).backward();
    for (const auto& parameter : adapters->trainable()) QVERIFY(parameter.tensor.grad().defined());
    context.training = false;
    const at::NoGradGuard off;
    const auto adapted = model->logits(batch, context);
    // Recomputed blocks give the same gradients.
    std::vector<at::Tensor> gradients;
    for (const auto& parameter : adapters->trainable()) gradients.push_back(parameter.tensor.grad().clone());
    {
      const at::AutoGradMode on(true);
      for (const auto& parameter : adapters->trainable()) parameter.tensor.mutable_grad() = at::Tensor();
      model->gradientCheckpointing = context.training = true;
      model->loss(batch, context).backward();
      context.training = false;
    }
    size_t next = 0;
    for (const auto& parameter : adapters->trainable()) CLOSE(parameter.tensor.grad(), gradients[next++], 1e-6, 1e-5);

    const auto files = adapters->adapterTensors();
    const std::string stem = "base_model.model.resnet.embedder.embedder.convolution.";
    const int64_t fileRank = method == "pissa" ? 4 : 2;
    const auto& conv = *model->sites().front();
    QCOMPARE(files.at(stem + "lora_A.weight").sizes().vec(),
             (std::vector<int64_t>{fileRank, conv.convolution.channels, conv.convolution.kernel, conv.convolution.kernel}));
    QCOMPARE(files.at(stem + "lora_B.weight").sizes().vec(), (std::vector<int64_t>{conv.outFeatures, fileRank, 1, 1}));
    if (method == "dora")
      QCOMPARE(files.at(stem + "lora_magnitude_vector").sizes().vec(), (std::vector<int64_t>{1, conv.outFeatures, 1, 1}));
    auto again = attached(*other, settings);
    QVERIFY(again->loadAdapterTensors(test::copiesOf(files)).ok());
    QVERIFY(at::equal(other->logits(batch, context), adapted));
    const auto merged = adapters->merge(*model);
    QVERIFY2(merged.ok(), merged.ok() ? "" : merged.error().message().c_str());
    CLOSE(model->logits(batch, context), adapted, 1e-4, 1e-4);
  }

  // PEFT finds no layers in these names: chosen ones are written out.
  void layersOfConvolutions() {
    const SmallNetwork small;
    auto model = small.model();
    auto settings = smallSettings("lora", {}, {"convolution"});
    settings.layersToTransform = {"1"};
    const auto adapters = attached(*model, settings);
    const auto config = adapters->adapterConfig(*model, "");
    QVERIFY(config["layers_to_transform"].is_null());
    QCOMPARE(config["target_modules"].size(), adapters->changedSites().size());
    for (const LinearSite* site : adapters->changedSites()) QCOMPARE(site->layer, int64_t{1});
    auto plain = small.model();
    const auto refused = (*makeMethod(smallSettings("adalora", {}, {"convolution"})))->attach(*plain);
    QVERIFY(!refused.ok() && refused.error().found.find("convolution") != std::string::npos);
    const auto none = (*makeMethod(smallSettings("lora", {}, {"all-linear"})))->attach(*plain);
    QVERIFY(!none.ok() && none.error().hint.find("onvolution") != std::string::npos);
    const auto bits = (*makeMethod(smallSettings("qlora", {}, {"convolution"})))->attach(*plain);
    QVERIFY(!bits.ok() && bits.error().where == "method.base");
  }

  void statisticsAreSavedAndResumed() {
    const SmallNetwork small;
    auto one = small.model(), two = small.model();
    auto methodOne = attached(*one, smallSettings("full")), methodTwo = attached(*two, smallSettings("full"));
    ForwardContext context;
    context.training = true;
    (void)one->loss(drawnBatch(), context);
    const auto state = methodOne->state();
    QCOMPARE(state.size(), one->buffers().entries().size());
    QVERIFY(methodTwo->loadState(state).ok());
    for (const auto& entry : one->buffers().entries()) QVERIFY(at::equal(entry.tensor, two->buffers().at(entry.name)));
    auto broken = state;
    broken.erase(broken.begin());
    QVERIFY(!methodTwo->loadState(broken).ok());
  }

  void textForImages() {
    const SmallNetwork small;
    auto model = small.model();
    PackedBatch words;
    words.inputIds = at::zeros({3}, at::kLong);
    words.starts = {0, 3};
    ForwardContext context;
    QVERIFY_THROWS_EXCEPTION(ErrorException, model->logits(words, context));
    ModelLoadOptions options;
    options.head = HeadKind::CausalLm;
    options.randomInit = true;
    QVERIFY(!loadModel(small.path, options).ok());
  }
};

QTEST_GUILESS_MAIN(Resnets)
#include "resnet.moc"
