// Conversations: how they are read, what of them is learned, how long ones are cut, and what is said of rows and templates
// that do not fit.

#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/data/conversation.h"
#include "core/data/prepare.h"
#include "core/text/registry.h"
#include "test_tokenizer.h"
#include "tests/core/data/data_files.h"

using namespace rankscope;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

const fs::path kTemplates = fs::path(RANKSCOPE_SOURCE_DIR) / "resources/templates";
fs::path shared() { return qEnvironmentVariable("RANKSCOPE_SHARED").toStdString(); }

// Learned tokens in brackets, one stretch each.
QString shownAs(const ExampleView& example, const Tokenizer& tokenizer) {
  std::string text;
  std::vector<int32_t> stretch;
  bool inside = false;
  const auto flush = [&] {
    const std::string part = tokenizer.decode(stretch, false);
    if (!stretch.empty()) text += inside ? "[" + part + "]" : part;
    stretch.clear();
  };
  for (size_t i = 0; i < example.length(); ++i) {
    if ((example.label(i) != kIgnoreLabel) != inside) {
      flush();
      inside = !inside;
    }
    stretch.push_back(example.ids[i]);
  }
  flush();
  return QString::fromStdString(text);
}

}  // namespace

class ConversationsTest : public QObject, private DataFiles {
  Q_OBJECT

 private:
  ChatTemplateList m_known = loadChatTemplates(kTemplates);

  DataSettings settings(const fs::path& train, const char* chat) {
    DataSettings result = DataFiles::settings(DataTask::Instruction, train);
    if (chat) result.chatTemplate = *m_known.find(chat);
    return result;
  }
  static std::unique_ptr<Tokenizer> llama3() {
    const fs::path folder = shared() / "data/tokenizers/llama3";
    if (!fs::exists(folder)) return nullptr;
    Result<std::unique_ptr<Tokenizer>> tokenizer = loadTokenizer(folder);
    return tokenizer ? std::move(*tokenizer) : nullptr;
  }

 private Q_SLOTS:
  void turnsOfACell() {
    const auto reason = [](const char* cell) {
      const auto read = readConversation(cell);
      const std::string* text = std::get_if<std::string>(&read);
      return text ? QString::fromStdString(*text) : QString();
    };
    const auto turns = std::get<std::vector<ChatTurn>>(readConversation(
        R"([{"from":"system","value":"s"},{"from":"human","value":"u"},{"from":"gpt","value":"a"},{"role":"prompter","content":"v"}])"));
    QCOMPARE(turns.size(), size_t{4});
    QVERIFY(turns[0].role == ChatRole::System && turns[1].role == ChatRole::User && turns[2].role == ChatRole::Assistant);
    QCOMPARE(turns[3].text, std::string("v"));
    QVERIFY(reason("[{\"role\":").contains("cannot be read"));
    QVERIFY(reason("[]").contains("no list of turns"));
    QVERIFY(reason("{\"role\":\"user\",\"content\":\"x\"}").contains("no list of turns"));
    QVERIFY(reason(R"([{"role":"user"}])").contains("no list of turns"));
    QVERIFY(reason(R"([{"role":"tool","content":"x"}])").contains("\"tool\""));
    QVERIFY(reason(R"([{"from":"function_call","value":"x"}])").contains("function_call"));
    QVERIFY(reason(R"([{"role":"user","content":[{"type":"image"}]}])").contains("something else than text"));
    QVERIFY(looksLikeConversation(" [{\"from\":\"human\"}]") && !looksLikeConversation("{\"role\":1}") && !looksLikeConversation("[1]"));
  }

  void columnsAndTask() {
    const fs::path path = file("c.json", R"([{"id":1,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}])");
    const Result<TableInspection> table = inspectTable(path);
    QVERIFY2(table.ok(), table.ok() ? "" : table.error().message().c_str());
    QCOMPARE(table->guessedTask, DataTask::Instruction);
    QCOMPARE(table->guessed.messages, std::string("messages"));
    QCOMPARE(table->columns.size(), size_t{2});
    QCOMPARE(table->columns[1].guessedRole, std::string("messages"));
    // Prompt and answer in columns of their own win, as they did.
    const Result<TableInspection> both = inspectTable(
        file("b.jsonl", R"({"prompt":"p","answer":"q","messages":[{"role":"user","content":"a"}]})" "\n"));
    QCOMPARE(both->guessed.prompt, std::string("prompt"));
    QCOMPARE(both->guessed.messages, std::string());
  }

  void withoutATemplate() {
    const std::unique_ptr<Tokenizer> tokenizer = makeTestTokenizer(false);
    const auto data = prepareData(
        settings(file("n.jsonl", R"({"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]})" "\n"), nullptr),
        *tokenizer);
    QVERIFY(!data.ok());
    QVERIFY(data.error().message().find("need a chat template") != std::string::npos);
  }

  void learnedTurns() {
    const std::unique_ptr<Tokenizer> tokenizer = llama3();
    if (!tokenizer) return;
    const fs::path path = file("l.jsonl", R"({"conversations":[{"from":"system","value":"Be brief."},{"from":"human","value":"One?"},{"from":"gpt","value":"Yes."},{"from":"human","value":"Two?"},{"from":"gpt","value":"No."},{"from":"human","value":"Three?"}]})" "\n");
    DataSettings s = settings(path, "llama-3");
    auto data = prepareData(s, *tokenizer);
    QVERIFY2(data.ok(), data.ok() ? "" : data.error().message().c_str());
    QCOMPARE(shownAs(data->train[0], *tokenizer),
             QString("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
                     "<|end_header_id|>\n\nOne?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[Yes.<|eot_id|>]"
                     "<|start_header_id|>user<|end_header_id|>\n\nTwo?<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
                     "\n\n[No.<|eot_id|>]"));
    QCOMPARE(data->train[0].ids[0], 128000);  // marks are single tokens
    QCOMPARE(data->train[0].ids.back(), 128009);
    QVERIFY(data->trainProblems.items.empty());
    s.lossOnLastTurn = true;
    data = prepareData(s, *tokenizer);
    QVERIFY(shownAs(data->train[0], *tokenizer).contains("\n\nYes.<|eot_id|>"));
    QVERIFY(shownAs(data->train[0], *tokenizer).endsWith("\n\n[No.<|eot_id|>]"));
    s.lossOnLastTurn = false;
    // The oldest question goes with its answer; the system text stays.
    s.maxLength = 30;
    data = prepareData(s, *tokenizer);
    QCOMPARE(shownAs(data->train[0], *tokenizer),
             QString("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|><|start_header_id|>user"
                     "<|end_header_id|>\n\nTwo?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[No.<|eot_id|>]"));
    QVERIFY(data->train[0].truncated);
    // A single exchange loses the question's beginning, the text's opening stays.
    s.maxLength = 10;
    data = prepareData(s, *tokenizer);
    QCOMPARE(data->train[0].length(), size_t{10});
    QCOMPARE(data->train[0].ids[0], 128000);
    QVERIFY(shownAs(data->train[0], *tokenizer).endsWith("assistant<|end_header_id|>\n\n[No.<|eot_id|>]"));
  }

  void tablesOfInstructions() {
    const std::unique_ptr<Tokenizer> tokenizer = llama3();
    if (!tokenizer) return;
    const fs::path path = file("t.jsonl", R"({"instruction":"Add.","input":"1 1","output":"2"})" "\n"
                                          R"({"instruction":"Hi.","input":"","output":"Yo."})" "\n"
                                          R"({"instruction":"Empty.","input":"","output":""})" "\n");
    auto data = prepareData(settings(path, "llama-3"), *tokenizer);
    QVERIFY2(data.ok(), data.ok() ? "" : data.error().message().c_str());
    QCOMPARE(data->train.size(), size_t{2});
    QCOMPARE(data->trainProblems.total, uint64_t{1});
    QVERIFY(shownAs(data->train[0], *tokenizer).contains("user<|end_header_id|>\n\nAdd.\n1 1<|eot_id|>"));
    QVERIFY(shownAs(data->train[1], *tokenizer).contains("user<|end_header_id|>\n\nHi.<|eot_id|>"));
    data = prepareData(settings(path, "alpaca"), *tokenizer);
    QVERIFY(shownAs(data->train[0], *tokenizer).contains("### Instruction:\nAdd.\n\n### Input:\n1 1\n\n### Response:\n[2<|"));
    // A template of another family is learnt as text, and said so.
    data = prepareData(settings(path, "chatml"), *tokenizer);
    QVERIFY(data->trainProblems.total == 2 && data->trainProblems.items[0].message.find("<|im_end|>") != std::string::npos);
  }

  void whatModelsSay() {
    const fs::path model = fs::path(m_dir.path().toStdString()) / "model";
    fs::create_directories(model);
    Places places;
    places.resources = kTemplates.parent_path();
    const auto named = [&](const char* chat, const char* prompt = "") {
      RunConfig config;
      for (const auto& [key, value] : {std::pair<const char*, std::string>{"model.path", model.string()},
                                       {"data.train", "x.jsonl"}, {"data.task", "instruction"},
                                       {"data.chat_template", chat}, {"data.template", prompt}})
        if (!config.set(key, value)) qFatal("%s", key);
      return DataSettings::fromConfig(config, places);
    };
    QVERIFY(named("auto").ok() && !named("auto")->chatTemplate);
    QCOMPARE(named("zephyr")->chatTemplate->name, std::string("zephyr"));
    std::ofstream(model / "chat_template.jinja")
        << "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
           "'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    QCOMPARE(named("auto")->chatTemplate->name, std::string("chatml"));
    QVERIFY(!named("none")->chatTemplate);
    QVERIFY(!named("auto", "Q: {prompt}")->chatTemplate);  // a prompt template says it all, unless one is named
    QVERIFY(named("plain", "Q: {prompt}")->chatTemplate.has_value());
    std::ofstream(model / "chat_template.jinja") << "{{ messages[0].content }}";
    QVERIFY(!named("auto").ok() && named("none").ok() && named("auto", "Q: {prompt}").ok());
  }

  void everyTemplateIsAnOption() {
    const OptionSpec* option = findOption("data.chat_template");
    QVERIFY(option);
    QStringList choices, files;
    for (const auto& choice : option->choices) choices << QString::fromStdString(choice.value);
    for (const ChatTemplate& each : m_known.templates) files << QString::fromStdString(each.name);
    choices.removeOne("auto");
    choices.removeOne("none");
    choices.sort();
    files.sort();
    QCOMPARE(choices, files);
  }

  // The published instruction sets: every row is learned or left out with a reason.
  void sharedSets() {
    const std::unique_ptr<Tokenizer> tokenizer = llama3();
    const fs::path data = shared() / "data/instruct";
    if (!tokenizer || !fs::exists(data)) return;
    const auto read = [&](const char* name, const char* chat, const char* answer = "") {
      DataSettings s = settings(data / name, chat);
      s.columns.answer = answer;
      s.maxLength = 2048;
      auto result = prepareData(s, *tokenizer);
      if (!result) qWarning("%s", result.error().message().c_str());
      return result;
    };
    auto tools = read("sharegpt_tools/glaive_toolcall_en_demo.json", "llama-3");
    QVERIFY(tools.ok());
    QCOMPARE(tools->train.size() + tools->trainProblems.total, size_t{100});
    QVERIFY(tools->train.size() > 20 && tools->trainProblems.total > 20);
    auto preferred = read("dpo_sharegpt/dpo_en_demo.json", "chatml", "chosen.value");
    QVERIFY(preferred.ok());
    QCOMPARE(preferred->train.size(), size_t{200});
    auto alpaca = read("alpaca/alpaca_en_demo.json", "llama-2");
    QVERIFY(alpaca.ok());
    QCOMPARE(alpaca->train.size() + alpaca->trainProblems.total, size_t{799});
    QVERIFY(alpaca->train.scoredTokens() > 10000);
  }
};

QTEST_APPLESS_MAIN(ConversationsTest)
#include "conversations.moc"
