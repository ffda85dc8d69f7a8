// Every kind of event goes to JSON and back unchanged, and malformed ones are refused by the field.
#include <QtTest/QtTest>

#include <cmath>
#include <functional>

#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/runlog/events.h"

using namespace rankscope;
using namespace rankscope::event;
using nlohmann::json;

namespace {

const double kNan = std::nan("");

std::vector<Event> oneOfEach() {
  const Point at{120, 1.5, 65536, 12.25};
  Start start;
  start.life = 2;
  start.host = "node-7";
  start.pid = 4711;
  start.version = "0.1";
  start.step = 60;
  start.totalSteps = 300;
  start.tokensPerEpoch = 50000;
  start.device = "cpu";
  start.threads = 2;
  start.computeDtype = "bf16";
  start.trainable = 1000;
  start.parameters = 100000;
  start.modelFamily = "llama";
  start.unit = "images";
  start.chatTemplate = "chatml";
  start.sites = {{"model.layers.0.self_attn.q_proj", "q_proj", 0, 64, 64, 8},
                 {"classifier", "classifier", -1, 2, 64, 0}};
  return {{1.5, start},
          {2, Rewind{60}},
          {3, Metrics{at, {{"train/loss", 1.25}, {"train/grad_norm", kNan}}}},
          {4, Sites{at, {{"norm_A", {1, 2, kNan}}, {"norm_B", {}}}}},
          {5, Eval{at, {{"eval/loss", 2}}, true}},
          {6, State{RunState::Paused, "asked", 120}},
          {7, Progress{120, 300, 55.5, "training"}},
          {8, Checkpoint{120, "checkpoints/step-00000120", CheckpointReason::Best, 123456, true}},
          {9, CommandDone{"id-1", "pause", 120}},
          {10, Change{120, "optim.learning_rate", 1e-4, 2e-4}},
          {11, Sample{120, "Once", "upon\na time ü"}},
          {12, Log{"warning", "text"}},
          {13, Failure{{ErrorCode::Training, "loss is not finite", "step 120", "nan", "a number",
                        "Lower the learning rate."},
                       120}},
          {14, End{RunState::Stopped, 120, {{"values", {{"train/loss", 1.0}}}, {"seconds", 9.5}}}},
          {15, Other{"hologram", {{"kind", "hologram"}, {"t", 15.0}, {"depth", 3}}}}};
}

}  // namespace

class RunlogEvents : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void roundTrip() {
    const std::vector<Event> events = oneOfEach();
    QCOMPARE(events.size(), std::variant_size_v<Body>);  // a new kind needs a row above
    for (size_t i = 0; i < events.size(); ++i) {
      QCOMPARE(events[i].body.index(), i);
      const std::string text = jsonText(toJson(events[i]));
      const auto back = parseEvent(text);
      QVERIFY2(back.ok(), back.ok() ? "" : back.error().message().c_str());
      QCOMPARE(back->body.index(), events[i].body.index());
      QCOMPARE(back->time, events[i].time);
      QCOMPARE(kindOf(back->body), json::parse(text)["kind"].get<std::string>());
      QCOMPARE(jsonText(toJson(*back)), text);  // nothing was lost or changed
    }
  }

  void fieldsArriveWhereTheyBelong() {
    const auto events = oneOfEach();
    const auto start = std::get<Start>(parseEvent(jsonText(toJson(events[0])))->body);
    QCOMPARE(start.life, int64_t{2});
    QCOMPARE(start.sites.size(), size_t{2});
    QCOMPARE(start.sites[1].layer, int64_t{-1});
    QCOMPARE(start.sites[0].rank, int64_t{8});
    QCOMPARE(start.computeDtype, std::string("bf16"));
    const auto metrics = std::get<Metrics>(parseEvent(jsonText(toJson(events[2])))->body);
    QCOMPARE(metrics.at.tokens, int64_t{65536});
    QCOMPARE(metrics.at.epoch, 1.5);
    const auto loss =
        std::find_if(metrics.values.begin(), metrics.values.end(), [](auto& v) { return v.first == "train/loss"; });
    const auto norm = std::find_if(metrics.values.begin(), metrics.values.end(),
                                   [](auto& v) { return v.first == "train/grad_norm"; });
    QVERIFY(loss->second == 1.25 && std::isnan(norm->second));
    const auto failure = std::get<Failure>(parseEvent(jsonText(toJson(events[12])))->body);
    QVERIFY(failure.error.code == ErrorCode::Training && failure.error.hint == "Lower the learning rate." &&
            failure.step == 120);
    const auto checkpoint = std::get<Checkpoint>(parseEvent(jsonText(toJson(events[7])))->body);
    QVERIFY(checkpoint.reason == CheckpointReason::Best && checkpoint.best && checkpoint.bytes == 123456);
  }

  void infinityIsWrittenAsNull() {
    const json out = toJson({0, Metrics{{}, {{"a", INFINITY}, {"b", -INFINITY}, {"c", kNan}, {"d", 1e308}}}});
    QVERIFY(out["values"]["a"].is_null() && out["values"]["b"].is_null() && out["values"]["c"].is_null());
    QCOMPARE(out["values"]["d"].get<double>(), 1e308);
  }

  void statesByName() {
    for (int i = 0; i <= static_cast<int>(RunState::Failed); ++i) {
      const auto state = static_cast<RunState>(i);
      QVERIFY(runStateFromName(runStateName(state)).ok() && *runStateFromName(runStateName(state)) == state);
    }
    QVERIFY(!runStateFromName("resting").ok());
    QVERIFY(isFinal(RunState::Interrupted) && isFinal(RunState::Failed) && !isFinal(RunState::Paused));
    QCOMPARE(std::string(runStateName(RunState::Checkpointing)), std::string("checkpointing"));
    QCOMPARE(std::string(runStateName(RunState::Failed)), std::string("failed"));
  }

  // Each mutation of a sound event is refused with an error that names the field.
  void malformedEventsAreRefused_data() {
    QTest::addColumn<int>("event");
    QTest::addColumn<QString>("pointer");
    QTest::addColumn<QString>("value");  // "" removes the field
    const auto row = [](int event, const char* pointer, const char* value) {
      QTest::addRow("%d %s %s", event, pointer, value) << event << pointer << value;
    };
    row(0, "/life", "0");
    row(0, "/life", "1.5");
    row(0, "/life", "\"1\"");
    row(0, "/pid", "-1");
    row(0, "/sites", "5");
    row(0, "/sites/0", "[]");
    row(0, "/sites/0/name", "7");
    row(0, "/sites/1/layer", "-2");
    row(0, "/host", "");
    row(1, "/step", "1e300");
    row(1, "/step", "null");
    row(2, "/values", "[1]");
    row(2, "/values/train~1loss", "\"low\"");
    row(2, "/values/", "1");
    row(2, "/step", "");
    row(2, "/tokens", "18446744073709551615");
    row(2, "/epoch", "true");
    row(3, "/values/norm_A", "1");
    row(3, "/values/norm_A/0", "{}");
    row(4, "/best", "1");
    row(5, "/state", "\"resting\"");
    row(6, "/eta_seconds", "\"soon\"");
    row(7, "/reason", "\"whim\"");
    row(7, "/path", "\"/etc/passwd\"");
    row(7, "/path", "\"checkpoints/../../other\"");
    row(8, "/id", "");
    row(9, "/from", "");
    row(10, "/text", "[]");
    row(12, "/hint", "");
    row(13, "/summary", "[]");
    row(14, "/kind", "3");
    row(14, "/kind", "");
    row(14, "/t", "\"now\"");
    row(14, "/t", "");
  }
  void malformedEventsAreRefused() {
    QFETCH(int, event);
    QFETCH(QString, pointer);
    QFETCH(QString, value);
    json document = toJson(oneOfEach()[static_cast<size_t>(event)]);
    const json::json_pointer at(pointer.toStdString());
    if (value.isEmpty())
      document.erase(pointer.mid(1).toStdString());
    else
      document[at] = json::parse(value.toStdString());
    const auto result = parseEvent(jsonText(document), "events.log, event 9");
    QVERIFY(!result.ok());
    QCOMPARE(result.error().code, ErrorCode::BadInput);
    QVERIFY(result.error().where.find("events.log, event 9") == 0 && !result.error().hint.empty());
  }

  void notEvents() {
    for (const char* text : {"", "[]", "5", "{", "null", "\"x\"", "{}"}) QVERIFY2(!parseEvent(text).ok(), text);
  }

  void sizesAreBounded() {
    Metrics many;
    for (size_t i = 0; i <= limits::kEventValues; ++i) many.values.emplace_back("series/" + std::to_string(i), 1.0);
    QVERIFY(!parseEvent(jsonText(toJson({0, many}))).ok());
    many.values.pop_back();
    QVERIFY(parseEvent(jsonText(toJson({0, many}))).ok());

    // Writers cut long and unclean texts, and what they write can be read.
    const std::string big(limits::kEventText * 2, 'x');
    const auto sample = parseEvent(jsonText(toJson({0, Sample{1, big, std::string("\xff\xc3")}})));
    QVERIFY(sample.ok());
    QCOMPARE(std::get<Sample>(sample->body).prompt.size(), limits::kEventText + 3);
    QCOMPARE(std::get<Sample>(sample->body).text, std::string("\xEF\xBF\xBD\xEF\xBF\xBD"));
    const auto named = parseEvent(jsonText(toJson({0, Metrics{{}, {{big, 1}}}})));
    QVERIFY(named.ok());
    json raw = toJson({0, Log{"info", "x"}});
    raw["text"] = big;
    QVERIFY(!fromJson(raw).ok());
  }
};

QTEST_GUILESS_MAIN(RunlogEvents)
#include "runlog_events.moc"
