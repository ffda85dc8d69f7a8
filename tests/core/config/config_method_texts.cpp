// The list of texts and of published settings: nothing missing, nothing that cannot be set.
#include <QTest>

#include <algorithm>
#include <set>
#include <string>

#include "core/config/method_texts.h"
#include "core/config/published_settings.h"
#include "core/config/text_shown.h"

using namespace rankscope;

namespace {

bool isMethod(const std::string& name) {
  const auto& choices = findOption("method.name")->choices;
  return std::any_of(choices.begin(), choices.end(), [&](const OptionChoice& choice) { return choice.value == name; });
}

}  // namespace

class ConfigMethodTexts : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  void everyMethodHasAPage() {
    for (const OptionChoice& choice : findOption("method.name")->choices) {
      const MethodText* text = methodText(choice.value);
      QVERIFY2(text, choice.value.c_str());
      QVERIFY2(*text->citation || choice.value == "full", choice.value.c_str());
    }
    QVERIFY(!methodText("nothing"));
  }

  void textsAreWhole() {
    std::set<std::string> names;
    auto group = MethodGroup::Weights;
    for (const MethodText& text : methodTexts()) {
      QVERIFY2(names.insert(text.method).second, text.method);
      QVERIFY2(text.group >= group, text.method);  // the picker's headings stand once each
      group = text.group;
      for (const char* part : {text.formula, text.does, text.choose, text.avoid, text.count, text.merge, text.files})
        QVERIFY2(*part && isValidUtf8(part), text.method);
      for (const char* sentence : {text.does, text.choose, text.avoid, text.merge})
        QVERIFY2(std::string_view(sentence).ends_with('.'), sentence);
      QCOMPARE(methodGroupText(text.group).group, text.group);
    }
  }

  // What is published can be set, applies to the method, and makes a config without mistakes.
  void publishedSettingsCanBeSet() {
    std::set<std::string> names;
    for (const PublishedSettings& settings : publishedSettings()) {
      QVERIFY2(names.insert(settings.name).second, settings.name);
      QVERIFY2(methodText(settings.method), settings.method);
      QVERIFY(*settings.title && !settings.values.empty());
      if (!isMethod(settings.method)) continue;
      RunConfig config;
      QVERIFY(config.assign({"model.path=m", "data.train=t", "method.rank=12", "method.alpha=5"}).empty());
      for (const ValidationIssue& issue : config.assign(publishedAssignments(settings, config)))
        QVERIFY2(false, (std::string(settings.name) + ": " + issue.error.message()).c_str());
      for (const auto& [key, value] : settings.values)
        QVERIFY2(applies(*findOption(key), config), (std::string(settings.name) + " " + key).c_str());
      for (const ValidationIssue& issue : validate(config))
        QVERIFY2(false, (std::string(settings.name) + ": " + issue.error.message()).c_str());
      QCOMPARE(config.str("method.name"), std::string(settings.method));
    }
  }

  void aValueMayFollowAnother() {
    const auto settings = findPublished("pissa-paper");
    QVERIFY(settings.ok());
    RunConfig config;
    QVERIFY(config.set("method.rank", 12).ok());
    QVERIFY(config.assign(publishedAssignments(**settings, config)).empty());
    QCOMPARE(config.real("method.alpha"), 12.0);
  }

  void anUnknownNameIsTold() {
    const auto near = findPublished("reflora-glu");
    QVERIFY(!near.ok() && near.error().hint.find("reflora-glue") != std::string::npos);
    const auto far = findPublished("zzzzzzzzzzzz");
    QVERIFY(!far.ok() && !far.error().hint.empty() && far.error().expected.find("qlora-paper") != std::string::npos);
  }
};

QTEST_GUILESS_MAIN(ConfigMethodTexts)
#include "config_method_texts.moc"
