// Named chat templates against transformers (chat_template_cases.json names the versions that made the cases): texts of
// conversations, recognition of published templates and refusal of others; the Jinja they are written in; hostile input.

#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/config/json_text.h"
#include "core/text/chat_recognition.h"
#include "core/text/jinja.h"

using namespace rankscope;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

const fs::path kSource = RANKSCOPE_SOURCE_DIR;
const ChatTokens kTokens{"<s>", "</s>"};

std::vector<ChatTurn> turnsOf(const json& conversation) {
  std::vector<ChatTurn> turns;
  for (const json& turn : conversation)
    turns.push_back({turn[0] == "system" ? ChatRole::System : turn[0] == "user" ? ChatRole::User : ChatRole::Assistant,
                     turn[1].get<std::string>()});
  return turns;
}

void write(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

class ChatTemplatesTest : public QObject {
  Q_OBJECT

 private:
  json m_cases;
  ChatTemplateList m_known;

  void eachOf(const char* list) {
    QTest::addColumn<int>("index");
    for (size_t i = 0; i < m_cases[list].size(); ++i) {
      const json& entry = m_cases[list][i];
      QTest::newRow(entry.is_object() ? entry["title"].get<std::string>().c_str() : entry[0].get<std::string>().c_str())
          << static_cast<int>(i);
    }
  }
  const json& fetched(const char* list) const {
    QFETCH(int, index);
    return m_cases[list][static_cast<size_t>(index)];
  }

 private Q_SLOTS:
  void initTestCase() {
    Result<json> cases = readJsonFile(kSource / "tests/core/text/chat_template_cases.json");
    QVERIFY2(cases.ok(), cases.ok() ? "" : cases.error().message().c_str());
    m_cases = std::move(*cases);
    m_known = loadChatTemplates(kSource / "resources/templates");
    QVERIFY2(m_known.problems.empty(), m_known.problems.empty() ? "" : m_known.problems[0].message().c_str());
    QVERIFY(m_known.templates.size() >= 12);
  }

  void publishedTemplates_data() { eachOf("published"); }
  void publishedTemplates() {
    const json& published = fetched("published");
    Result<ChatTemplate> found = recogniseChatTemplate(published["source"], m_known);
    QVERIFY2(found.ok(), found.ok() ? "" : found.error().message().c_str());
    QCOMPARE(found->name, published["template"].get<std::string>());
    for (size_t i = 0; i < published["texts"].size(); ++i) {
      const std::vector<ChatTurn> turns = turnsOf(m_cases["conversations"][i]);
      for (size_t generation = 0; generation < published["texts"][i].size(); ++generation) {
        const json& expected = published["texts"][i][generation];
        if (expected == "-") continue;  // this one begins an answer unasked
        const Result<RenderedChat> text = found->render(turns, generation == 1, kTokens);
        QCOMPARE(text.ok(), expected.is_string());
        if (!text) continue;
        QCOMPARE(QString::fromStdString(text->text), QString::fromStdString(expected.get<std::string>()));
        // What an assistant says is learned, with the mark that ends it.
        size_t answers = 0;
        for (const ChatTurn& turn : turns) answers += turn.role == ChatRole::Assistant;
        QCOMPARE(text->learned.size(), answers);
        for (const TextSpan& span : text->learned)
          QVERIFY(text->text.substr(span.begin, span.end - span.begin).ends_with(found->endMark(kTokens)));
      }
    }
  }

  void unknownTemplates_data() { eachOf("unknown"); }
  void unknownTemplates() {
    const json& unknown = fetched("unknown");
    const Result<ChatTemplate> found = recogniseChatTemplate(unknown["source"], m_known);
    QVERIFY2(!found.ok(), found.ok() ? found->name.c_str() : "");
    QVERIFY2(found.error().message().find(unknown["words"].get<std::string>()) != std::string::npos,
             found.error().message().c_str());
    QVERIFY(found.error().hint.find("data.chat_template") != std::string::npos);
  }

  void whatIsLearned() {
    const std::vector<ChatTurn> turns = {
        {ChatRole::User, "Hello"}, {ChatRole::Assistant, " Hi. "}, {ChatRole::User, "And?"}, {ChatRole::Assistant, "So."}};
    const auto learned = [&](const char* name) {
      const RenderedChat chat = m_known.find(name)->render(turns, false, kTokens).value();
      QStringList texts;
      for (const TextSpan& span : chat.learned) texts << QString::fromStdString(chat.text.substr(span.begin, span.end - span.begin));
      return texts.join('|');
    };
    QCOMPARE(learned("chatml"), QString(" Hi. <|im_end|>|So.<|im_end|>"));
    QCOMPARE(learned("llama-2"), QString("Hi. </s>|So. </s>"));
    QCOMPARE(learned("llama-3"), QString("Hi.<|eot_id|>|So.<|eot_id|>"));
    QCOMPARE(learned("qwen3"), QString(" Hi. <|im_end|>|<think>\n\n</think>\n\nSo.<|im_end|>"));
    QCOMPARE(learned("plain"), QString(" Hi. </s>|So.</s>"));
  }

  // Formats that no model publishes as Jinja.
  void alpacaAndPlain() {
    const std::vector<ChatTurn> one = {{ChatRole::User, "Add."}, {ChatRole::Assistant, "2"}};
    QCOMPARE(m_known.find("alpaca")->render(one, false, kTokens)->text,
             std::string("Below is an instruction that describes a task. Write a response that appropriately completes the "
                         "request.\n\n### Instruction:\nAdd.\n\n### Response:\n2</s>\n\n"));
    QCOMPARE(m_known.find("plain")->render(std::span(one).first(1), true, kTokens)->text, std::string("Add.\n"));
    QCOMPARE(m_known.find("plain")->render(one, false, kTokens)->text, std::string("Add.\n2</s>\n"));
  }

  void conversationsThatDoNotFit() {
    using enum ChatRole;
    const auto refused = [&](const char* name, const std::vector<ChatTurn>& turns, const char* words) {
      const Result<RenderedChat> text = m_known.find(name)->render(turns, false, kTokens);
      return !text.ok() && text.error().message().find(words) != std::string::npos && !text.error().hint.empty();
    };
    QVERIFY(refused("mistral", {{System, "s"}, {User, "u"}}, "no place for a system text"));
    QVERIFY(refused("llama-2", {{User, "u"}, {User, "v"}}, "take turns"));
    QVERIFY(refused("llama-2", {{Assistant, "a"}}, "take turns"));
    QVERIFY(refused("chatml", {{User, "u"}, {System, "s"}}, "stands within"));
    QVERIFY(m_known.find("chatml")->render(std::vector<ChatTurn>{{User, "u"}, {User, "v"}}, false, kTokens).ok());
  }

  void folderOfAModel() {
    QTemporaryDir dir;
    const fs::path folder = dir.path().toStdString(), templates = kSource / "resources/templates";
    const auto named = [&](const char* wanted = "auto") { return chatTemplateFor(wanted, folder, templates); };
    QVERIFY(named().ok() && !named()->has_value());  // no file at all
    QVERIFY(named("none").ok() && !named("none")->has_value());
    QCOMPARE((*named("vicuna"))->name, std::string("vicuna"));
    QVERIFY(!named("nonsense").ok() && named("nonsense").error().code == ErrorCode::Usage);
    write(folder / "tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\",\"chat_template\":null}");
    QVERIFY(named().ok() && !named()->has_value());
    const std::string chatml = m_cases["published"][5]["source"], zephyr = "{% for m in messages %}{{ m.content }}{% endfor %}";
    write(folder / "tokenizer_config.json", json{{"chat_template", chatml}}.dump());
    QCOMPARE((*named())->name, std::string("chatml"));
    write(folder / "tokenizer_config.json",
          json{{"chat_template", {{{"name", "tool_use"}, {"template", "x"}}, {{"name", "default"}, {"template", chatml}}}}}.dump());
    QCOMPARE((*named())->name, std::string("chatml"));
    write(folder / "tokenizer_config.json", json{{"chat_template", {{{"name", "rag"}, {"template", chatml}}}}}.dump());
    QVERIFY(!named().ok() && named().error().message().find("without a default") != std::string::npos);
    write(folder / "tokenizer_config.json", json{{"chat_template", 3}}.dump());
    QVERIFY(!named().ok());
    // The file of its own wins; what it says is not recognised and said so, with the folder.
    write(folder / "chat_template.jinja", zephyr);
    QVERIFY(!named().ok() && named().error().where.find(folder.string()) != std::string::npos);
    QCOMPARE((*named("zephyr"))->name, std::string("zephyr"));
    write(folder / "chat_template.jinja", std::string(300 << 10, 'x'));
    QVERIFY(!named().ok());
  }

  void malformedTemplates() {
    const auto words = [](const char* text) {
      const Result<ChatTemplate> parsed = ChatTemplate::parse(json::parse(text), "x", "x.json");
      return parsed ? std::string() : parsed.error().message();
    };
    QVERIFY(words(R"({"user":{},"assistant":{}})").empty());
    for (const auto& [text, expected] : std::vector<std::pair<const char*, const char*>>{
             {"[]", "the document"},
             {"{}", "x.json, user"},
             {R"({"user":{}})", "x.json, assistant"},
             {R"({"user":3,"assistant":{}})", "x.json, user"},
             {R"({"user":{"before":3},"assistant":{}})", "user.before"},
             {R"({"user":{"end":"x"},"assistant":{}})", "user.end"},
             {R"({"user":{},"assistant":{"trim":1}})", "assistant.trim"},
             {R"({"user":{},"assistant":{},"system":{"place":"last"}})", "system.place"},
             {R"({"user":{},"assistant":{},"generations":""})", "generations"},
             {R"({"user":{},"assistant":{},"alternate":"yes"})", "alternate"}})
      QVERIFY2(words(text).find(expected) != std::string::npos, text);
  }

  void jinja_data() { eachOf("jinja"); }
  void jinja() {
    const json& entry = fetched("jinja");
    const Result<JinjaTemplate> parsed = JinjaTemplate::parse(entry[0].get<std::string>());
    QVERIFY2(parsed.ok(), parsed.ok() ? "" : parsed.error().message().c_str());
    const Result<JinjaOutput> output = parsed->render(m_cases["variables"]);
    QVERIFY2(output.ok(), output.ok() ? "" : output.error().message().c_str());
    QCOMPARE(output->refused, entry[1].is_null());
    if (!output->refused) QCOMPARE(QString::fromStdString(output->text), QString::fromStdString(entry[1].get<std::string>()));
  }

  void hostileJinja_data() {
    QTest::addColumn<QString>("source");
    QTest::addColumn<QString>("words");
    const auto row = [](const char* name, const std::string& source, const char* words) {
      QTest::newRow(name) << QString::fromStdString(source) << QString(words);
    };
    const auto times = [](const std::string& text, int count) {
      std::string all;
      for (int i = 0; i < count; ++i) all += text;
      return all;
    };
    row("too long", std::string(300 << 10, 'x'), "bytes");
    row("deep brackets", "{{ " + std::string(10000, '(') + "1" + std::string(10000, ')') + " }}", "nested too deeply");
    row("deep lists", "{{ " + std::string(10000, '[') + "1" + std::string(10000, ']') + " }}", "nested too deeply");
    row("deep negation", "{{ " + times("not ", 10000) + "1 }}", "nested too deeply");
    row("deep minus", "{{ " + std::string(10000, '-') + "1 }}", "nested too deeply");
    row("deep choices", "{{ " + times("1 if 0 else ", 10000) + "1 }}", "nested too deeply");
    row("deep blocks", times("{% if a %}", 10000), "nested too deeply");
    row("deep values", "{{ " + times("a[", 10000) + "1" + std::string(10000, ']') + " }}", "nested too deeply");
    row("endless loops", times("{% for a in range(9999) %}", 4) + times("{% endfor %}", 4), "no end");
    row("endless output", "{% for a in range(9999) %}" + std::string(1000, 'x') + "{% endfor %}", "no end");
    row("doubling text", "{% set ns = namespace(t='xx') %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}", "no end");
    row("doubling list", "{% set ns = namespace(t=[1]) %}{% for i in range(99) %}{% set ns.t = ns.t + ns.t %}{% endfor %}", "no end");
    row("doubling text by ~", "{% set ns = namespace(t='xx') %}{% for i in range(99) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}", "no end");
    row("doubling namespace", "{% set ns = namespace() %}{% for i in range(99) %}{% set ns.a = ns %}{% set ns.b = ns %}{% endfor %}", "chat template");
    row("lists in lists", "{% set ns = namespace(t=[]) %}{% for i in range(9999) %}{% set ns.t = [ns.t] %}{% endfor %}", "nested too deeply");
    row("joined without end", "{% set ns = namespace(t='x') %}{% for i in range(21) %}{% set ns.t = ns.t + ns.t %}{% endfor %}{{ [ns.t, ns.t, ns.t, ns.t]|join }}", "no end");
    row("half a character", "{{ '\\ud800'|tojson }}{{ 1 // 0 }}", "division by 0");
    row("huge range", "{{ range(999999999) }}", "range is too long");
    row("huge number", "{{ 99999999999999999999 }}", "number");
    row("overflow", "{{ 9999999999 * 9999999999 }}", "too large");
    row("division by 0", "{{ 1 // 0 }}", "division by 0");
    row("open tag", "{{ a", "not closed");
    row("open text", "{{ 'a }}", "not closed");
    row("open comment", "{# a", "not closed");
    row("open block", "{% if a %}", "endif");
    row("end without begin", "{% endif %}", "endif");
    row("macro", "{% macro f() %}{% endmacro %}", "macro");
    row("import", "{% import 'x' as y %}", "import");
    row("include", "{% include '/etc/passwd' %}", "include");
    row("attribute of a type", "{{ ''.__class__.__mro__ }}", "undefined");
    row("unknown function", "{{ open('x') }}", "\"open\" is not known");
    row("unknown filter", "{{ 'a'|attr('x') }}", "\"attr\" is not known");
    row("chain of comparisons", "{{ 1 < 2 < 3 }}", "chain of comparisons");
    row("character", "{{ a ? b }}", "not expected");
    row("empty tag", "{% %}", "is not known");
    row("nothing to write", "{{ }}", "a value is expected");
    row("list written out", "{{ [1] }}", "written out");
    row("half a \\u", "{{ '\\u12' }}", "four digits");
  }
  void notUtf8() {
    const Result<JinjaTemplate> parsed = JinjaTemplate::parse("{{ 'q\xde'|tojson }}");
    QVERIFY(!parsed.ok() && parsed.error().message().find("not UTF-8") != std::string::npos);
  }
  void hostileJinja() {
    QFETCH(QString, source);
    QFETCH(QString, words);
    const Result<JinjaTemplate> parsed = JinjaTemplate::parse(source.toStdString());
    std::string message = parsed ? std::string() : parsed.error().message();
    if (parsed) {
      const Result<JinjaOutput> output = parsed->render(json::object());
      QVERIFY2(!output.ok(), "it was rendered");
      message = output.error().message();
    }
    QVERIFY2(QString::fromStdString(message).contains(words), message.c_str());
  }
};

QTEST_APPLESS_MAIN(ChatTemplatesTest)
#include "chat_templates.moc"
