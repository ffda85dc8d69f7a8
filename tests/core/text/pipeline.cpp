// Tokenizers of all components against the tokenizers library (pipeline_cases.json names the version that made the
// cases): ids, spans, decoding, pairs cut to a length; parts of long texts; and files that must be refused.

#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/text/byte_level.h"
#include "core/text/registry.h"

using namespace rankscope;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

fs::path shared() { return qEnvironmentVariable("RANKSCOPE_SHARED").toStdString(); }

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::unique_ptr<Tokenizer> loaded(const fs::path& path) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = loadTokenizer(path);
  if (!tokenizer) qFatal("%s", tokenizer.error().message().c_str());
  return std::move(*tokenizer);
}

std::vector<TextSpan> spansOf(const json& numbers) {
  std::vector<TextSpan> spans;
  for (size_t i = 0; i + 1 < numbers.size(); i += 2) spans.push_back({numbers[i].get<uint32_t>(), numbers[i + 1].get<uint32_t>()});
  return spans;
}

}  // namespace

class PipelineTest : public QObject {
  Q_OBJECT

 private:
  json m_cases, m_hard, m_refused;
  QTemporaryDir m_dir;

  fs::path folder() const { return m_dir.path().toStdString(); }
  std::unique_ptr<Tokenizer> small(const std::string& name) {
    for (const json& each : m_cases["tokenizers"])
      if (each["name"] == name) {
        const fs::path path = folder() / (name + ".json");
        write(path, each["json"].dump());
        return loaded(path);
      }
    qFatal("no case %s", name.c_str());
    return nullptr;
  }

 private Q_SLOTS:
  void initTestCase() {
    const fs::path here = fs::path(RANKSCOPE_SOURCE_DIR) / "tests/core/text";
    m_cases = *readJsonFile(here / "pipeline_cases.json");
    m_hard = *readJsonFile(here / "tokenizer_cases.json");
    m_refused = *readJsonFile(here / "pipeline_refused.json");
    QVERIFY(m_refused.size() > 20);
    QVERIFY(m_cases["tokenizers"].size() >= 8);
  }

  void equalsTheReference_data() {
    QTest::addColumn<int>("index");
    for (size_t i = 0; i < m_cases["tokenizers"].size(); ++i)
      QTest::newRow(m_cases["tokenizers"][i]["name"].get<std::string>().c_str()) << static_cast<int>(i);
  }
  void equalsTheReference() {
    QFETCH(int, index);
    const json& expected = m_cases["tokenizers"][static_cast<size_t>(index)];
    const auto tokenizer = small(expected["name"]);
    const bool cleansUp = tokenizer->kind() == "wordpiece";  // transformers' own step behind the library's
    for (size_t i = 0; i < m_cases["texts"].size(); ++i) {
      const std::string text = m_cases["texts"][i];
      const json& each = expected["cases"][i];
      const Encoding encoding = tokenizer->encode(text);
      QVERIFY2(encoding.ids == each["ids"].get<std::vector<int32_t>>(), text.c_str());
      QVERIFY2(characterSpans(text, encoding.spans) == spansOf(each["spans"]), text.c_str());
      if (!cleansUp) QCOMPARE(tokenizer->decode(encoding.ids, false), each["decoded"].get<std::string>());
      // Cut wherever it may be cut, the text has the same tokens.
      Encoding parts;
      const std::vector<size_t> cuts = tokenizer->cuts(text, 3);
      for (size_t k = 0; k + 1 < cuts.size(); ++k) tokenizer->encodePart(text, cuts[k], cuts[k + 1], true, parts);
      QCOMPARE(parts.ids, tokenizer->encode(text, {.addSpecial = false}).ids);
    }
    for (const json& pair : expected["pairs"]) {
      const Encoding encoding = tokenizer->encodePair("The quick brown fox", "jumps, doesn't it?", {.maxTokens = pair["max"].get<size_t>()});
      QCOMPARE(encoding.ids, pair["ids"].get<std::vector<int32_t>>());
      if (!encoding.typeIds.empty()) QCOMPARE(encoding.typeIds, pair["types"].get<std::vector<uint8_t>>());
    }
  }

  void realTokenizers_data() {
    QTest::addColumn<QString>("name");
    for (const char* name : {"gpt2", "roberta", "llama3"}) QTest::newRow(name) << name;
  }
  void realTokenizers() {
    QFETCH(QString, name);
    const fs::path path = shared() / "data/tokenizers" / name.toStdString();
    if (!fs::exists(path)) return;
    const auto tokenizer = loaded(path);
    for (size_t i = 0; i < m_hard["texts"].size(); ++i) {
      const std::string text = m_hard["texts"][i];
      const Encoding encoding = tokenizer->encode(text);
      QVERIFY2(encoding.ids == m_cases["real"][name.toStdString()][i].get<std::vector<int32_t>>(), text.c_str());
      QCOMPARE(tokenizer->decode(tokenizer->encode(text, {.addSpecial = false, .parseSpecial = false}).ids, false), text);
    }
    const std::string long1 = readFileBounded(shared() / "data/lm_text/wikitext-2/valid.txt", 4 << 20)->substr(0, 200000);
    Encoding whole, parts;
    tokenizer->encodePart(long1, 0, long1.size(), true, whole);
    const std::vector<size_t> cuts = tokenizer->cuts(long1, 1000);
    QVERIFY(cuts.size() > 50);
    for (size_t i = 0; i + 1 < cuts.size(); ++i) tokenizer->encodePart(long1, cuts[i], cuts[i + 1], true, parts);
    QCOMPARE(parts.ids, whole.ids);
    QVERIFY(parts.spans == whole.spans);
  }

  void gpt2FromItsOldFiles() {
    const fs::path from = shared() / "data/tokenizers/gpt2";
    if (!fs::exists(from)) return;
    const fs::path to = folder() / "old";
    fs::create_directory(to);
    fs::copy(from / "vocab.json", to / "vocab.json");
    fs::copy(from / "vocab.bpe", to / "vocab.bpe");
    const auto tokenizer = loaded(to);
    QCOMPARE(detectTokenizer(to), std::string("byte-level BPE"));
    QCOMPARE(tokenizer->special().eos, 50256);
    for (size_t i = 0; i < m_hard["texts"].size(); ++i)
      QCOMPARE(tokenizer->encode(m_hard["texts"][i].get<std::string>()).ids, m_cases["real"]["gpt2"][i].get<std::vector<int32_t>>());
  }

  void llama3Facts() {
    const fs::path path = shared() / "data/tokenizers/llama3";
    if (!fs::exists(path)) return;
    const auto tokenizer = loaded(path);
    QCOMPARE(detectTokenizer(path), std::string("tiktoken"));
    QCOMPARE(tokenizer->vocabSize(), int64_t{128256});
    QCOMPARE(tokenizer->special().bos, 128000);
    QCOMPARE(tokenizer->pieceToId("<|eot_id|>"), 128009);
    QCOMPARE(tokenizer->encodePair("a", "b").ids, (std::vector<int32_t>{128000, 64, 128000, 65}));
    QVERIFY(tokenizer->encodePair("a", "b").typeIds.empty());
  }

  void robertaLayout() {
    const fs::path path = shared() / "data/tokenizers/roberta";
    if (!fs::exists(path)) return;
    const auto tokenizer = loaded(path);
    QCOMPARE(tokenizer->encodePair("the", ".").ids, (std::vector<int32_t>{0, 627, 2, 2, 4, 2}));
    QCOMPARE(tokenizer->special().mask, 50264);
    // The mask takes the blank before it; spans leave blanks out.
    const Encoding encoding = tokenizer->encode("a <mask> b", {.addSpecial = false});
    QCOMPARE(encoding.spans, (std::vector<TextSpan>{{0, 1}, {2, 8}, {9, 10}}));
  }

  // Broken UTF-8 becomes U+FFFD, each maximal part of a character one; spans are of the bytes that were there.
  void brokenUtf8() {
    const auto tokenizer = small("byte_level");
    const std::string broken = "a\xff\xe2\x82 b";
    const Encoding encoding = tokenizer->encode(broken, {.addSpecial = false});
    QCOMPARE(encoding.ids, tokenizer->encode("a\uFFFD\uFFFD b", {.addSpecial = false}).ids);
    QCOMPARE(encoding.spans.back(), (TextSpan{5, 6}));
    QCOMPARE(encoding.spans[1], (TextSpan{1, 2}));
  }

  void veryLongWordsTakeLinearTime() {
    for (const char* name : {"byte_level", "byte_fallback", "unigram", "word_piece", "metaspace_first"}) {
      const auto tokenizer = small(name);
      const std::string word(1 << 20, 'e');
      QElapsedTimer timer;
      timer.start();
      const Encoding encoding = tokenizer->encode(word);
      QVERIFY(!encoding.ids.empty());
      QVERIFY2(timer.elapsed() < 20000, name);  // quadratic would be hours; the bound leaves room for slow builds
    }
  }

  void byteAlphabet() {
    std::string all;
    for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
    QCOMPARE(*fromByteLevel(toByteLevel(all)), all);
    QCOMPARE(toByteLevel(" a\n"), std::string("ĠaĊ"));
    QVERIFY(!fromByteLevel("漢").has_value());
  }

  void settingsOfTheFolder() {
    const json bert = {{"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"continuing_subword_prefix", "##"}, {"max_input_chars_per_word", 100},
                                  {"vocab", {{"[UNK]", 0}, {"[CLS]", 1}, {"[SEP]", 2}, {"Fox", 3}, {"fox", 4}}}}},
                       {"normalizer", {{"type", "BertNormalizer"}, {"lowercase", true}}},
                       {"pre_tokenizer", {{"type", "BertPreTokenizer"}}}};
    const fs::path to = folder() / "settings";
    fs::create_directory(to);
    write(to / "tokenizer.json", bert.dump());
    QCOMPARE(loaded(to)->encode("Fox").ids, (std::vector<int32_t>{4}));
    write(to / "tokenizer_config.json", "{\"do_lower_case\": false, \"cls_token\": \"[CLS]\", \"sep_token\": {\"content\": \"[SEP]\"},"
          "\"added_tokens_decoder\": {\"9\": {\"content\": \"<new>\", \"special\": true, \"lstrip\": true}}}");
    const auto tokenizer = loaded(to);
    QCOMPARE(tokenizer->encode("Fox  <new>[SEP]").ids, (std::vector<int32_t>{3, 9, 2}));
    QCOMPARE(tokenizer->special().cls, 1);
    QCOMPARE(tokenizer->vocabSize(), int64_t{10});
  }

  // Each change makes the small tokenizer one that has to be refused, with these words.
  void refused_data() {
    QTest::addColumn<int>("index");
    for (size_t i = 0; i < m_refused.size(); ++i) QTest::newRow(m_refused[i]["name"].get<std::string>().c_str()) << static_cast<int>(i);
  }
  void refused() {
    QFETCH(int, index);
    const json& mistake = m_refused[static_cast<size_t>(index)];
    json document = {{"version", "1.0"}, {"model", {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"ab", 2}}}, {"merges", {"a b"}}}}};
    const fs::path path = folder() / "refused.json";
    write(path, document.dump());
    QCOMPARE(loaded(path)->encode("aab").ids, (std::vector<int32_t>{0, 2}));
    for (const auto& [key, value] : mistake["change"].items()) document[key] = value;
    write(path, document.dump());
    const auto result = loadTokenizer(path);
    QVERIFY(!result.ok());
    const std::string message = result.error().message();
    QVERIFY2(message.find(mistake["expected"].get<std::string>()) != std::string::npos, message.c_str());
    QVERIFY(!result.error().hint.empty());
  }

  void refusedFiles() {
    const fs::path to = folder() / "files";
    fs::create_directory(to);
    const auto message = [&] {
      const auto result = loadTokenizer(to);
      return QString::fromStdString(result.ok() ? "was loaded" : result.error().message());
    };
    write(to / "vocab.json", "{\"a\": 0, \"b\": 1, \"ab\": 2}");
    write(to / "merges.txt", "#version: 0.2\na b\n");
    QCOMPARE(loaded(to)->encode("ab").ids, (std::vector<int32_t>{2}));
    write(to / "merges.txt", "#version: 0.2\na b c\n");
    QVERIFY(message().contains("merges.txt:2"));
    write(to / "merges.txt", "a z\n");
    QVERIFY(message().contains("does not fit its vocabulary"));
    write(to / "merges.txt", "a b\n");
    write(to / "config.json", "{\"model_type\": \"clip\"}");
    QVERIFY(message().contains("clip"));
    write(to / "tokenizer.model", "IQ== 0\nIQ== 1\n");
    QVERIFY(message().contains(":2"));
    write(to / "tokenizer.model", "IQ== 0\nIg== 1\n");
    QVERIFY(message().contains("128000"));
  }
};

QTEST_APPLESS_MAIN(PipelineTest)
#include "pipeline.moc"
