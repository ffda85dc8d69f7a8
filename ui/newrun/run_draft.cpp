#include "ui/newrun/run_draft.h"

#include <QCoreApplication>
#include <QJsonDocument>
#include <QUndoCommand>
#include <QUndoStack>

#include "core/config/json_text.h"

namespace rankscope::ui {

class RunDraft::Edit : public QUndoCommand {
 public:
  Edit(RunDraft* draft, State before, State after, QString mergeKey, QStringList keys, const QString& text)
      : QUndoCommand(text), m_draft(draft), m_before(std::move(before)), m_after(std::move(after)),
        m_mergeKey(std::move(mergeKey)), m_keys(std::move(keys)) {}
  void undo() override {
    if (m_draft) m_draft->apply(m_before, m_keys);
  }
  void redo() override {
    if (m_draft) m_draft->apply(m_after, m_keys);
  }
  int id() const override { return 0x4e52; }
  // Typing in one field, or dragging one slider, is one step back.
  bool mergeWith(const QUndoCommand* other) override {
    const auto* next = static_cast<const Edit*>(other);
    if (m_mergeKey.isEmpty() || next->m_mergeKey != m_mergeKey || next->m_draft != m_draft) return false;
    m_after = next->m_after;
    return true;
  }

 private:
  QPointer<RunDraft> m_draft;
  State m_before, m_after;
  QString m_mergeKey;
  QStringList m_keys;
};

RunDraft::RunDraft(QUndoStack* undo, QObject* parent) : QObject(parent), m_undo(undo) { check(); }

bool RunDraft::applies(const QString& key) const {
  const auto* option = findOption(key.toStdString());
  return option && rankscope::applies(*option, m_state.config);
}

void RunDraft::push(State next, const QString& text, const QString& mergeKey, const QStringList& keys) {
  if (next.config == m_state.config && next.base == m_state.base && next.preset == m_state.preset &&
      next.badTexts == m_state.badTexts) {
    return;
  }
  if (m_undo) {
    m_undo->push(new Edit(this, m_state, std::move(next), mergeKey, keys, text));
  } else {
    apply(next, keys);
  }
}

// An edit may decide about other options: those that stop applying through it are put aside instead of becoming mistakes
// of fields that are no longer shown. What did not apply before stays for validate() to name.
void RunDraft::settle(State& next) const {
  for (bool again = true; std::exchange(again, false);) {
    for (const auto& option : optionTable()) {
      const bool now = rankscope::applies(option, next.config);
      const auto key = QString::fromStdString(option.key);
      if (!now && rankscope::applies(option, m_state.config)) {
        next.badTexts.remove(key);
        if (!next.config.isSet(option.key)) continue;
        next.parked[option.key] = next.config.value(option.key);
        next.config.unset(option.key);
        again = true;
      } else if (const auto kept = next.parked.find(option.key); now && kept != next.parked.end()) {
        if (!next.config.isSet(option.key)) (void)next.config.set(option.key, kept->second);
        next.parked.erase(kept);
        again = true;
      }
    }
  }
}

void RunDraft::apply(const State& state, const QStringList& keys) {
  m_state = state;
  check();
  Q_EMIT edited(keys);
}

void RunDraft::setMany(const Edits& edits, const QString& undoText) {
  State next = m_state;
  QStringList keys;
  for (const auto& [key, value] : edits) {
    next.badTexts.remove(key);
    if (next.config.set(key.toStdString(), value).ok()) keys << key;
  }
  settle(next);
  const auto* option = edits.empty() ? nullptr : findOption(edits.front().first.toStdString());
  const QString text = !undoText.isEmpty() ? undoText : option ? tr("Change %1").arg(optionTitle(*option)) : tr("Change");
  push(std::move(next), text, edits.size() == 1 && undoText.isEmpty() ? edits.front().first : QString(), keys);
}

void RunDraft::setText(const QString& key, const QString& typed) {
  State next = m_state;
  next.badTexts.remove(key);
  const auto* option = findOption(key.toStdString());
  if (!option) return;
  const bool wordless = option->type == OptionType::Text || option->type == OptionType::LongText ||
                        option->type == OptionType::Path;
  if (typed.trimmed().isEmpty() && !wordless) {
    // An emptied number goes back to what "nothing said" means.
    (void)next.config.set(key.toStdString(), option->defaultValue);
  } else if (wordless) {
    (void)next.config.set(key.toStdString(), typed.toStdString());
  } else if (!next.config.setText(key.toStdString(), typed.trimmed().toStdString()).ok()) {
    next.badTexts.insert(key, typed);
  }
  settle(next);
  push(std::move(next), tr("Change %1").arg(optionTitle(*option)), key, {key});
}

QString RunDraft::text(const QString& key) const {
  const auto bad = m_state.badTexts.constFind(key);
  return bad != m_state.badTexts.constEnd() ? *bad
                                            : QString::fromStdString(m_state.config.valueText(key.toStdString()));
}

bool RunDraft::isChanged(const QString& key) const {
  return m_state.badTexts.contains(key) ||
         m_state.config.value(key.toStdString()) != m_state.base.value(key.toStdString());
}

QStringList RunDraft::changedKeys() const {
  QStringList keys;
  for (const auto& option : optionTable()) {
    const auto key = QString::fromStdString(option.key);
    if (isChanged(key) && (applies(key) || m_state.config.isSet(option.key))) keys << key;
  }
  return keys;
}

void RunDraft::revert(const QString& key) {
  State next = m_state;
  next.badTexts.remove(key);
  const auto name = key.toStdString();
  if (m_state.base.isSet(name)) {
    (void)next.config.set(name, m_state.base.value(name));
  } else {
    next.config.unset(name);
  }
  settle(next);
  const auto* option = findOption(name);
  push(std::move(next), tr("Revert %1").arg(option ? optionTitle(*option) : key), {}, {key});
}

void RunDraft::revertAll() {
  State next = m_state;
  next.config = next.base;
  next.badTexts.clear();
  next.parked.clear();
  push(std::move(next), tr("Revert all"), {}, {});
}

void RunDraft::startFrom(const QString& presetName, const RunConfig& preset) {
  State next;
  next.config = next.base = preset;
  next.preset = presetName;
  push(std::move(next), tr("Start from preset"), {}, {});
}

void RunDraft::replace(const RunConfig& config, const QString& undoText) {
  State next = m_state;
  next.config = config;
  next.badTexts.clear();
  next.parked.clear();
  push(std::move(next), undoText, {}, {});
}

void RunDraft::rebase(const QString& presetName, const RunConfig& base) {
  State next = m_state;
  next.preset = presetName;
  next.base = base;
  push(std::move(next), tr("Save preset"), {}, {});
}

void RunDraft::check() {
  m_issues.clear();
  for (auto it = m_state.badTexts.constBegin(); it != m_state.badTexts.constEnd(); ++it) {
    RunConfig scratch = m_state.config;
    const auto result = scratch.setText(it.key().toStdString(), it.value().trimmed().toStdString());
    if (!result.ok()) m_issues.push_back({it.key().toStdString(), result.error()});
  }
  for (auto& issue : rankscope::validate(m_state.config)) {
    if (!m_state.badTexts.contains(QString::fromStdString(issue.key))) m_issues.push_back(std::move(issue));
  }
  for (const auto& found : m_outside) {
    for (const auto& issue : found) {
      // The same words twice under one field help nobody.
      const bool known = std::any_of(m_issues.begin(), m_issues.end(), [&](const ValidationIssue& other) {
        return other.key == issue.key && other.error.what == issue.error.what;
      });
      if (!known) m_issues.push_back(issue);
    }
  }
  Q_EMIT issuesChanged();
}

std::vector<const ValidationIssue*> RunDraft::issuesOf(const QString& key) const {
  std::vector<const ValidationIssue*> found;
  for (const auto& issue : m_issues) {
    if (issue.key == key.toStdString()) found.push_back(&issue);
  }
  return found;
}

void RunDraft::setOutsideIssues(const QString& source, std::vector<ValidationIssue> issues) {
  if (issues.empty() && !m_outside.contains(source)) return;
  if (issues.empty()) {
    m_outside.remove(source);
  } else {
    m_outside[source] = std::move(issues);
  }
  check();
}

QJsonObject RunDraft::save() const {
  QJsonObject bad;
  for (auto it = m_state.badTexts.constBegin(); it != m_state.badTexts.constEnd(); ++it) bad[it.key()] = it.value();
  return {{"config", toQt(m_state.config.toSparseJson())},
          {"base", toQt(m_state.base.toSparseJson())},
          {"preset", m_state.preset},
          {"texts", bad}};
}

bool RunDraft::restore(const QJsonObject& stored) {
  // What a newer or older program wrote is taken as far as it can be understood.
  const auto config = stored.value("config");
  if (!config.isObject()) return false;
  State next;
  next.config = RunConfig::read(fromQt(config)).config;
  next.base = RunConfig::read(fromQt(stored.value("base").toObject())).config;
  next.preset = stored.value("preset").toString();
  const auto texts = stored.value("texts").toObject();
  for (auto it = texts.begin(); it != texts.end(); ++it) {
    if (findOption(it.key().toStdString())) next.badTexts.insert(it.key(), it.value().toString());
  }
  apply(next, {});
  return true;
}

QString translatedOption(const std::string& text) {
  return text.empty() ? QString() : QCoreApplication::translate("options", text.c_str());
}
QString optionTitle(const OptionSpec& option) { return translatedOption(option.title); }
QString optionHelp(const OptionSpec& option) { return translatedOption(option.help); }
QString optionUnit(const OptionSpec& option) { return translatedOption(option.unit); }

nlohmann::json fromQt(const QJsonValue& value) {
  const QByteArray bytes = QJsonDocument(QJsonObject{{"v", value}}).toJson(QJsonDocument::Compact);
  auto document = nlohmann::json::parse(bytes.constData(), bytes.constData() + bytes.size(), nullptr, false);
  return document.is_object() ? document["v"] : nlohmann::json();
}

QJsonValue toQt(const nlohmann::json& value) {
  const std::string text = jsonText(nlohmann::json{{"v", value}});
  return QJsonDocument::fromJson(QByteArray::fromStdString(text)).object().value("v");
}

}  // namespace rankscope::ui
