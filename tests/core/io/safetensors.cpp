// Tensors to bytes and back: every dtype, views that outlive their reader, shards, and the shared real files.

#include <filesystem>
#include <fstream>

#include "core/io/safetensors.h"
#include "core/io/safetensors_writer.h"
#include "core/io/shard_index.h"
#include "core/io/weight_source.h"

using namespace rankscope;
namespace fs = std::filesystem;

class SafetensorsTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void roundTripOfEveryDtype() {
    QTemporaryDir dir;
    const fs::path path = fs::path(dir.path().toStdString()) / "all.safetensors";
    NamedTensors tensors;
    for (const at::ScalarType type :
         {at::kBool, at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kHalf, at::kBFloat16, at::kFloat,
          at::kDouble, at::kComplexFloat, at::kUInt16, at::kUInt32, at::kUInt64, at::kFloat8_e4m3fn, at::kFloat8_e5m2,
          at::kFloat8_e8m0fnu}) {
      at::Tensor bytes = at::randint(0, 2, {3, 5 * static_cast<int64_t>(c10::elementSize(type))}, at::kByte);
      tensors.emplace_back(std::string("t.") + c10::toString(type), bytes.view(type));
    }
    tensors.emplace_back("scalar", at::scalar_tensor(2.5));
    tensors.emplace_back("empty", at::empty({0, 4}));
    tensors.emplace_back("strided", at::arange(12, at::kFloat).view({3, 4}).t());
    tensors.emplace_back("näme/with \"quotes\"", at::ones({2}));
    const Result<uint64_t> written = writeSafetensors(path, tensors);
    QVERIFY2(written.ok(), written.ok() ? "" : written.error().message().c_str());
    QCOMPARE(*written, uint64_t{fs::file_size(path)});
    const auto file = SafetensorsFile::open(path);
    QVERIFY2(file.ok(), file.ok() ? "" : file.error().message().c_str());
    QCOMPARE((*file)->header().dataStart % 8, uint64_t{0});
    QCOMPARE((*file)->header().metadata.at("format"), std::string("pt"));
    QCOMPARE((*file)->header().tensors.size(), tensors.size());
    for (const auto& [name, tensor] : tensors) {
      const Result<at::Tensor> read = (*file)->tensor(name);
      QVERIFY2(read.ok(), name.c_str());
      QCOMPARE(read->scalar_type(), tensor.scalar_type());
      QVERIFY(read->sizes() == tensor.sizes());
      if (tensor.numel() == 0 || tensor.dim() == 0) continue;
      QVERIFY2(at::equal(read->contiguous().view(at::kByte), tensor.contiguous().view(at::kByte)), name.c_str());
      // Wide dtypes first: every tensor lies on its natural alignment, so each is a view onto the file.
      const TensorInfo* info = (*file)->info(name);
      QCOMPARE((info->begin + (*file)->header().dataStart) % tensor.element_size(), uint64_t{0});
    }
    QVERIFY(!(*file)->tensor("absent").ok());
    // The same content gives the same bytes.
    const fs::path again = path.parent_path() / "again.safetensors";
    std::reverse(tensors.begin(), tensors.end());
    QVERIFY(writeSafetensors(again, tensors).ok());
    std::ifstream a(path, std::ios::binary), b(again, std::ios::binary);
    QVERIFY(std::equal(std::istreambuf_iterator<char>(a), {}, std::istreambuf_iterator<char>(b), {}));
  }

  void viewsOutliveTheFile() {
    QTemporaryDir dir;
    const fs::path path = fs::path(dir.path().toStdString()) / "one.safetensors";
    QVERIFY(writeSafetensors(path, {{"w", at::arange(1000, at::kFloat)}}).ok());
    at::Tensor slice;
    {
      const auto file = SafetensorsFile::open(path);
      const at::Tensor first = (*file)->tensor("w").value(), second = (*file)->tensor("w").value();
      QCOMPARE(first.data_ptr(), second.data_ptr());  // no copy
      slice = first.slice(0, 990);
    }
    fs::remove(path);
    QCOMPARE(slice.sum().item<float>(), 990.f * 10 + 45);
    slice.fill_(1);  // private memory: no crash
    QCOMPARE(slice.sum().item<float>(), 10.f);
  }

  void misalignedTensorIsCopied() {
    QTemporaryDir dir;
    const fs::path path = fs::path(dir.path().toStdString()) / "odd.safetensors";
    const std::string header =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]}}";
    std::string bytes(8, '\0');
    bytes[0] = static_cast<char>(header.size());
    bytes += header + "\x07" + std::string("\0\0\x80\x3f", 4);
    std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    const auto file = SafetensorsFile::open(path);
    QVERIFY(file.ok());
    QCOMPARE((*file)->tensor("b")->item<float>(), 1.f);
    QCOMPARE((*file)->tensor("a")->item<uint8_t>(), uint8_t{7});
  }

  void refusesWhatCannotBeWritten() {
    QTemporaryDir dir;
    const fs::path path = fs::path(dir.path().toStdString()) / "x.safetensors";
    QVERIFY(!writeSafetensors(path, {{"a", at::ones({1})}, {"a", at::ones({1})}}).ok());
    QVERIFY(!writeSafetensors(path, {{"", at::ones({1})}}).ok());
    QVERIFY(!writeSafetensors(path, {{"__metadata__", at::ones({1})}}).ok());
    QVERIFY(!writeSafetensors(path, {{"a", at::Tensor()}}).ok());
    QVERIFY(!writeSafetensors(path, {{"a", at::ones({1}, at::kComplexDouble)}}).ok());
    QVERIFY(!writeSafetensors(path.parent_path() / "none" / "x", {{"a", at::ones({1})}}).ok());
    QVERIFY(!fs::exists(path));
    QVERIFY(writeSafetensors(path, {}).ok());
    QVERIFY(SafetensorsFile::open(path).ok());
  }

  void shardsAreOneTable() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    NamedTensors tensors;
    for (int i = 0; i < 10; ++i) tensors.emplace_back("layer." + std::to_string(i), at::full({100}, i, at::kFloat));
    SafetensorsWriteOptions options;
    options.maxShardBytes = 1000;
    QVERIFY(writeModelWeights(folder, tensors, options).ok());
    QVERIFY(fs::exists(folder / "model-00001-of-00005.safetensors"));
    const auto source = WeightSource::open(folder);
    QVERIFY2(source.ok(), source.ok() ? "" : source.error().message().c_str());
    QCOMPARE(source->names().size(), size_t{10});
    for (int i = 0; i < 10; ++i)
      QCOMPARE(source->tensor("layer." + std::to_string(i))->mean().item<float>(), static_cast<float>(i));
    QCOMPARE(source->tensor("layer.1", at::kBFloat16)->scalar_type(), at::kBFloat16);
    const Result<at::Tensor> absent = source->tensor("layer.10");
    QVERIFY(!absent.ok());
    QVERIFY(absent.error().hint.find("layer.") != std::string::npos);
    const auto summary = inspectWeights(folder);
    QVERIFY(summary.ok());
    QCOMPARE(summary->parameters, uint64_t{1000});
    QCOMPARE(summary->mainDtype, std::string("F32"));
    // Written again in one file, the shards are gone.
    QVERIFY(writeModelWeights(folder, tensors).ok());
    QCOMPARE(findWeightFiles(folder)->files.size(), size_t{1});
    QVERIFY(!fs::exists(folder / "model-00001-of-00005.safetensors"));
    QVERIFY(!fs::exists(folder / "model.safetensors.index.json"));
  }

  void indexAndShardsMustAgree() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    QVERIFY(writeSafetensors(folder / "a.safetensors", {{"w", at::ones({1})}}).ok());
    std::ofstream(folder / "model.safetensors.index.json")
        << R"({"weight_map":{"w":"a.safetensors","v":"a.safetensors"}})";
    const auto source = WeightSource::open(folder);
    QVERIFY(!source.ok());
    QVERIFY(source.error().message().find("lacks a tensor") != std::string::npos);
  }

  void sharedFiles() {
    const fs::path shared = qEnvironmentVariable("RANKSCOPE_SHARED").toStdString();
    if (!fs::exists(shared / "reference")) return;
    int files = 0;
    for (const char* place : {"reference/golden", "data/models"})
      for (const fs::directory_entry& entry : fs::recursive_directory_iterator(shared / place)) {
        if (entry.path().extension() != ".safetensors") continue;
        const auto file = SafetensorsFile::open(entry.path());
        QVERIFY2(file.ok(), entry.path().c_str());
        for (const TensorInfo& tensor : (*file)->header().tensors) QVERIFY((*file)->tensor(tensor.name).ok());
        ++files;
      }
    QVERIFY(files > 20);
    const auto stories = inspectWeights(shared / "data/models/stories260K/hf");
    QVERIFY(stories.ok());
    QCOMPARE(stories->mainDtype, std::string("F32"));
    QVERIFY(stories->parameters > 250000 && stories->parameters < 300000);
  }
};

QTEST_APPLESS_MAIN(SafetensorsTest)
#include "safetensors.moc"
