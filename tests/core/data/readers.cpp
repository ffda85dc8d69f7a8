// Rows out of every format, the ways in which files are wrong, roles of columns, and prompt templates.

#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>

#include "core/data/prompt_template.h"
#include "core/data/readers.h"
#include "core/data/roles.h"
#include "core/data/table.h"
#include "tests/core/data/data_files.h"

using namespace rankscope;
namespace fs = std::filesystem;
using Cells = std::vector<std::vector<std::string>>;

class ReadersTest : public QObject, private DataFiles {
  Q_OBJECT

 private:
  std::unique_ptr<TableReader> m_reader;

  // All rows; an absent cell reads "(none)".
  Cells read(const std::string& name, const std::string& bytes, TableOptions options = {}) {
    Result<std::unique_ptr<TableReader>> opened = TableReader::open(file(name, bytes), options);
    if (!opened) {
      qWarning("%s", opened.error().message().c_str());
      return {{"error"}};
    }
    m_reader = std::move(*opened);
    Cells rows;
    Row row;
    while (m_reader->next(row)) {
      std::vector<std::string> cells;
      for (const auto& cell : row.cells) cells.push_back(cell.value_or("(none)"));
      rows.push_back(cells);
    }
    return rows;
  }
  std::string problems() const {
    std::string text;
    for (const DataProblem& problem : m_reader->problems().items)
      text += std::to_string(problem.row) + "/" + std::to_string(problem.line) + ": " + problem.message + "\n";
    return text;
  }

 private Q_SLOTS:
  void csv() {
    QCOMPARE(read("a.csv", "text,label\n\"a, \"\"b\"\"\",1\r\n\"two\nlines\",0\nplain,1"),
             (Cells{{"a, \"b\"", "1"}, {"two\nlines", "0"}, {"plain", "1"}}));
    QCOMPARE(m_reader->columns(), (std::vector<std::string>{"text", "label"}));
    QVERIFY(m_reader->hasHeader());
    QCOMPARE(m_reader->problems().total, uint64_t{0});
    QCOMPARE(read("b.csv", "\xEF\xBB\xBFsentence;score\nx;1.5\n"), (Cells{{"x", "1.5"}}));
    QCOMPARE(m_reader->columns()[0], std::string("sentence"));
    QCOMPARE(read("c.csv", "text,label\n,\n\n\"\",\"\"\n"), (Cells{{"", ""}, {"", ""}}));
    QCOMPARE(read("d.csv", "text\none\n\ntwo\n"), (Cells{{"one"}, {"two"}}));
    QCOMPARE(read("e.csv", "1,2\n3,4\n"), (Cells{{"1", "2"}, {"3", "4"}}));
    QCOMPARE(m_reader->columns()[1], std::string("#2"));
    QCOMPARE(read("f.csv", "1,2\n3,4\n", {DataFormat::Auto, HeaderMode::Yes}), (Cells{{"3", "4"}}));
    QCOMPARE(read("g.csv", "name,age\nann,3\nbob,4\n"), (Cells{{"ann", "3"}, {"bob", "4"}}));
    QCOMPARE(read("h.csv", "text,label\nx,1\n", {DataFormat::Auto, HeaderMode::No}), (Cells{{"text", "label"}, {"x", "1"}}));
    // A carriage return inside a cell belongs to it; one before a line feed does not.
    QCOMPARE(read("i.csv", "text,label\na\rb,1\r\n"), (Cells{{"a\rb", "1"}}));
  }

  void csvBroken() {
    QCOMPARE(read("a.csv", "text,label\none,1,x\ntwo,2\nthree\nfour,4\n"), (Cells{{"two", "2"}, {"four", "4"}}));
    QVERIFY2(problems().find("1/2: row has 3 cells") == 0, problems().c_str());
    QVERIFY(problems().find("3/4: row has 1 cells") != std::string::npos);
    // A stray quote costs its own line, not the rest of the file.
    QCOMPARE(read("b.csv", "text,label\n\"open,1\ntwo,2\nthree,3\n"), (Cells{{"two", "2"}, {"three", "3"}}));
    QVERIFY(problems().find("1/2: a quote") == 0);
    QCOMPARE(read("c.csv", "text,label\n\"a\"b,1\n"), (Cells{{"ab", "1"}}));
    QVERIFY(problems().find("follows a closing quote") != std::string::npos);
    std::string wide = "text";
    for (int i = 0; i < 2000; ++i) wide += ",x";
    QCOMPARE(read("d.csv", wide + "\n"), (Cells{{"error"}}));
  }

  void problemsAreBounded() {
    std::string bytes = "text,label\n";
    for (int i = 0; i < 1000; ++i) bytes += "only\n";
    bytes += "x,1\n";
    QCOMPARE(read("a.csv", bytes).size(), size_t{1});
    QCOMPARE(m_reader->problems().total, uint64_t{1000});
    QCOMPARE(m_reader->problems().items.size(), ProblemList::kKept);
    m_reader->rewind();
    QCOMPARE(m_reader->problems().total, uint64_t{0});
  }

  void tsv() {
    QCOMPARE(read("a.tsv", "\xEF\xBB\xBFQuality\t#1 String\n1\the said \"no\n0\t\"\n"), (Cells{{"1", "he said \"no"}, {"0", "\""}}));
    QCOMPARE(m_reader->columns()[0], std::string("Quality"));
    QCOMPARE(read("b.tsv", "gj04\t1\t\tA sentence.\r\ngj04\t0\t*\tAnother one."),
             (Cells{{"gj04", "1", "", "A sentence."}, {"gj04", "0", "*", "Another one."}}));
    QVERIFY(!m_reader->hasHeader());
    QCOMPARE(read("c.dat", "sentence\tlabel\nx\t1\n"), (Cells{{"x", "1"}}));
  }

  void json() {
    QCOMPARE(read("a.jsonl", "{\"text\":\"a\",\"label\":1}\n\n{\"label\":null,\"text\":\"b\"}\r\n{\"text\":\"c\"}"),
             (Cells{{"1", "a"}, {"(none)", "b"}, {"(none)", "c"}}));
    QCOMPARE(m_reader->columns(), (std::vector<std::string>{"label", "text"}));
    QCOMPARE(read("b.json", " [ {\"a\": true, \"b\": 1.5} ,\n {\"a\": \"]\", \"b\": -2} ] "), (Cells{{"true", "1.5"}, {"]", "-2"}}));
    QCOMPARE(read("c.json", "{\"version\":\"1\",\"data\":[{\"x\":[{\"y\":1},{\"y\":\"}\\\"\"}]}]}"), (Cells{{"1", "}\""}}));
    QCOMPARE(m_reader->columns(), (std::vector<std::string>{"x.0.y", "x.1.y"}));
    QCOMPARE(read("d.json", "{\"text\":\"a\"}\n{\"text\":\"b\"}\n"), (Cells{{"a"}, {"b"}}));  // lines under the name .json
    QCOMPARE(m_reader->format(), DataFormat::Jsonl);
    QCOMPARE(read("e.json", "[\"one\", \"two\"]"), (Cells{{"one"}, {"two"}}));
    QCOMPARE(read("f.json", "{\"rows\":[{\"t\":1}],\"n\":3}"), (Cells{{"1"}}));
  }

  void jsonBroken() {
    QCOMPARE(read("a.jsonl", "{\"t\":1}\n{\"t\":\nnonsense\n{\"t\":2}\n[]\n"), (Cells{{"1"}, {"2"}}));
    QCOMPARE(m_reader->problems().total, uint64_t{3});
    QVERIFY2(problems().find("2/2: ") == 0, problems().c_str());
    QCOMPARE(read("b.json", "[{\"t\":1},{\"t\":2}"), (Cells{{"1"}, {"2"}}));
    QVERIFY(problems().find("missing behind") != std::string::npos);
    QCOMPARE(read("c.json", "[{\"t\":1},{\"t\":"), (Cells{{"1"}}));
    QVERIFY(problems().find("cut off") != std::string::npos);
    QCOMPARE(read("d.json", "{\"a\":[],\"b\":[]}"), (Cells{{"error"}}));
    QCOMPARE(read("e.json", "3"), (Cells{{"error"}}));
    QCOMPARE(read("f.json", ""), (Cells{{"error"}}));
    QCOMPARE(read("g.jsonl", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["), (Cells{{"error"}}));
    QCOMPARE(read("h.json", std::string(1000000, '[')), (Cells{{"error"}}));
  }

  void textLines() {
    QCOMPARE(read("a.txt", "one\n\n \ntwo\r\nthree"), (Cells{{"one"}, {"two"}, {"three"}}));
    QCOMPARE(read("b.txt", ""), (Cells{{"error"}}));
    QCOMPARE(read("c", "no ending\n"), (Cells{{"no ending"}}));
  }

  void kindsThatAreNotRead() {
    for (const char* head : {"\x1F\x8B\x08", "PAR1....", "PK\x03\x04", "\xFF\xFEt"})
      QVERIFY(!TableReader::open(file("x.csv", head)).ok());
    QVERIFY(!TableReader::open(file("x.txt", std::string("a\0b", 3))).ok());
    QVERIFY(!TableReader::open("/nowhere/x.csv").ok());
    QVERIFY(!TableReader::open(m_dir.path().toStdString()).ok());
    QVERIFY(parseDataFormat("tsv").ok() && !parseDataFormat("xls").ok());
  }

  void jsonValueEnds() {
    QCOMPARE(endOfJsonValue("{\"a\":[1,\"}\\\"]\"]} x", 0), size_t{16});
    QCOMPARE(endOfJsonValue("12,", 0), size_t{2});
    QCOMPARE(endOfJsonValue("true", 0), size_t{4});
    QCOMPARE(endOfJsonValue("\"abc", 0), std::string_view::npos);
    QCOMPARE(endOfJsonValue("\"abc\\", 0), std::string_view::npos);
    QCOMPARE(endOfJsonValue("[1", 0), std::string_view::npos);
    QCOMPARE(endOfJsonValue("]", 0), std::string_view::npos);
    QCOMPARE(endOfJsonValue(":", 0), std::string_view::npos);
    QCOMPARE(endOfJsonValue("", 0), std::string_view::npos);
  }

  void roles() {
    using S = std::vector<std::string>;
    const auto classes = [](const S& columns) { return guessRoles(DataTask::Classification, columns, {}); };
    ColumnRoles r = classes({"index", "question", "sentence", "label"});
    QCOMPARE(r.text + "|" + r.textPair + "|" + r.label, std::string("question|sentence|label"));
    r = classes({"Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"});
    QCOMPARE(r.text + "|" + r.textPair + "|" + r.label, std::string("#1 String|#2 String|Quality"));
    r = classes({"id", "qid1", "qid2", "question1", "question2", "is_duplicate"});
    QCOMPARE(r.text + "|" + r.textPair + "|" + r.label, std::string("question1|question2|is_duplicate"));
    r = classes({"sentence1", "sentence2", "label1", "gold_label"});
    QCOMPARE(r.label, std::string("gold_label"));
    r = classes({"sentence", "label"});
    QCOMPARE(r.text + "|" + r.textPair + "|" + r.label, std::string("sentence||label"));
    r = guessRoles(DataTask::Regression, {"genre", "sentence1", "sentence2", "score"}, {});
    QCOMPARE(r.label, std::string("score"));
    r = guessRoles(DataTask::Instruction, {"input", "instruction", "output"}, {});
    QVERIFY(r.prompt.empty() && r.promptTemplate.find("{instruction}") != std::string::npos);
    QCOMPARE(r.answer, std::string("output"));
    ColumnRoles given;
    given.prompt = "instruction";
    r = guessRoles(DataTask::Instruction, {"input", "instruction", "output"}, {}, given);
    QVERIFY(r.promptTemplate.empty());
    r = guessRoles(DataTask::Instruction, {"mr", "ref"}, {});
    QCOMPARE(r.prompt + "|" + r.answer, std::string("mr|ref"));
    r = guessRoles(DataTask::CausalLm, {"id", "text"}, {});
    QCOMPARE(r.text, std::string("text"));
  }

  void columnsByNameAndNumber() {
    const std::vector<std::string> columns{"Sentence", "label"};
    QCOMPARE(*findColumn(columns, "label", "data.columns.label"), size_t{1});
    QCOMPARE(*findColumn(columns, "#1", "data.columns.text"), size_t{0});
    QCOMPARE(*findColumn(columns, "sentence", "data.columns.text"), size_t{0});
    for (const char* name : {"#3", "#0", "#x", "#", "", "other"}) {
      const auto result = findColumn(columns, name, "data.columns.text");
      QVERIFY(!result.ok());
      QVERIFY(result.error().expected.find("Sentence") != std::string::npos);
    }
  }

  void templates() {
    const std::vector<std::string> columns{"instruction", "input", "a b"};
    Row full{1, 1, {"Add.", "1 2", "x"}}, empty{2, 2, {"Sing.", "", std::nullopt}};
    const auto made = PromptTemplate::parse("{instruction}{#input} [{input}]{/input} {{x}} {#2}{a b}", columns);
    QVERIFY2(made.ok(), made.ok() ? "" : made.error().message().c_str());
    QCOMPARE(made->render(full), std::string("Add. [1 2] {x} 1 2x"));
    QCOMPARE(made->render(empty), std::string("Sing. {x} "));
    QCOMPARE(made->columns(), (std::vector<size_t>{0, 1, 2}));
    const auto nested = PromptTemplate::parse("{#input}a{#a b}b{/a b}c{/input}", columns);
    QCOMPARE(nested->render(full), std::string("abc"));
    QCOMPARE(nested->render(empty), std::string());
    for (const char* wrong : {"{", "}", "{none}", "{#input}", "{/input}", "{#input}{#a b}{/input}{/a b}", "{}"}) {
      const auto result = PromptTemplate::parse(wrong, columns);
      QVERIFY2(!result.ok() && !result.error().hint.empty(), wrong);
    }
  }

  void inspection() {
    const auto inspected = inspectTable(file("s.tsv", "sentence\tlabel\ngood film\t1\nbad film\t0\nfine\t1\nweak\t0\nbroken\n"));
    QVERIFY(inspected.ok());
    QCOMPARE(inspected->rows, uint64_t{4});
    QCOMPARE(inspected->problems.total, uint64_t{1});
    QCOMPARE(inspected->guessedTask, DataTask::Classification);
    QCOMPARE(inspected->columns[1].kind, std::string("label"));
    QCOMPARE(inspected->columns[1].guessedRole, std::string("label"));
    QCOMPARE(inspected->columns[0].example, std::string("good film"));
    QCOMPARE(inspected->sample.size(), size_t{4});
  }
};

QTEST_APPLESS_MAIN(ReadersTest)
#include "readers.moc"
