// GGUF: numbers bit for bit as transformers decodes them (fixtures/make_gguf.py), names, row order and config, and
// files that lie.

#include <fmt/format.h>
#include <unistd.h>
#include <QtTest/QtTest>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "broken_files.h"
#include "core/config/json_text.h"
#include "core/io/gguf_model.h"
#include "core/io/gguf_parts.h"
#include "core/io/mapped_file.h"
#include "core/io/sha256.h"
#include "core/io/shard_index.h"
#include "core/io/weight_formats.h"
#include "gguf_builder.h"

using namespace rankscope;
using namespace gguf_file;
namespace fs = std::filesystem;

namespace {

const fs::path kFixtures = fs::path(RANKSCOPE_SOURCE_DIR) / "tests/core/io/fixtures";

std::string floats(size_t count) { return std::string(count * 4, '\1'); }
Tensor weights() { return {"w", {8}, 0, floats(8)}; }

std::vector<BrokenFile> brokenFiles() {
  const auto tensor = [](auto change) {
    Tensor t = weights();
    change(t);
    return file({}, {t});
  };
  const auto cut = [](size_t from) {
    const std::string bytes = file({keyText("general.name", "x")}, {weights()});
    return bytes.substr(0, bytes.size() - from);
  };
  return {
      {"empty", "", "no GGUF file"},
      {"another magic", file({}, {}, {.magic = "GGML"}), "no GGUF file"},
      {"version 1", file({}, {}, {.version = 1}), "another version"},
      {"version 4", file({}, {}, {.version = 4}), "another version"},
      {"big-endian", file({}, {}, {.version = 0x03000000}), "big-endian"},
      {"cut in the header", std::string("GGUF\3\0\0\0\1", 9), "middle of its table"},
      {"too many tensors", file({}, {}, {.tensors = 2'000'000}), "too many entries"},
      {"too many entries", file({}, {}, {.entries = 200'000}), "too many entries"},
      {"more entries than there are", file({}, {}, {.entries = 1}), "is no text"},
      {"more tensors than there are", file({}, {}, {.tensors = 1}), "name is empty"},
      {"key longer than the file", file({le<uint64_t>(1ull << 60) + "x"}, {}), "middle of its table"},
      {"key too long", file({keyU32(std::string(70000, 'k'), 1)}, {}), "text is too long"},
      {"key empty", file({keyU32("", 1)}, {}), "is no text"},
      {"key not UTF-8", file({keyU32("\xff", 1)}, {}), "is no text"},
      {"key twice", file({keyU32("a", 1), keyU32("a", 1)}, {}), "given twice"},
      {"unknown value type", file({key("a", 13, le<uint32_t>(1))}, {}), "unknown type"},
      {"unknown item type", file({key("a", 9, le<uint32_t>(99) + le<uint64_t>(1))}, {}), "unknown type"},
      {"list of lists", file({key("a", 9, le<uint32_t>(9) + le<uint64_t>(1))}, {}), "list of lists"},
      {"list longer than the file", file({key("a", 9, le<uint32_t>(4) + le<uint64_t>(1ull << 40))}, {}),
       "longer than the file"},
      {"list cut off", file({key("a", 9, le<uint32_t>(12) + le<uint64_t>(9) + "xxxxxxxx")}, {}), "middle of its table"},
      {"text cut off", file({key("a", 8, le<uint64_t>(99) + "x")}, {}), "middle of its table"},
      {"flag of 2", file({key("a", 7, "\2")}, {}), "neither true nor false"},
      {"alignment 0", file({keyU32("general.alignment", 0)}, {}), "no power of two"},
      {"alignment 24", file({keyU32("general.alignment", 24)}, {}), "no power of two"},
      {"alignment a text", file({keyText("general.alignment", "32")}, {}), "no power of two"},
      {"alignment too large", file({keyU32("general.alignment", 1u << 30)}, {}), "no power of two"},
      {"tensor without a name", tensor([](Tensor& t) { t.name = ""; }), "name is empty"},
      {"tensor's name too long", tensor([](Tensor& t) { t.name = std::string(1001, 'n'); }), "text is too long"},
      {"tensor twice", file({}, {weights(), weights()}), "given twice"},
      {"no dimension", tensor([](Tensor& t) { t.dims = {}; }), "too many dimensions or none"},
      {"five dimensions", tensor([](Tensor& t) {
         t.dims = {8, 1, 1, 1, 1};
       }),
       "too many dimensions or none"},
      {"size 0", tensor([](Tensor& t) {
         t.dims = {8, 0};
       }),
       "empty or too large"},
      {"sizes overflow", tensor([](Tensor& t) {
         t.dims = {1ull << 40, 1ull << 40};
       }),
       "empty or too large"},
      {"unknown number format", tensor([](Tensor& t) { t.type = 1000; }), "not read here"},
      {"Q8_1", tensor([](Tensor& t) { t.type = 9; }), "Q8_1"},
      {"IQ2_XXS", tensor([](Tensor& t) { t.type = 16; }), "IQ2_XXS"},
      {"MXFP4", tensor([](Tensor& t) { t.type = 39; }), "MXFP4"},
      {"rows no whole blocks", tensor([](Tensor& t) { t.type = 2; }), "no whole blocks"},
      {"rows no whole large blocks", tensor([](Tensor& t) {
         t.type = 12;
         t.dims = {32};
       }),
       "multiple of 256"},
      {"tensor larger than the file", tensor([](Tensor& t) {
         t.dims = {8, 1000};
       }),
       "ends before its tensors"},
      {"hole before a tensor", tensor([](Tensor& t) { t.offset = 32; }), "hole lies before"},
      {"offset not aligned", file({}, {weights(), {"v", {1}, 0, floats(1), 33}}), "hole lies before"},
      {"tensors overlap", file({}, {{"u", {64}, 0, floats(64)}, {"v", {1}, 0, floats(1), 32}}), "overlap"},
      {"bytes behind the last tensor", file({}, {weights()}, {.after = std::string(40, 'x')}),
       "follow the last tensor"},
      {"last tensor cut", cut(1), "ends before its tensors"},
      {"no tensor data", cut(33), "ends before its tensors"},
  };
}

std::vector<std::string> llamaEntries(const std::string& changed = {}, const std::string& instead = {}) {
  std::vector<std::string> entries = {keyText("general.architecture", "llama"), keyU32("llama.embedding_length", 4),
                                      keyU32("llama.feed_forward_length", 4),   keyU32("llama.block_count", 1),
                                      keyU32("llama.attention.head_count", 2),  keyU32("llama.context_length", 8)};
  std::vector<std::string> result;
  for (const std::string& entry : entries)
    if (changed.empty() || entry.rfind(text(changed), 0) != 0) result.push_back(entry);
  if (!instead.empty()) result.push_back(instead);
  return result;
}
const std::vector<Tensor> kEmbedding = {{"token_embd.weight", {4, 3}, 0, floats(12)}};

}  // namespace

class GgufFilesTest : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void broken_data() { declareBroken(brokenFiles()); }
  void broken() {
    verifyRefused([](const std::string& bytes) { return parseGguf(bytes, "file"); });
  }

  void everyCutAndEveryBit() {
    const std::string sound =
        file({keyText("general.name", "x"), keyU32("general.alignment", 32), keyTexts("t", {"a", "", "bc"})},
             {weights(), {"v", {32}, 8, std::string(34, '\2')}});
    QVERIFY(parseGguf(sound, "file").ok());
    for (size_t end = 0; end < sound.size(); ++end) {
      const std::string bytes = sound.substr(0, end);
      const Result<GgufTable> table = parseGguf(bytes, "file");
      // The last tensor's padding may be missing.
      if (end + 30 < sound.size())
        QVERIFY2(!table.ok() && !table.error().hint.empty(), qPrintable(QString::number(end)));
    }
    for (size_t i = 0; i < sound.size() * 8; ++i) {
      std::string turned = sound;
      turned[i / 8] = static_cast<char>(turned[i / 8] ^ (1 << i % 8));
      const Result<GgufTable> table = parseGguf(turned, "file");
      if (!table) continue;
      for (const GgufTensor& tensor : table->tensors) QVERIFY(tensor.begin + tensor.bytes <= turned.size());
    }
  }

  void numbersAsTransformersDecodesThem() {
    const Result<nlohmann::json> expected = readJsonFile(kFixtures / "tiny.json");
    QVERIFY(expected.ok());
    const Result<WeightFilePtr> file = openWeightFile(kFixtures / "tiny.gguf");
    QVERIFY2(file.ok(), file.ok() ? "" : file.error().message().c_str());
    QCOMPARE((*file)->tensors().size(), (*expected)["tensors"].size());
    for (const auto& [name, entry] : (*expected)["tensors"].items()) {
      const Result<RawTensor> raw = (*file)->raw(name);
      QVERIFY2(raw.ok(), name.c_str());
      QCOMPARE(raw->shape, entry["shape"].get<std::vector<int64_t>>());
      std::string bytes;  // as float32
      const uint64_t count = (*file)->info(name)->elements();
      if (raw->dtype == Dtype::F32) {
        bytes.assign(raw->data, count * 4);
      } else {
        for (uint64_t i = 0; i < count; ++i) {
          uint16_t bits;
          std::memcpy(&bits, raw->data + i * 2, 2);
          uint32_t wide = static_cast<uint32_t>(bits) << 16;
          float value = halfToFloat(bits);
          if (raw->dtype == Dtype::BF16) std::memcpy(&value, &wide, 4);
          bytes += le(value);
        }
      }
      QVERIFY2(sha256Hex(bytes) == entry["sha256"].get<std::string>(), name.c_str());
    }
    const Result<WeightSummary> summary = inspectWeights(kFixtures / "tiny.gguf");
    QVERIFY(summary.ok());
    QCOMPARE(summary->format, std::string("gguf"));
    for (const char* type : {"Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "F16", "BF16", "F32"})
      QVERIFY2(summary->dtypes.count(type), type);
  }

  // Random blocks of every format against gguf-py, to the bit (fixtures/make_blocks.py).
  void blocksAsTheReferenceDecodesThem() {
    const Result<nlohmann::json> formats = readJsonFile(kFixtures / "blocks.json");
    QVERIFY(formats.ok());
    for (const auto& [name, format] : formats->items()) {
      const GgmlType* type = findGgmlType(format["id"].get<uint32_t>());
      QVERIFY2(type && type->decode && type->name == name && type->blockElements == format["elements"].get<uint64_t>(),
               name.c_str());
      const QByteArray bytes = QByteArray::fromHex(format["bytes"].get<std::string>().c_str());
      QVERIFY2(static_cast<uint64_t>(bytes.size()) % type->blockBytes == 0, name.c_str());
      std::string numbers;
      for (uint64_t at = 0; at < static_cast<uint64_t>(bytes.size()); at += type->blockBytes) {
        std::vector<float> block(type->blockElements);
        type->decode(reinterpret_cast<const unsigned char*>(bytes.constData()) + at, block.data());
        for (const float number : block) numbers += le(number);
      }
      QVERIFY2(sha256Hex(numbers) == format["sha256"].get<std::string>(), name.c_str());
    }
  }

  void configAndTokenizer() {
    const Result<nlohmann::json> expected = readJsonFile(kFixtures / "tiny.json");
    const Result<nlohmann::json> config = readGgufModelConfig(kFixtures / "tiny.gguf");
    QVERIFY2(config.ok(), config.ok() ? "" : config.error().message().c_str());
    for (const auto& [key, value] : (*expected)["config"].items()) QVERIFY2((*config)[key] == value, key.c_str());
    QCOMPARE((*config)["rope_theta"].get<double>(), 5000.0);
    QCOMPARE((*config)["tie_word_embeddings"].get<bool>(), true);
    const Result<GgufTokenizer> tokenizer = readGgufTokenizer(kFixtures / "tiny.gguf");
    QVERIFY(tokenizer.ok());
    QCOMPARE(tokenizer->model, std::string("llama"));
    QCOMPARE(tokenizer->tokens.size(), size_t{8});
    QCOMPARE(tokenizer->tokens[3], std::string("a"));
    QCOMPARE(tokenizer->types[1], 3);
    QCOMPARE(*tokenizer->eos, int64_t{2});
  }

  void configsThatAreRefused() {
    struct Row {
      std::vector<std::string> entries;
      const char* words;
    };
    for (const Row& row :
         {Row{{}, "family that is not read here"},
          Row{llamaEntries("general.architecture", keyText("general.architecture", "rwkv6")), "rwkv6"},
          Row{llamaEntries("llama.block_count"), "llama.block_count"},
          Row{llamaEntries("llama.block_count", keyText("llama.block_count", "2")), "llama.block_count"},
          Row{llamaEntries("llama.attention.head_count", keyU32("llama.attention.head_count", 0)),
              "no attention heads"},
          Row{llamaEntries("", keyU32("llama.expert_count", 8)), "mixture of experts"},
          Row{llamaEntries("", keyU32("llama.rope.dimension_count", 1)), "not built here"},
          Row{llamaEntries("", keyU32("split.count", 3)), "not named as one"}}) {
      const std::string bytes = file(row.entries, kEmbedding);
      const fs::path path = fs::temp_directory_path() / ("rankscope-gguf-" + std::to_string(::getpid()) + ".gguf");
      std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      const Result<WeightFilePtr> opened = openWeightFile(path);
      fs::remove(path);
      QVERIFY2(!opened.ok(), row.words);
      QVERIFY2(opened.error().message().find(row.words) != std::string::npos, opened.error().message().c_str());
    }
  }

  void splitModels() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    const auto u16 = [](const char* name, uint16_t value) { return key(name, 2, le(value)); };
    const auto part = [&](uint16_t number, const std::vector<Tensor>& tensors, uint16_t count = 3, int32_t total = 3) {
      std::vector<std::string> entries = number == 0 ? llamaEntries() : std::vector<std::string>();
      entries.insert(entries.end(), {u16("split.no", number), u16("split.count", count),
                                     key("split.tensors.count", 5, le(total))});
      return file(entries, tensors);
    };
    const auto write = [&](int number, const std::string& bytes) {
      const fs::path path = folder / fmt::format("m-{:05}-of-00003.gguf", number);
      std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      return path;
    };
    const auto refused = [&](const fs::path& path, const char* words) {
      const auto opened = openWeightFile(path);
      const std::string message = opened ? std::string() : opened.error().message();
      if (message.find(words) == std::string::npos) qWarning("%s", message.c_str());
      return message.find(words) != std::string::npos && !opened.error().hint.empty();
    };
    const Tensor norm{"output_norm.weight", {4}, 0, floats(4)}, head{"output.weight", {4, 3}, 0, std::string(48, '\2')};
    const fs::path first = write(1, part(0, kEmbedding)), second = write(2, part(1, {norm})), third = write(3, part(2, {head}));
    for (const fs::path& place : {folder, first}) {
      const auto files = findWeightFiles(place);
      QVERIFY2(files.ok(), files.ok() ? "" : files.error().message().c_str());
      QCOMPARE(files->files, std::vector<fs::path>{first});
    }
    const Result<WeightFilePtr> opened = openWeightFile(first);
    QVERIFY2(opened.ok(), opened.ok() ? "" : opened.error().message().c_str());
    QCOMPARE((*opened)->tensors().size(), size_t{3});
    QCOMPARE(*(*opened)->raw("lm_head.weight")->data, '\2');  // of the third file
    QCOMPARE(*(*opened)->raw("model.norm.weight")->data, '\1');
    QCOMPARE((*opened)->fileBytes(), uint64_t{fs::file_size(first) + fs::file_size(second) + fs::file_size(third)});
    const auto config = readGgufModelConfig(first);
    QVERIFY2(config.ok(), config.ok() ? "" : config.error().message().c_str());
    QCOMPARE((*config)["tie_word_embeddings"].get<bool>(), false);  // the head lies in the third

    QVERIFY(refused(second, "not the first part"));
    write(3, part(2, {norm}));
    QVERIFY(refused(first, "same tensor"));
    write(3, part(1, {head}));
    QVERIFY(refused(first, "part of another model"));
    write(3, part(2, {head}, 4));
    QVERIFY(refused(first, "part of another model"));
    write(3, part(2, {}));
    QVERIFY(refused(first, "do not hold all tensors"));
    write(3, part(2, {{"rope_freqs.weight", {1}, 0, floats(1)}}));
    QVERIFY(refused(first, "outside of the first part"));
    write(3, "GGUF");
    QVERIFY(refused(first, "another version"));
    fs::remove(third);
    QVERIFY(refused(first, "part of the model is missing"));
    fs::remove(first);
    QVERIFY(refused(findWeightFiles(folder)->files.front(), "not the first part"));
    fs::rename(second, folder / "m.gguf");
    QVERIFY(refused(folder / "m.gguf", "not named as one"));
    for (const char* name : {"m.gguf", "m-1-of-3.gguf", "m-00004-of-00003.gguf", "m-00000-of-00003.gguf", "-00001-of-00003.gguf",
                             "m-00001-of-00003.bin", "m-0x001-of-00003.gguf", "m-00001-on-00003.gguf"})
      QVERIFY2(!ggufPartName(name), name);
    QCOMPARE(ggufPartName("a-b-00002-of-00003.gguf")->stem, std::string("a-b"));
  }

  // Llama 3.1's factors for each frequency are told back as the rule that made them; other factors are refused.
  void ropeFactors() {
    const int64_t head = 8;
    std::string factors;
    for (int i = 0; i < 4; ++i) {
      const double wave = 2 * M_PI * std::pow(500000.0, 2.0 * i / head), smooth = (8192 / wave - 1) / 3;
      factors += le(static_cast<float>(wave < 2048 ? 1 : wave > 8192 ? 8 : 1 / ((1 - smooth) / 8 + smooth)));
    }
    std::vector<std::string> entries = llamaEntries("", keyU32("llama.attention.key_length", 8));
    entries.push_back(keyU32("llama.attention.value_length", 8));
    entries.push_back(key("llama.rope.freq_base", 6, le(500000.f)));
    std::vector<Tensor> tensors = kEmbedding;
    tensors.push_back({"rope_freqs.weight", {4}, 0, factors});
    const std::string bytes = file(entries, tensors);
    const auto table = parseGguf(bytes, "file");
    QVERIFY(table.ok());
    const auto config = ggufModelConfig(*table, "file", bytes);
    QVERIFY2(config.ok(), config.ok() ? "" : config.error().message().c_str());
    QCOMPARE((*config)["rope_scaling"]["rope_type"].get<std::string>(), std::string("llama3"));
    QCOMPARE((*config)["rope_scaling"]["factor"].get<double>(), 8.0);
    tensors.back().bytes = factors.substr(0, 8) + le(3.5f) + factors.substr(12);
    const std::string other = file(entries, tensors);
    const auto otherTable = parseGguf(other, "file");
    QVERIFY(!ggufModelConfig(*otherTable, "file", other).ok());
  }

  void namesGoBothWays() {
    for (const char* name :
         {"model.embed_tokens.weight", "model.norm.weight", "lm_head.weight", "model.layers.31.self_attn.q_proj.weight",
          "model.layers.0.mlp.down_proj.weight", "model.layers.7.self_attn.k_proj.bias"}) {
      const std::string there = ggufNameOfModel(name);
      QVERIFY2(!there.empty(), name);
      QCOMPARE(modelNameOfGguf(there), std::string(name));
    }
    QCOMPARE(ggufNameOfModel("classifier.weight"), std::string());
    QCOMPARE(modelNameOfGguf("blk.x.attn_q.weight"), std::string("blk.x.attn_q.weight"));
    for (int64_t row = 0; row < 16; ++row)
      QCOMPARE(interleavedRow(row, 8), row / 8 * 8 + (row % 4) * 2 + (row % 8) / 4);
  }
};

QTEST_APPLESS_MAIN(GgufFilesTest)
#include "gguf_files.moc"
