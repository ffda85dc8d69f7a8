// PyTorch's files, read without PyTorch: what they hold, and everything that must be refused, by the right words.

#include <unistd.h>
#include <QtTest/QtTest>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "archive_builder.h"
#include "broken_files.h"
#include "core/io/torch_file.h"
#include "core/io/weight_formats.h"
#include "core/io/zip_archive.h"

using namespace rankscope;
using namespace archive;
namespace fs = std::filesystem;

namespace {

std::string one() { return tensor(storage("FloatStorage", "0", 6), 0, {2, 3}, {3, 1}); }
std::string sound() { return torchZip(dictPickle({{"w", one()}}), {floats({1, 2, 3, 4, 5, 6})}); }
std::string soundLegacy() { return legacy(dictPickle({{"w", one()}}), {{"0", floats({1, 2, 3, 4, 5, 6})}}); }

std::string messageOf(const std::string& bytes) {
  const Result<TorchLayout> layout = parseTorchFile(bytes, "file");
  if (layout) return {};
  return layout.error().hint.empty() ? "no hint" : layout.error().message();
}

std::string pickled(const std::string& value) {
  return torchZip(dictPickle({{"w", value}}), {floats({1, 2, 3, 4, 5, 6})});
}
std::string raw(const std::string& pickle) { return torchZip(pickle, {floats({1, 2, 3, 4, 5, 6})}); }
std::string cut(std::string bytes, size_t end) {
  bytes.resize(end);
  return bytes;
}

std::vector<BrokenFile> brokenFiles() {
  const std::string data = floats({1, 2, 3, 4, 5, 6}), dict = dictPickle({{"w", one()}});
  const auto entries = [&](const Entry& changed) { return zip({{"m/data.pkl", dict}, changed}); };
  const Entry weights{"m/data/0", data};
  const auto with = [&](auto change) {
    Entry e = weights;
    change(e);
    return entries(e);
  };
  return {
      // the archive
      {"empty", "", "no PyTorch checkpoint"},
      {"text", "hello", "no PyTorch checkpoint"},
      {"bare pickle", "\x80\x02}.", "bare pickle"},
      {"only the first signature", std::string("PK\x03\x04"), "has no end"},
      {"cut in half", cut(sound(), sound().size() / 2), "has no end"},
      {"last byte missing", cut(sound(), sound().size() - 1), "has no end"},
      {"byte behind the end", sound() + "x", "has no end"},
      {"compressed", with([](Entry& e) { e.method = 8; }), "compressed"},
      {"bzip2", with([](Entry& e) { e.method = 12; }), "method 12"},
      {"encrypted", with([](Entry& e) { e.flags = 1; }), "encrypted"},
      {"strongly encrypted", with([](Entry& e) { e.flags = 64; }), "encrypted"},
      {"two sizes", with([](Entry& e) { e.storedSize = 20; }), "sizes of a stored entry differ"},
      {"size larger than the file", with([](Entry& e) { e.size = e.storedSize = 1 << 20; }), "contradicts"},
      {"own header of another size", with([](Entry& e) { e.localSize = 20; }), "contradicts"},
      {"own header of another name", with([](Entry& e) { e.localName = "m/data/1"; }), "contradicts"},
      {"offset into the table", with([](Entry& e) { e.offset = 100000; }), "behind the table"},
      {"offset at no header", with([](Entry& e) { e.offset = 5; }), "no header"},
      {"the same entry twice", zip({{"m/data.pkl", dict}, weights, weights}), "same name"},
      {"two entries over the same bytes",
       zip({{"m/data.pkl", dict},
            weights,
            [&] {
              Entry e = weights;
              e.offset = static_cast<int64_t>(30 + 10 + dict.size());
              e.bytes = "";
              e.size = e.storedSize = static_cast<int64_t>(data.size());
              return e;
            }()}),
       "overlap"},
      {"table cut off", zip({{"m/data.pkl", dict}, weights}, {.entries = 3}), "breaks off"},
      {"entry behind the table", zip({{"m/data.pkl", dict}, weights}, {.entries = 1}), "follow the archive's table"},
      {"table at another place", zip({{"m/data.pkl", dict}, weights}, {.tableOffset = 3}), "does not lie where"},
      {"table of another size", zip({{"m/data.pkl", dict}, weights}, {.tableSize = 3}), "does not lie where"},
      {"part of several", zip({{"m/data.pkl", dict}, weights}, {.disk = 1}), "part of several"},
      {"too many entries", zip({{"m/data.pkl", dict}, weights}, {.entries = 0xFFFF}), "64-bit record"},
      {"bytes behind the table", zip({{"m/data.pkl", dict}, weights}, {.afterTable = "abc"}), "does not lie where"},
      {"no table of tensors", zip({weights}), "holds no table of tensors"},
      {"two tables of tensors", zip({{"m/data.pkl", dict}, {"n/data.pkl", dict}, weights}), "two tables"},
      {"TorchScript", zip({{"m/data.pkl", dict}, {"m/constants.pkl", ""}, weights}), "TorchScript"},
      {"big-endian", zip({{"m/data.pkl", dict}, {"m/byteorder", "big"}, weights}), "big-endian"},
      {"storage missing", torchZip(dict, {}), "storage is missing"},
      {"storage too short", torchZip(dict, {floats({1, 2})}), "another size"},
      {"storage too long", torchZip(dict, {floats({1, 2, 3, 4, 5, 6, 7})}), "another size"},
      // foreign code
      {"os.system", raw("\x80\x02" + name("os", "system") + tuple({text("id")}) + "R."), "os.system"},
      {"posix.system", raw("\x80\x02" + name("posix", "system") + "."), "posix.system"},
      {"builtins.eval", raw("\x80\x02" + name("builtins", "eval") + "."), "builtins.eval"},
      {"builtins.getattr", raw("\x80\x02" + name("__builtin__", "getattr") + "."), "getattr"},
      {"subprocess.Popen", raw("\x80\x02" + name("subprocess", "Popen") + "."), "subprocess.Popen"},
      {"runpy", raw("\x80\x02" + name("runpy", "_run_code") + "."), "runpy._run_code"},
      {"numpy scalar", raw("\x80\x02" + name("numpy.core.multiarray", "scalar") + "."), "numpy.core.multiarray.scalar"},
      {"argparse", raw("\x80\x02" + name("argparse", "Namespace") + ")\x81."), "argparse.Namespace"},
      {"nested loader", raw("\x80\x02" + name("torch.storage", "_load_from_bytes") + "."), "_load_from_bytes"},
      {"typed subclass", raw("\x80\x02" + name("torch._tensor", "_rebuild_from_type_v2") + "."),
       "_rebuild_from_type_v2"},
      {"name from the stack",
       raw("\x80\x04"
           "\x8c\x02os\x8c\x06system\x93."),
       "os.system"},
      {"class instance", raw("\x80\x02" + name("collections", "OrderedDict") + ")\x81."), "object of a class"},
      {"instance by name", raw("\x80\x02(ios\nsystem\n."), "object of a class"},
      {"extension code", raw("\x80\x02\x82\x01."), "instruction"},
      {"attributes of a number", raw("\x80\x02K\x01}b."), "sets attributes"},
      {"call of a number", raw("\x80\x02K\x01)R."), "no function"},
      {"call of a storage type", raw("\x80\x02" + name("torch", "FloatStorage") + ")R."), "no function"},
      // the pickle's machine
      {"protocol 0", raw("\x80" + std::string(1, '\0') + "}."), "protocol"},
      {"protocol 5", raw("\x80\x05}."), "protocol"},
      {"nothing", raw(""), "breaks off"},
      {"no end", raw("\x80\x02}"), "breaks off"},
      {"stack empty",
       raw("\x80\x02"
           "0."),
       "more values than"},
      {"mark not open", raw("\x80\x02t."), "did not open"},
      {"mark left open", raw("\x80\x02(."), "middle of a value"},
      {"two values at the end", raw("\x80\x02NN."), "middle of a value"},
      {"items for a tuple",
       raw("\x80\x02)K\x01"
           "a."),
       "puts items"},
      {"key without value", raw("\x80\x02}(K\x01u."), "without a value"},
      {"memo unknown", raw("\x80\x02h\x07."), "did not keep"},
      {"text longer than the file",
       raw("\x80\x02X\xff\xff\xff\x7f"
           "abc."),
       "breaks off"},
      {"text not UTF-8", raw("\x80\x02X" + le<uint32_t>(2) + "\xff\xfe."), "not UTF-8"},
      {"bytes behind the pickle", raw(dict + "x"), "follow the pickle"},
      {"endless marks", raw("\x80\x02" + std::string(200000, '(')), "opens too much"},
      // tensors
      {"no dictionary", raw("\x80\x02K\x01."), "no dictionary of tensors"},
      {"no tensor", raw(dictPickle({{"lr", number(3)}})), "not clear"},
      {"two candidates", raw(dictPickle({{"a", "}" + text("w") + one() + "s"}, {"b", "}" + text("w") + one() + "s"}})),
       "not clear"},
      {"key no text", raw("\x80\x02}" + number(1) + one() + "s."), "no usable name"},
      {"offset outside", pickled(tensor(storage("FloatStorage", "0", 6), 1, {2, 3}, {3, 1})), "leaves its storage"},
      {"offset negative", pickled(tensor(storage("FloatStorage", "0", 6), -1, {2, 3}, {3, 1})), "offset is no number"},
      {"stride negative", pickled(tensor(storage("FloatStorage", "0", 6), 5, {2, 3}, {-3, 1})),
       "something other than a size"},
      {"size negative", pickled(tensor(storage("FloatStorage", "0", 6), 0, {-2, 3}, {3, 1})),
       "something other than a size"},
      {"stride too large", pickled(tensor(storage("FloatStorage", "0", 6), 0, {2, 3}, {2000000000, 1})),
       "leaves its storage"},
      {"more sizes than strides", pickled(tensor(storage("FloatStorage", "0", 6), 0, {2, 3}, {3})),
       "more sizes than strides"},
      {"product overflows",
       pickled(tensor(storage("FloatStorage", "0", 6), 0, {2000000000, 2000000000, 2000000000}, {0, 0, 0})),
       "leaves its storage"},
      {"storage repeated", pickled(tensor(storage("FloatStorage", "0", 6), 0, {2000000, 2}, {0, 1})),
       "repeats its storage"},
      {"storage of two sizes",
       raw(dictPickle({{"a", one()}, {"b", tensor(storage("FloatStorage", "0", 5), 0, {1}, {1})}})), "two sizes"},
      {"storage size negative", pickled(tensor(storage("FloatStorage", "0", -6), 0, {1}, {1})),
       "storage is not described"},
      {"storage without type",
       pickled(tensor(tuple({text("storage"), number(1), text("0"), text("cpu"), number(6)}) + "Q", 0, {1}, {1})),
       "storage is not described"},
      {"reference to a module", pickled(tuple({text("module"), number(1), text("0"), text("cpu"), number(6)}) + "Q"),
       "no storage"},
      {"reference too short", pickled(tuple({text("storage")}) + "Q"), "no storage"},
      {"tensor of a text", pickled(tensor(text("x"), 0, {1}, {1})), "other than a storage"},
      {"rebuilt from too little", pickled(name("torch._utils", "_rebuild_tensor_v2") + tuple({number(1)}) + "R"),
       "too few"},
      {"shape no tuple",
       pickled(name("torch._utils", "_rebuild_tensor_v2") +
               tuple({storage("FloatStorage", "0", 6), number(0), text("x"), sizes({1}), "\x89", "N"}) + "R"),
       "no list of sizes"},
      {"piece outside",
       pickled(tensor(storage("FloatStorage", "0", 6, tuple({text("v"), number(4), number(3)})), 0, {1}, {1})),
       "leaves it"},
      // the old format
      {"old: cut in the pickle", cut(soundLegacy(), 60), "breaks off"},
      {"old: cut in the data", cut(soundLegacy(), soundLegacy().size() - 1), "ends before"},
      {"old: byte behind the data", soundLegacy() + "x", "follow the last storage"},
      {"old: storage shorter than said", legacy(dict, {{"0", floats({1, 2})}}), "ends before"},
      {"old: list names another storage", legacy(dict, {{"1", data}}), "does not exist"},
      {"old: list names one twice",
       legacy(dictPickle({{"a", one()}, {"b", tensor(storage("FloatStorage", "1", 6), 0, {1}, {1})}}),
              {{"0", data}, {"0", data}}),
       "twice"},
      {"old: list too short",
       legacy(dictPickle({{"a", one()}, {"b", tensor(storage("FloatStorage", "1", 6), 0, {1}, {1})}}), {{"0", data}}),
       "list of storages is wrong"},
      {"old: code", legacy("\x80\x02" + name("os", "system") + ".", {}), "os.system"},
  };
}

}  // namespace

class TorchFilesTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void broken_data() { declareBroken(brokenFiles()); }
  void broken() {
    verifyRefused([](const std::string& bytes) { return parseTorchFile(bytes, "file"); });
  }

  void soundFiles() {
    const std::string wide =
        torchZip(dictPickle({{"w", one()}}), {floats({1, 2, 3, 4, 5, 6})}, {.wideEnd = true, .comment = "a comment"});
    const std::string inside = zip({{"m/data.pkl", dictPickle({{"w", one()}})},
                                    {.name = "m/data/0", .bytes = floats({1, 2, 3, 4, 5, 6}), .zip64 = true}});
    for (const std::string& file : {sound(), wide, inside, soundLegacy()}) {
      const Result<TorchLayout> layout = parseTorchFile(file, "file");
      QVERIFY2(layout.ok(), layout.ok() ? "" : layout.error().message().c_str());
      QCOMPARE(layout->state.tensors.size(), size_t{1});
      const TorchTensor& tensor = layout->state.tensors.front().second;
      QCOMPARE(tensor.shape, (std::vector<int64_t>{2, 3}));
      float value = 0;
      std::memcpy(&value, file.data() + layout->storageAt[tensor.storage] + 4 * 4, 4);
      QCOMPARE(value, 5.f);
    }
  }

  void viewsSharedAndTyped() {
    const std::string wideBytes = floats({1, 2, 3, 4, 5, 6});
    const std::string parameter =
        name("torch._utils", "_rebuild_parameter") + tuple({one(), "\x88", emptyDict()}) + "R";
    const std::string transposed = tensor(storage("FloatStorage", "0", 6), 0, {3, 2}, {1, 3});
    const std::string expanded = tensor(storage("FloatStorage", "0", 6), 2, {4}, {0});
    const std::string typed =
        name("torch._utils", "_rebuild_tensor_v3") +
        tuple({tuple({text("storage"), name("torch.storage", "UntypedStorage"), text("0"), text("cpu"), number(24)}) +
                   "Q",
               number(1), sizes({5}), sizes({1}), "\x89", emptyDict(), name("torch", "int32")}) +
        "R";
    const std::string piece =
        tensor(storage("FloatStorage", "0", 6, tuple({text("v"), number(2), number(3)})), 1, {2}, {1});
    const std::string none = tensor(storage("FloatStorage", "0", 6), 6, {0, 4}, {4, 1});
    const std::string file =
        torchZip(dictPickle({{"parameter", parameter},
                             {"transposed", transposed},
                             {"expanded", expanded},
                             {"typed", typed},
                             {"piece", piece},
                             {"none", none},
                             {"epoch", number(7)},
                             {"size", name("torch", "Size") + tuple({sizes({1, 2})}) + "R"},
                             {"device", name("torch", "device") + tuple({text("cuda"), number(0)}) + "R"}}),
                 {wideBytes});
    const Result<TorchLayout> layout = parseTorchFile(file, "file");
    QVERIFY2(layout.ok(), layout.ok() ? "" : layout.error().message().c_str());
    QCOMPARE(layout->state.notes.at("epoch"), std::string("7"));
    const fs::path path = fs::temp_directory_path() / ("rankscope-torch-" + std::to_string(::getpid()) + ".pt");
    std::ofstream(path, std::ios::binary).write(file.data(), static_cast<std::streamsize>(file.size()));
    const Result<WeightFilePtr> opened = openWeightFile(path);
    fs::remove(path);
    QVERIFY2(opened.ok(), opened.ok() ? "" : opened.error().message().c_str());
    QCOMPARE((*opened)->tensors().size(), size_t{6});
    const auto at = [&](const char* tensor, size_t element) {
      const Result<RawTensor> bytes = (*opened)->raw(tensor);
      float value = 0;
      std::memcpy(&value, bytes->data + element * 4, 4);
      return value;
    };
    QCOMPARE(at("parameter", 4), 5.f);
    QCOMPARE((*opened)->raw("transposed")->strides, (std::vector<int64_t>{1, 3}));
    QCOMPARE(at("expanded", 0), 3.f);
    QCOMPARE((*opened)->raw("expanded")->strides, (std::vector<int64_t>{0}));
    QCOMPARE((*opened)->info("typed")->dtype, Dtype::I32);
    QCOMPARE(at("typed", 0), 2.f);
    QCOMPARE(at("piece", 0), 4.f);
    QCOMPARE((*opened)->info("none")->elements(), uint64_t{0});
  }

  void weightsInsideTrainingState() {
    const std::string inner = "}(" + text("module.a") + one() + text("module.b") + one() + "u";
    const std::string file = raw(dictPickle({{"best_prec1", "G" + std::string("\x40\x56\xf1\xeb\x85\x1e\xb8\x52", 8)},
                                             {"optimizer", "}"},
                                             {"state_dict", inner}}));
    const Result<TorchLayout> layout = parseTorchFile(file, "file");
    QVERIFY2(layout.ok(), layout.ok() ? "" : layout.error().message().c_str());
    QCOMPARE(layout->state.tensors.front().first, std::string("a"));
    QCOMPARE(layout->state.notes.at("best_prec1"), std::string("91.78"));
  }

  // Cut at every byte, every bit turned: refused with a hint, or a table that stays within the file.
  void everyCutAndEveryBit() {
    for (const std::string& file :
         {sound(), soundLegacy(),
          torchZip(dictPickle({{"w", one()}}), {floats({1, 2, 3, 4, 5, 6})}, {.wideEnd = true})}) {
      for (size_t end = 0; end < file.size(); ++end) {
        const std::string message = messageOf(file.substr(0, end));
        QVERIFY2(!message.empty() && message != "no hint", qPrintable(QString::number(end)));
      }
      for (size_t i = 0; i < file.size() * 8; ++i) {
        std::string turned = file;
        turned[i / 8] = static_cast<char>(turned[i / 8] ^ (1 << i % 8));
        const Result<TorchLayout> layout = parseTorchFile(turned, "file");
        if (!layout) {
          QVERIFY(!layout.error().hint.empty());
          continue;
        }
        for (const auto& [tensorName, tensor] : layout->state.tensors) {
          uint64_t last = layout->storageAt[tensor.storage];
          uint64_t reach = tensor.offset;
          for (size_t d = 0; d < tensor.shape.size(); ++d)
            reach += static_cast<uint64_t>((tensor.shape[d] - 1) * tensor.strides[d]);
          last += (reach + 1) * static_cast<uint64_t>(dtypeBits(tensor.dtype)) / 8;
          QVERIFY(last <= turned.size());
        }
      }
    }
  }

  // The published files and the same tensors as safetensors.
  void sharedFilesEqualTheirSafetensors() {
    const fs::path models = fs::path(qEnvironmentVariable("RANKSCOPE_SHARED").toStdString()) / "data/models";
    if (!fs::exists(models)) return;
    struct Pair {
      const char *pickle, *plain;
      size_t tensors;
    };
    for (const Pair& pair :
         {Pair{"resnet_cifar10/resnet20-12fca82f.th", "resnet_cifar10/resnet20-12fca82f.safetensors", 97},
          Pair{"roberta_base_lora_mnli/roberta_base_lora_mnli.bin",
               "roberta_base_lora_mnli/roberta_base_lora_mnli.safetensors", 52}}) {
      const Result<WeightFilePtr> file = openWeightFile(models / pair.pickle),
                                  plain = openWeightFile(models / pair.plain);
      QVERIFY2(file.ok(), file.ok() ? "" : file.error().message().c_str());
      QVERIFY(plain.ok());
      QCOMPARE((*file)->tensors().size(), pair.tensors);
      for (const TensorInfo& info : (*plain)->tensors()) {
        const Result<RawTensor> a = (*file)->raw(info.name), b = (*plain)->raw(info.name);
        QVERIFY2(a.ok() && b.ok(), info.name.c_str());
        QVERIFY2(a->shape == b->shape && a->strides == b->strides && a->dtype == b->dtype, info.name.c_str());
        QVERIFY2(std::memcmp(a->data, b->data, info.end - info.begin) == 0, info.name.c_str());
      }
    }
  }
};

QTEST_APPLESS_MAIN(TorchFilesTest)
#include "torch_files.moc"
