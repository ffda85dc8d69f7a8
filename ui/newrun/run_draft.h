#pragma once
// The run being put together: a config over the preset it started from (System → Mine → this run), the texts that could
// not be read as values, and every mistake. Each edit is undoable, checked at once, and announced by key. Holds no
// widget; knows neither files nor processes. GUI thread.

#include <QHash>
#include <QJsonObject>
#include <QObject>
#include <QPointer>
#include <QStringList>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/config/preset.h"
#include "core/config/run_config.h"

class QUndoStack;

namespace rankscope::ui {

class RunDraft : public QObject {
  Q_OBJECT

 public:
  using Edits = std::vector<std::pair<QString, nlohmann::json>>;

  explicit RunDraft(QUndoStack* undo, QObject* parent = nullptr);

  const RunConfig& config() const { return m_state.config; }
  const RunConfig& base() const { return m_state.base; }
  const QString& presetName() const { return m_state.preset; }  // empty: the defaults
  bool applies(const QString& key) const;

  void set(const QString& key, const nlohmann::json& value) { setMany({{key, value}}); }
  // One step back, called `undoText` where it is given.
  void setMany(const Edits& edits, const QString& undoText = {});
  // As typed. A text that cannot be read as a value stays beside the config, is reported as a mistake of its key, and
  // the value from before remains.
  void setText(const QString& key, const QString& text);
  QString text(const QString& key) const;  // what the field shows
  bool isChanged(const QString& key) const;
  QStringList changedKeys() const;  // against the preset, in the table's order
  void revert(const QString& key);
  void revertAll();
  // Starts over from a preset (or, with an empty name, the defaults).
  void startFrom(const QString& presetName, const RunConfig& preset);
  // Takes the config of another run or file, seen as changes of the present base.
  void replace(const RunConfig& config, const QString& undoText);
  // The preset's file has been saved from this draft: it is the base now.
  void rebase(const QString& presetName, const RunConfig& base);

  // Every mistake: unreadable texts, validate(), and what others found out (a file that is not there, sites).
  const std::vector<ValidationIssue>& issues() const { return m_issues; }
  std::vector<const ValidationIssue*> issuesOf(const QString& key) const;
  bool valid() const { return m_issues.empty(); }
  // Mistakes found by asking the helper, by who found them; they replace the earlier ones of the same source.
  void setOutsideIssues(const QString& source, std::vector<ValidationIssue> issues);

  QJsonObject save() const;
  // False: the stored draft could not be understood; nothing is changed.
  bool restore(const QJsonObject& stored);

 Q_SIGNALS:
  void edited(const QStringList& keys);  // empty: anything may have changed
  void issuesChanged();

 private:
  struct State {
    RunConfig config, base;
    QString preset;
    QHash<QString, QString> badTexts;
    // What an edit made inapplicable (the rank under full fine-tuning), for when another makes it apply again.
    std::map<std::string, nlohmann::json> parked;
  };
  class Edit;
  void settle(State& next) const;
  void push(State next, const QString& text, const QString& mergeKey, const QStringList& keys);
  void apply(const State& state, const QStringList& keys);
  void check();

  State m_state;
  QPointer<QUndoStack> m_undo;
  std::vector<ValidationIssue> m_issues;
  QHash<QString, std::vector<ValidationIssue>> m_outside;
};

// The option's title and help in the user's language.
QString optionTitle(const OptionSpec& option);
QString optionHelp(const OptionSpec& option);
QString optionUnit(const OptionSpec& option);
QString translatedOption(const std::string& text);
nlohmann::json fromQt(const QJsonValue& value);
QJsonValue toQt(const nlohmann::json& value);

}  // namespace rankscope::ui
