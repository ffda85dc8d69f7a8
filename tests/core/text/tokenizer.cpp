// Ids against transformers on hard texts (tokenizer_cases.json names the versions that made them), spans, cutting of
// long texts, and crafted files.

#include <sys/stat.h>
#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/text/registry.h"
#include "core/text/sentencepiece.h"
#include "core/text/tokenizer_json.h"
#include "core/text/wordpiece.h"

using namespace rankscope;
namespace fs = std::filesystem;

namespace {

fs::path shared() { return qEnvironmentVariable("RANKSCOPE_SHARED").toStdString(); }
fs::path tokenizers() { return shared() / "data/tokenizers"; }
bool haveData() { return fs::exists(tokenizers() / "llama/tokenizer.model"); }

std::string spelled(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) {
  std::string text;
  for (const int32_t id : ids) text += tokenizer.idToPiece(id) + " ";
  return text;
}

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::unique_ptr<Tokenizer> loaded(const fs::path& path) {
  Result<std::unique_ptr<Tokenizer>> tokenizer = loadTokenizer(path);
  if (!tokenizer) qFatal("%s", tokenizer.error().message().c_str());
  return std::move(*tokenizer);
}

// A small BERT vocabulary, so that much can be tested without the shared data.
fs::path smallBert(const QTemporaryDir& dir) {
  const fs::path folder = dir.path().toStdString();
  write(folder / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nfox\n##es\n.\nun\n##believ\n##able\ne\n你\n");
  return folder;
}

}  // namespace

class TokenizerTest : public QObject {
  Q_OBJECT

 private:
  nlohmann::json m_cases;

  void compareIds(const Tokenizer& tokenizer, const char* key) {
    int wrong = 0;
    for (size_t i = 0; i < m_cases["texts"].size(); ++i) {
      const std::string text = m_cases["texts"][i];
      const auto expected = m_cases[key][i].get<std::vector<int32_t>>();
      const Encoding encoding = tokenizer.encode(text);
      if (encoding.ids == expected) continue;
      ++wrong;
      qWarning("%s %zu \"%s\"\n  is       %s\n  expected %s", key, i, text.c_str(), spelled(tokenizer, encoding.ids).c_str(),
               spelled(tokenizer, expected).c_str());
    }
    QCOMPARE(wrong, 0);
  }

 private Q_SLOTS:
  void initTestCase() {
    const auto cases = readJsonFile(fs::path(RANKSCOPE_SOURCE_DIR) / "tests/core/text/tokenizer_cases.json");
    QVERIFY(cases.ok());
    m_cases = *cases;
    QVERIFY(m_cases["texts"].size() > 50);
  }

  void bertIdsAndSpans() {
    if (!haveData()) return;
    const auto tokenizer = loaded(tokenizers() / "bert_uncased");
    QCOMPARE(tokenizer->kind(), std::string("wordpiece"));
    QCOMPARE(tokenizer->vocabSize(), int64_t{30522});
    QCOMPARE(tokenizer->special().pad, 0);
    QCOMPARE(tokenizer->special().cls, 101);
    compareIds(*tokenizer, "bert");
    for (size_t i = 0; i < m_cases["texts"].size(); ++i) {
      const Encoding encoding = tokenizer->encode(m_cases["texts"][i].get<std::string>());
      const nlohmann::json& expected = m_cases["bert_offsets"][i];
      for (size_t k = 1; k + 1 < encoding.size(); ++k) {
        QCOMPARE(encoding.spans[k].begin, expected[k][0].get<uint32_t>());
        QCOMPARE(encoding.spans[k].end, expected[k][1].get<uint32_t>());
      }
      QCOMPARE(tokenizer->decode(encoding.ids), m_cases["bert_decode"][i].get<std::string>());
    }
  }

  void bertFromVocabulary() {
    if (!haveData()) return;
    const auto tokenizer = loadWordPiece(tokenizers() / "bert_uncased/vocab.txt");
    QVERIFY(tokenizer.ok());
    compareIds(**tokenizer, "bert");
  }

  void bertCased() {
    if (!haveData()) return;
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    fs::copy(tokenizers() / "bert_uncased/vocab.txt", folder / "vocab.txt");
    write(folder / "tokenizer_config.json", "{\"do_lower_case\": false}");
    compareIds(*loaded(folder), "bert_cased");
  }

  void bertPairs() {
    if (!haveData()) return;
    const auto tokenizer = loaded(tokenizers() / "bert_uncased");
    for (const nlohmann::json& pair : m_cases["pairs"]) {
      EncodeOptions options;
      options.maxTokens = pair["max"];
      const Encoding encoding = tokenizer->encodePair(pair["a"].get<std::string>(), pair["b"].get<std::string>(), options);
      QCOMPARE(encoding.ids, pair["ids"].get<std::vector<int32_t>>());
      QCOMPARE(encoding.typeIds, pair["types"].get<std::vector<uint8_t>>());
    }
  }

  void llamaIds() {
    if (!haveData()) return;
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    fs::copy(tokenizers() / "llama/tokenizer.model", folder / "tokenizer.model");
    const auto legacy = loaded(folder);
    QCOMPARE(legacy->vocabSize(), int64_t{32000});
    QCOMPARE(legacy->special().bos, 1);
    QCOMPARE(legacy->special().eos, 2);
    compareIds(*legacy, "llama_legacy");
    QCOMPARE(legacy->encodePair("one two", "three").ids, m_cases["llama_legacy_pair"].get<std::vector<int32_t>>());
    write(folder / "tokenizer_config.json", "{\"legacy\": false, \"bos_token\": {\"content\": \"<s>\"}}");
    compareIds(*loaded(folder), "llama_new");
    write(folder / "tokenizer_config.json", "{\"add_bos_token\": false, \"add_eos_token\": true}");
    const Encoding plain = loaded(folder)->encode("The quick brown fox.");
    QCOMPARE(spelled(*legacy, plain.ids), std::string("▁The ▁quick ▁brown ▁fo x . </s> "));
    QVERIFY(legacy->contentHash() != loaded(folder)->contentHash());
  }

  void llamaSpansCoverTheText() {
    if (!haveData()) return;
    const auto tokenizer = loaded(tokenizers() / "llama");
    for (const nlohmann::json& each : m_cases["texts"]) {
      const std::string text = each;
      uint32_t at = 0;
      for (const TextSpan& span : tokenizer->encode(text, {.addSpecial = false}).spans) {
        QVERIFY2(span.begin == at && span.end >= span.begin, text.c_str());
        at = span.end;
      }
      QCOMPARE(static_cast<size_t>(at), text.size());
    }
    // A character in byte pieces: each byte has its own.
    const Encoding bytes = tokenizer->encode("\xF0\x9D\x94\x98", {.addSpecial = false});
    QCOMPARE(bytes.spans.back(), (TextSpan{3, 4}));
  }

  void albertPieces() {
    if (!haveData()) return;
    const auto tokenizer = loaded(tokenizers() / "albert_unigram");
    QCOMPARE(QString::fromStdString(spelled(*tokenizer, tokenizer->encode("The quick brown fox.", {.addSpecial = false}).ids)),
             QString::fromUtf8("▁ <unk> he ▁quick ▁brown ▁fox . "));  // this vocabulary has no capital T
    // Scores that nearly tie are not decided by how much text came before.
    const std::string tail = " unproven abseiling After Room corporation";
    const std::vector<int32_t> alone = tokenizer->encode(tail.substr(1), {.addSpecial = false}).ids;
    for (const int words : {300, 1000, 3000, 10000}) {
      std::string text = "Word";
      for (int i = 1; i < words; ++i) text += " Word";
      const Encoding whole = tokenizer->encode(text + tail, {.addSpecial = false});
      const auto behind = static_cast<std::ptrdiff_t>(alone.size());
      QCOMPARE(std::vector<int32_t>(whole.ids.end() - behind, whole.ids.end()), alone);
      for (size_t i = 1; i < whole.size(); ++i) QCOMPARE(whole.spans[i].begin, whole.spans[i - 1].end);
    }
    const Encoding pair = tokenizer->encodePair("a", "b");
    QCOMPARE(pair.ids.front(), tokenizer->special().cls);
    QCOMPARE(pair.ids.back(), tokenizer->special().sep);
    QCOMPARE(pair.typeIds.back(), uint8_t{1});
  }

  void stories260K() {
    const fs::path folder = shared() / "data/models/stories260K";
    if (!fs::exists(folder)) return;
    const auto reference = readJsonFile(folder / "reference.json");
    QVERIFY(reference.ok());
    const auto tokenizer = loaded(folder / "hf");
    for (const nlohmann::json& each : (*reference)["tokenize"])
      QCOMPARE(tokenizer->encode(each["text"].get<std::string>(), {.addSpecial = false}).ids, each["ids"].get<std::vector<int32_t>>());
    QCOMPARE(tokenizer->encode((*reference)["prompt"]["text"].get<std::string>()).ids,
             (*reference)["prompt"]["ids"].get<std::vector<int32_t>>());
    QCOMPARE(tokenizer->decode((*reference)["prompt"]["ids"].get<std::vector<int32_t>>()), std::string("Once upon a time"));
    const auto greedy = (*reference)["greedy_200"];
    if (greedy.contains("text"))
      QVERIFY(tokenizer->decode(greedy["ids"].get<std::vector<int32_t>>()).find("Once upon a time, there was a little girl named Lily.") == 0);
    QVERIFY(checkTokenizerFits(*tokenizer, 512).ok());
    QVERIFY(!checkTokenizerFits(*tokenizer, 511).ok());
  }

  // Long texts are tokenised in parts; the parts must give what the whole gives.
  void partsEqualTheWhole_data() {
    QTest::addColumn<QString>("folder");
    QTest::newRow("llama") << "data/tokenizers/llama";
    QTest::newRow("bert") << "data/tokenizers/bert_uncased";
    QTest::newRow("stories") << "data/models/stories260K/hf";
    QTest::newRow("albert") << "data/tokenizers/albert_unigram";
  }
  void partsEqualTheWhole() {
    if (!haveData()) return;
    QFETCH(QString, folder);
    const auto tokenizer = loaded(shared() / folder.toStdString());
    for (const char* file : {"tinyshakespeare/input.txt", "wikitext-2/valid.txt"}) {
      const std::string text = readFileBounded(shared() / "data/lm_text" / file, 4 << 20)->substr(0, 200000);
      Encoding whole, parts;
      tokenizer->encodePart(text, 0, text.size(), true, whole);
      const std::vector<size_t> cuts = tokenizer->cuts(text, 1000);
      if (!folder.endsWith("albert_unigram")) QVERIFY(cuts.size() > 50);
      for (size_t i = 0; i + 1 < cuts.size(); ++i) tokenizer->encodePart(text, cuts[i], cuts[i + 1], true, parts);
      QCOMPARE(parts.ids, whole.ids);
      QVERIFY(parts.spans == whole.spans);
    }
  }

  void smallWordPiece() {
    QTemporaryDir dir;
    const auto tokenizer = loaded(smallBert(dir));
    QCOMPARE(tokenizer->encode("The Foxes.").ids, (std::vector<int32_t>{2, 5, 6, 7, 8, 3}));
    QCOMPARE(tokenizer->encode("unbelievable é你x [MASK]").ids, (std::vector<int32_t>{2, 9, 10, 11, 12, 13, 1, 4, 3}));
    QCOMPARE(tokenizer->encode("the fox", {.addSpecial = true, .parseSpecial = true, .maxTokens = 3}).ids, (std::vector<int32_t>{2, 5, 3}));
    // Brackets are punctuation when special tokens are not looked for.
    QCOMPARE(tokenizer->encode("[MASK]", {.addSpecial = false, .parseSpecial = false}).ids, (std::vector<int32_t>{1, 1, 1}));
    QCOMPARE(tokenizer->decode(std::vector<int32_t>{2, 5, 6, 7, 8, 3, -5, 99999}), std::string("the foxes."));
    QCOMPARE(tokenizer->pieceToId("##es"), 7);
    QCOMPARE(tokenizer->pieceToId("nothing"), -1);
    QCOMPARE(tokenizer->idToPiece(-1), std::string());
    QVERIFY(tokenizer->isSpecial(3));
    QVERIFY(!tokenizer->isSpecial(5));
    const Encoding broken = tokenizer->encode(std::string("the\xff\xfe fox\x00 \xC3", 12), {.addSpecial = false});
    QCOMPARE(broken.ids, (std::vector<int32_t>{5, 6}));
  }

  void filesThatCannotBeUsed() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString();
    const auto refused = [&](const char* what) {
      const auto result = loadTokenizer(folder);
      const bool ok = !result.ok() && result.error().message().find(what) != std::string::npos && !result.error().hint.empty();
      if (!ok) qWarning("%s", result.ok() ? "was loaded" : result.error().message().c_str());
      for (const fs::directory_entry& entry : fs::directory_iterator(folder)) fs::remove(entry.path());
      return ok;
    };
    QVERIFY(refused("no tokenizer of a known kind"));
    write(folder / "vocab.txt", "a\nb\n");
    QVERIFY(refused("lacks a special token"));
    write(folder / "vocab.txt", "a\n\xff\n");
    QVERIFY(refused("not UTF-8"));
    write(folder / "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
    write(folder / "tokenizer_config.json", "{\"added_tokens_decoder\": {\"99999999999\": \"x\"}}");
    QVERIFY(refused("no usable id"));
    write(folder / "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n");
    write(folder / "tokenizer_config.json", "{");
    QVERIFY(refused("not valid JSON"));
    write(folder / "tokenizer.model", "");
    QVERIFY(refused("no pieces"));
    write(folder / "tokenizer.model", std::string("\x0a\x07\x0a\x05" "<unk>" "\x0a\x06\x0a\x04" "a\0bc", 17));
    QVERIFY(refused("null character"));
    write(folder / "tokenizer.model", "IQ== 0\nIg== 1\n");  // tiktoken's kind, but not Llama 3's
    QVERIFY(refused("2 tokens"));
    if (haveData()) {
      std::string model = *readFileBounded(tokenizers() / "albert_unigram/spiece.model", 1 << 24);
      write(folder / "spiece.model", model.substr(0, model.size() / 2));
      QVERIFY(refused("not a usable SentencePiece model"));
      // A normalisation table whose first unit leads far away.
      const size_t name = model.find("nmt_nfkc");
      QVERIFY(name != std::string::npos);
      for (size_t i = 0; i < 4; ++i) model[name + 8 + 4 + 4 + i] = '\x7f';
      write(folder / "spiece.model", model);
      QVERIFY(refused("normalisation table"));
    }
  }

  // Names of tokenizer files that are folders, pipes, devices or links that lead nowhere, and files beyond all measure:
  // refused with a message, and nothing waits for what never comes.
  void namesThatAreTricks_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<QString>("trick");
    QTest::addColumn<QString>("words");
    for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json"})
      for (const char* trick : {"folder", "pipe", "device", "dangling", "loop"})
        QTest::addRow("%s: %s", name, trick) << name << trick << "no tokenizer of a known kind";
    for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt"})
      QTest::addRow("%s: huge", name) << name << "huge" << "too large";
  }
  void namesThatAreTricks() {
    QFETCH(QString, name);
    QFETCH(QString, trick);
    QFETCH(QString, words);
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString(), file = folder / name.toStdString();
    write(folder / "merges.txt", "a b\n");  // the other half of vocab.json
    if (trick == "folder") fs::create_directory(file);
    if (trick == "pipe") QCOMPARE(::mkfifo(file.c_str(), 0600), 0);
    if (trick == "device") fs::create_symlink("/dev/zero", file);
    if (trick == "dangling") fs::create_symlink("nowhere", file);
    if (trick == "loop") fs::create_symlink(file.filename(), file);
    if (trick == "huge") {
      write(file, "{");
      fs::resize_file(file, uint64_t{1} << 40);  // sparse
    }
    const auto loaded = loadTokenizer(folder);
    QVERIFY(!loaded.ok());
    QVERIFY2(QString::fromStdString(loaded.error().message()).contains(words), loaded.error().message().c_str());
    QVERIFY(!loaded.error().hint.empty());
    if (trick != "folder" && trick != "huge") QVERIFY(!loadTokenizer(file).ok());  // named by itself
  }

  // Paths that a tokenizer_config.json names are never followed.
  void pathsInsideAreNotFollowed() {
    QTemporaryDir dir;
    const fs::path folder = smallBert(dir);
    write(folder / "tokenizer_config.json",
          R"({"vocab_file":"/dev/zero","tokenizer_file":"../../tokenizer.json","name_or_path":"/etc",
              "special_tokens_map_file":"/etc/passwd","added_tokens_file":"loop"})");
    fs::create_symlink("/dev/zero", folder / "special_tokens_map.json");
    fs::create_directory(folder / "added_tokens.json");
    const std::unique_ptr<Tokenizer> tokenizer = loaded(folder);
    QCOMPARE(tokenizer->vocabSize(), int64_t{14});
    for (const fs::path& file : tokenizerFiles(folder)) QCOMPARE(file.parent_path(), folder);
  }
};

QTEST_APPLESS_MAIN(TokenizerTest)
#include "tokenizer.moc"
