// Tokenizers out of GGUF files against those of the model's own files, and files whose tokenizer must be refused by name.

#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/text/gguf_tokenizer.h"
#include "core/text/chat_recognition.h"
#include "core/text/registry.h"
#include "tests/core/io/gguf_builder.h"

using namespace rankscope;
using namespace gguf_file;
namespace fs = std::filesystem;

namespace {

using Texts = std::vector<std::string>;

fs::path shared() { return qEnvironmentVariable("RANKSCOPE_SHARED").toStdString(); }

template <typename Number>
std::string keyNumbers(const std::string& name, uint32_t type, const std::vector<Number>& values) {
  std::string all = le(type) + le(static_cast<uint64_t>(values.size()));
  for (const Number value : values) all += le(value);
  return key(name, 9, all);
}

Texts tokenizerEntries(const char* model, const char* pre, const Texts& tokens, const std::vector<int32_t>& types) {
  Texts entries = {keyText("general.architecture", "llama"), keyText("tokenizer.ggml.model", model),
                   keyTexts("tokenizer.ggml.tokens", tokens)};
  if (*pre) entries.push_back(keyText("tokenizer.ggml.pre", pre));
  if (!types.empty()) entries.push_back(keyNumbers("tokenizer.ggml.token_type", 5, types));
  return entries;
}

// Pieces, scores and types of a sentencepiece model: its field 1, repeated.
struct Pieces {
  Texts texts;
  std::vector<float> scores;
  std::vector<int32_t> types;
};
Pieces piecesOf(const std::string& model) {
  Pieces pieces;
  size_t at = 0;
  const auto varint = [&](size_t& place) {
    uint64_t value = 0;
    for (int shift = 0; place < model.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(model[place++]);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < model.size() && varint(at) == (1 << 3 | 2)) {
    const size_t end = varint(at) + at;
    std::string text;
    float score = 0;
    int32_t type = 1;
    while (at < end) {
      const uint64_t tag = varint(at);
      if (tag == (1 << 3 | 2)) {
        const size_t size = varint(at);
        text = model.substr(at, size);
        at += size;
      } else if (tag == (2 << 3 | 5)) {
        std::memcpy(&score, model.data() + at, 4);
        at += 4;
      } else {
        type = static_cast<int32_t>(varint(at));
      }
    }
    pieces.texts.push_back(text);
    pieces.scores.push_back(score);
    pieces.types.push_back(type);
  }
  return pieces;
}

}  // namespace

class GgufTokenizersTest : public QObject {
  Q_OBJECT

 private:
  QTemporaryDir m_dir;
  nlohmann::json m_texts;

  fs::path folder(const char* name, const Texts& entries) {
    const fs::path path = fs::path(m_dir.path().toStdString()) / name;
    fs::create_directories(path);
    const std::string bytes = file(entries, {});
    std::ofstream(path / "model.gguf", std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  void compare(const fs::path& gguf, const fs::path& own) {
    const auto a = loadTokenizer(gguf), b = loadTokenizer(own);
    QVERIFY2(a.ok(), a.ok() ? "" : a.error().message().c_str());
    QVERIFY2(b.ok(), b.ok() ? "" : b.error().message().c_str());
    QCOMPARE((*a)->vocabSize(), (*b)->vocabSize());
    QCOMPARE((*a)->prefix(), (*b)->prefix());
    QCOMPARE((*a)->special().eos, (*b)->special().eos);
    for (const nlohmann::json& text : m_texts) {
      const Encoding x = (*a)->encode(text.get<std::string>()), y = (*b)->encode(text.get<std::string>());
      QVERIFY2(x.ids == y.ids, text.get<std::string>().c_str());
      QCOMPARE((*a)->decode(x.ids), (*b)->decode(y.ids));
    }
    compareWritten(gguf, **b);
  }
  // As files for other programs.
  void compareWritten(const fs::path& gguf, const Tokenizer& own) {
    const fs::path path = gguf.parent_path() / "written";
    fs::remove_all(path);
    fs::create_directories(path);
    const auto done = writeGgufTokenizer(gguf, path);
    QVERIFY2(done.ok(), done.ok() ? "" : done.error().message().c_str());
    QCOMPARE(detectTokenizer(path), std::string("tokenizer.json"));
    const auto written = loadTokenizer(path);
    QVERIFY2(written.ok(), written.ok() ? "" : written.error().message().c_str());
    QCOMPARE((*written)->vocabSize(), own.vocabSize());
    QCOMPARE((*written)->prefix(), own.prefix());
    QCOMPARE((*written)->special().eos, own.special().eos);
    for (const nlohmann::json& text : m_texts) {
      const Encoding x = (*written)->encode(text.get<std::string>()), y = own.encode(text.get<std::string>());
      QVERIFY2(x.ids == y.ids, text.get<std::string>().c_str());
      QCOMPARE((*written)->decode(x.ids), own.decode(y.ids));
    }
  }

 private Q_SLOTS:
  void initTestCase() {
    const auto cases = readJsonFile(fs::path(RANKSCOPE_SOURCE_DIR) / "tests/core/text/tokenizer_cases.json");
    QVERIFY(cases.ok());
    m_texts = (*cases)["texts"];
    QVERIFY(m_texts.size() > 10);
  }

  void sentencePiece() {
    for (const char* place : {"data/tokenizers/llama", "data/models/stories260K/hf"}) {
      const fs::path own = shared() / place;
      if (!fs::exists(own / "tokenizer.model")) continue;
      const Pieces pieces = piecesOf(*readFileBounded(own / "tokenizer.model", 1 << 24));
      QVERIFY(pieces.texts.size() >= 512);
      Texts entries = tokenizerEntries("llama", "", pieces.texts, pieces.types);
      entries.insert(entries.end(), {keyNumbers("tokenizer.ggml.scores", 6, pieces.scores), keyU32("tokenizer.ggml.unknown_token_id", 0),
                                     keyU32("tokenizer.ggml.bos_token_id", 1), keyU32("tokenizer.ggml.eos_token_id", 2)});
      compare(folder("pieces", entries), own);
    }
  }

  void byteLevel() {
    const fs::path own = shared() / "data/tokenizers/gpt2";
    if (!fs::exists(own / "vocab.json")) return;
    const nlohmann::json vocab = *readJsonFile(own / "vocab.json");
    Texts tokens(vocab.size()), merges;
    for (const auto& [piece, id] : vocab.items()) tokens[id.get<size_t>()] = piece;
    std::vector<int32_t> types(tokens.size(), 1);
    types.back() = 3;  // <|endoftext|>
    std::ifstream lines(fs::exists(own / "merges.txt") ? own / "merges.txt" : own / "vocab.bpe");
    for (std::string line; std::getline(lines, line);)
      if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
    Texts entries = tokenizerEntries("gpt2", "gpt-2", tokens, types);
    entries.insert(entries.end(), {keyTexts("tokenizer.ggml.merges", merges), keyU32("tokenizer.ggml.bos_token_id", 50256),
                                   keyU32("tokenizer.ggml.eos_token_id", 50256)});
    compare(folder("bytes", entries), own);
  }

  void smallOnes() {
    const auto ids = [&](const char* pre, const char* text, bool bos = false) {
      Texts entries = tokenizerEntries("gpt2", pre, {"a", "b", "1", "2", "ab", "12", "<s>", "<tool>"}, {1, 1, 1, 1, 1, 1, 3, 4});
      entries.insert(entries.end(), {keyTexts("tokenizer.ggml.merges", {"a b", "1 2"}), keyU32("tokenizer.ggml.bos_token_id", 6)});
      if (bos) entries.push_back(key("tokenizer.ggml.add_bos_token", 7, "\1"));
      const auto tokenizer = loadTokenizer(folder("small", entries));
      if (!tokenizer) qFatal("%s", tokenizer.error().message().c_str());
      return (*tokenizer)->encode(text).ids;
    };
    using Ids = std::vector<int32_t>;
    QCOMPARE(ids("gpt-2", "ab12"), (Ids{4, 5}));
    QCOMPARE(ids("smollm", "ab12"), (Ids{4, 2, 3}));   // digits alone
    QCOMPARE(ids("qwen2", "ab12"), (Ids{4, 2, 3}));
    QCOMPARE(ids("llama-bpe", "ab12"), (Ids{6, 4, 5}));  // opens a text unless told not to
    QCOMPARE(ids("gpt-2", "ab", true), (Ids{6, 4}));
    QCOMPARE(ids("gpt-2", "a<s>b<tool>"), (Ids{0, 6, 1, 7}));
    QCOMPARE(detectTokenizer(fs::path(m_dir.path().toStdString()) / "small"), std::string("GGUF"));
  }

  void refused() {
    const auto words = [&](const Texts& entries) {
      const auto tokenizer = loadTokenizer(folder("refused", entries));
      return tokenizer ? QString("it was loaded") : QString::fromStdString(tokenizer.error().message());
    };
    const Texts two = {"a", "b"};
    QVERIFY(words({keyText("general.architecture", "llama")}).contains("holds no tokenizer"));
    QVERIFY(words(tokenizerEntries("bert", "", two, {})).contains("\"bert\""));
    QVERIFY(words(tokenizerEntries("gpt2", "", two, {})).contains("tokenizer.ggml.pre is missing"));
    QVERIFY(words(tokenizerEntries("gpt2", "poro-chat", two, {})).contains("poro-chat"));
    QVERIFY(words(tokenizerEntries("gpt2", "gpt-2", {"a", "a"}, {})).contains("twice"));
    QVERIFY(words(tokenizerEntries("gpt2", "gpt-2", {"a", ""}, {})).contains("empty piece"));
    QVERIFY(words(tokenizerEntries("gpt2", "gpt-2", two, {1})).contains("differ in length"));
    QVERIFY(words(tokenizerEntries("llama", "", two, {})).contains("no scores"));
    Texts merges = tokenizerEntries("gpt2", "gpt-2", two, {});
    merges.push_back(keyTexts("tokenizer.ggml.merges", {"ab"}));
    QVERIFY(words(merges).contains("merges of the tokenizer"));
    merges.back() = keyTexts("tokenizer.ggml.merges", {"a c"});
    QVERIFY(words(merges).contains("does not fit its vocabulary"));
    Texts scores = tokenizerEntries("llama", "", two, {3, 3});
    scores.push_back(keyNumbers<float>("tokenizer.ggml.scores", 6, {0, 0}));
    QVERIFY2(!words(scores).contains("it was loaded"), qPrintable(words(scores)));
  }

  void chatTemplate() {
    const fs::path path = folder("chat", {keyText("general.architecture", "llama"),
                                          keyText("tokenizer.chat_template", "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")});
    const auto found = chatTemplateFor("auto", path, fs::path(RANKSCOPE_SOURCE_DIR) / "resources/templates");
    QVERIFY2(found.ok() && *found, found.ok() ? "none" : found.error().message().c_str());
    QCOMPARE((*found)->name, std::string("chatml"));
  }

  // Special and user-defined tokens, digits, normalisation and the chat template go into the files; what cannot be read is
  // not written.
  void written() {
    for (const char* pre : {"gpt-2", "smollm", "qwen2", "llama-bpe"}) {
      Texts entries = tokenizerEntries("gpt2", pre, {"a", "b", "1", "2", "ab", "12", "<s>", "<tool>"}, {1, 1, 1, 1, 1, 1, 3, 4});
      entries.insert(entries.end(), {keyTexts("tokenizer.ggml.merges", {"a b", "1 2"}), keyU32("tokenizer.ggml.bos_token_id", 6),
                                     keyText("tokenizer.chat_template", "{{ messages[0].content }}")});
      const fs::path gguf = folder("small", entries), path = gguf.parent_path() / pre;
      fs::create_directories(path);
      QVERIFY(writeGgufTokenizer(gguf / "model.gguf", path).ok());
      const auto own = loadTokenizer(gguf), again = loadTokenizer(path);
      QVERIFY2(again.ok(), again.ok() ? "" : again.error().message().c_str());
      for (const char* text : {"ab12", "a<s>b<tool>12", ""}) QCOMPARE((*again)->encode(text).ids, (*own)->encode(text).ids);
      const auto config = readJsonFile(path / "tokenizer_config.json");
      QCOMPARE((*config)["chat_template"].get<std::string>(), std::string("{{ messages[0].content }}"));
      QCOMPARE((*config)["bos_token"].get<std::string>(), std::string("<s>"));
      QVERIFY(!fs::exists(path / "tokenizer.model"));
    }
    const fs::path none = fs::path(m_dir.path().toStdString()) / "none";
    fs::create_directories(none);
    const auto refused = writeGgufTokenizer(folder("refused", tokenizerEntries("gpt2", "poro-chat", {"a", "b"}, {})), none);
    QVERIFY(!refused.ok() && refused.error().message().find("poro-chat") != std::string::npos);
    QVERIFY(fs::is_empty(none));
  }
};

QTEST_APPLESS_MAIN(GgufTokenizersTest)
#include "gguf_tokenizers.moc"
