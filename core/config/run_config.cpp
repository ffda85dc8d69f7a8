#include "core/config/run_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/config/option_value.h"

namespace rankscope {

using nlohmann::json;

namespace {

// Asking for an option that does not exist, or as another type, is a mistake in the program, not in a config.
const OptionSpec& known(std::string_view key, std::initializer_list<OptionType> types) {
  const OptionSpec* option = findOption(key);
  if (!option) throw std::logic_error(fmt::format("no option is called {}", key));
  if (types.size() > 0 && std::find(types.begin(), types.end(), option->type) == types.end())
    throw std::logic_error(fmt::format("option {} is of type {}", key, optionTypeName(option->type)));
  return *option;
}

Error unknownKey(std::string_view key) {
  const std::string near = nearestOption(key);
  return {ErrorCode::Usage,
          "there is no such option",
          cleanUtf8(key, 200),
          "",
          "",
          near.empty() ? "rankscope-train options lists all of them." : fmt::format("Did you mean {}?", near)};
}

// Whether options exist below this dotted name ("method", "data.columns").
bool isBranch(std::string_view name) {
  const std::string prefix = std::string(name) + '.';
  const auto& table = optionTable();
  return std::any_of(table.begin(), table.end(),
                     [&](const OptionSpec& option) { return option.key.compare(0, prefix.size(), prefix) == 0; });
}

class DocumentReader {
 public:
  explicit DocumentReader(ParsedConfig& out) : m_out(out) {}

  void read(const json& object, const std::string& prefix) {
    for (const auto& [name, value] : object.items()) {
      if (m_out.issues.size() >= limits::kIssuesListed) return;
      const std::string key = prefix.empty() ? name : prefix + '.' + name;
      if (findOption(key))
        take(key, value);
      else if (!isBranch(key))
        m_out.issues.push_back({cleanUtf8(key, 200), unknownKey(key)});
      else if (value.is_object())
        read(value, key);
      else
        m_out.issues.push_back({key,
                                {ErrorCode::Usage, "this holds several options", key, describeJson(value), "an object",
                                 fmt::format("Write {{\"{}\": {{…}}}}.", name)}});
    }
  }

 private:
  void take(const std::string& key, const json& value) {
    // A document may write {"method.rank": 8} as well as {"method": {"rank": 8}}, but not both.
    if (!m_taken.insert(key).second) {
      m_out.issues.push_back(
          {key, {ErrorCode::Usage, "the option is given twice", key, "", "", "Keep one of the two."}});
      return;
    }
    if (Result<void> done = m_out.config.set(key, value); !done) m_out.issues.push_back({key, done.error()});
  }

  ParsedConfig& m_out;
  std::set<std::string> m_taken;
};

void putNested(json& document, std::string_view key, const json& value) {
  json* at = &document;
  for (size_t dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.')) {
    at = &(*at)[std::string(key.substr(0, dot))];
    key.remove_prefix(dot + 1);
  }
  (*at)[std::string(key)] = value;
}

}  // namespace

Error combineIssues(const std::vector<ValidationIssue>& issues) {
  if (issues.empty()) return {ErrorCode::Internal, "no mistake was found", "", "", "", "Try again."};
  Error error = issues.front().error;
  for (size_t i = 1; i < issues.size() && i < 20; ++i) error.hint += "\nAlso: " + issues[i].error.message();
  if (issues.size() > 20) error.hint += fmt::format("\nAnd {} more.", issues.size() - 20);
  return error;
}

Result<RunConfig> RunConfig::parse(const json& document) {
  ParsedConfig parsed = read(document);
  if (!parsed.issues.empty()) return combineIssues(parsed.issues);
  return std::move(parsed.config);
}

ParsedConfig RunConfig::read(const json& document) {
  ParsedConfig parsed;
  Result<json> current = migrateConfig(document);
  if (!current) {
    parsed.issues.push_back({"", current.error()});
    return parsed;
  }
  DocumentReader(parsed).read(*current, "");
  return parsed;
}

Result<RunConfig> RunConfig::load(const std::filesystem::path& file) {
  Result<std::string> bytes = readFileBounded(file, limits::kConfigBytes);
  if (!bytes) return bytes.error();
  Result<json> document = parseJson(*bytes, pathText(file));
  if (!document) return document.error();
  Result<RunConfig> config = parse(*document);
  if (config) return config;
  Error error = config.error();
  error.where = error.where.empty() ? pathText(file) : fmt::format("{}, {}", pathText(file), error.where);
  return error;
}

json RunConfig::toJson() const {
  json document = json::object();
  document["version"] = kVersion;
  for (const OptionSpec& option : optionTable())
    if (isSet(option.key) || applies(option, *this)) putNested(document, option.key, value(option.key));
  return document;
}

json RunConfig::toSparseJson() const {
  json document = json::object();
  document["version"] = kVersion;
  for (const auto& [key, value] : m_values) putNested(document, key, value);
  return document;
}

Result<void> RunConfig::set(std::string_view key, const json& value) {
  const OptionSpec* option = findOption(key);
  if (!option) return unknownKey(key);
  Result<json> normal = normalisedValue(*option, value);
  if (!normal) return normal.error();
  m_values.insert_or_assign(option->key, std::move(*normal));
  return {};
}

Result<void> RunConfig::setText(std::string_view key, std::string_view text) {
  const OptionSpec* option = findOption(key);
  if (!option) return unknownKey(key);
  Result<json> normal = valueFromText(*option, text);
  if (!normal) return normal.error();
  m_values.insert_or_assign(option->key, std::move(*normal));
  return {};
}

void RunConfig::unset(std::string_view key) {
  if (const auto it = m_values.find(key); it != m_values.end()) m_values.erase(it);
}

void RunConfig::overlay(const RunConfig& other) {
  for (const auto& [key, value] : other.m_values) m_values.insert_or_assign(key, value);
}

std::vector<ValidationIssue> RunConfig::assign(const std::vector<std::string>& assignments) {
  std::vector<ValidationIssue> issues;
  std::set<std::string, std::less<>> assigned;
  const RunConfig before = *this;
  for (const std::string& text : assignments) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      issues.push_back({"",
                        {ErrorCode::Usage, "not of the form key=value", "--set", cleanUtf8(text, 200), "key=value",
                         "Write for example --set method.rank=16."}});
      continue;
    }
    const std::string key = text.substr(0, equals);
    if (Result<void> done = setText(key, std::string_view(text).substr(equals + 1)); !done)
      issues.push_back({cleanUtf8(key, 200), done.error()});
    else
      assigned.insert(key);
  }
  // Only what stops applying through these assignments goes; what did not apply before stays for validate() to name.
  for (const OptionSpec& option : optionTable())
    if (isSet(option.key) && !assigned.count(option.key) && applies(option, before) && !applies(option, *this))
      unset(option.key);
  return issues;
}

std::vector<std::string> RunConfig::dropInapplicable() {
  std::vector<std::string> dropped;
  for (bool again = true; std::exchange(again, false);)  // dropping one may make another stop applying
    for (const OptionSpec& option : optionTable())
      if (isSet(option.key) && !applies(option, *this)) {
        unset(option.key);
        dropped.push_back(option.key);
        again = true;
      }
  return dropped;
}

bool RunConfig::isSet(std::string_view key) const { return m_values.find(key) != m_values.end(); }

bool RunConfig::isDefault(std::string_view key) const {
  const OptionSpec& option = known(key, {});
  const auto it = m_values.find(key);
  return it == m_values.end() || it->second == option.defaultValue;
}

json RunConfig::value(std::string_view key) const {
  const auto it = m_values.find(key);
  return it != m_values.end() ? it->second : known(key, {}).defaultValue;
}

std::string RunConfig::valueText(std::string_view key) const { return textFromValue(known(key, {}), value(key)); }

std::string RunConfig::str(std::string_view key) const {
  known(key, {OptionType::Text, OptionType::LongText, OptionType::Path, OptionType::Choice});
  return value(key).get<std::string>();
}

int64_t RunConfig::integer(std::string_view key) const {
  known(key, {OptionType::Integer});
  return value(key).get<int64_t>();
}

double RunConfig::real(std::string_view key) const {
  known(key, {OptionType::Integer, OptionType::Real});
  return value(key).get<double>();
}

bool RunConfig::flag(std::string_view key) const {
  known(key, {OptionType::Flag});
  return value(key).get<bool>();
}

std::vector<std::string> RunConfig::list(std::string_view key) const {
  known(key, {OptionType::List});
  return value(key).get<std::vector<std::string>>();
}

std::map<std::string, double> RunConfig::map(std::string_view key) const {
  known(key, {OptionType::Map});
  return value(key).get<std::map<std::string, double>>();
}

bool operator==(const RunConfig& a, const RunConfig& b) {
  const auto& table = optionTable();
  return std::all_of(table.begin(), table.end(),
                     [&](const OptionSpec& option) { return a.value(option.key) == b.value(option.key); });
}

}  // namespace rankscope
