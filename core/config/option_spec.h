#pragma once
// One description of every option of a run. From this table come the GUI's form, validation, --set, the JSON Schema and
// the reference page; adding an option edits one row of options_<group>.cpp and nothing else.
// Titles, help and choice texts are English source texts: the GUI passes them through tr() (context "options").

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankscope {

class RunConfig;

enum class OptionType {
  Text,      // one line
  LongText,  // several lines (notes, prompt template)
  Path,      // file or folder: absolute, relative, "starter:…" or "models:…" (Places::resolve)
  Integer,
  Real,
  Flag,
  Choice,  // one of `choices`
  List,    // texts in order
  Map      // text -> number
};
const char* optionTypeName(OptionType type);  // "text", "long text", "path", "integer", …

struct OptionChoice {
  std::string value;  // "reflora"
  std::string title;  // "RefLoRA"
  std::string help;   // one line
};

// One condition on another option: its value (as text) is one of `values`, or, negated, none of them.
// {"data.eval", {""}} holds while data.eval is empty. The value of method.form, method.init, method.rule or
// method.scaling that is left at auto is the method's own (core/config/method_parts.h).
struct AppliesWhen {
  std::string key;
  std::vector<std::string> values;
  bool negated = false;
};

struct OptionSpec {
  std::string key;  // "method.rank"
  OptionType type = OptionType::Text;
  std::string title;  // "Rank": the label in a form
  std::string unit;   // "steps", "tokens", "" when the value has none
  nlohmann::json defaultValue;
  std::optional<double> min, max;         // of numbers (of each number in a Map)
  bool minOpen = false, maxOpen = false;  // the bound itself is outside
  std::vector<OptionChoice> choices;      // of Choice; of List: suggestions
  std::vector<AppliesWhen> appliesTo;     // all must hold; empty: always
  std::string emptyMeans;                 // what 0 / "" / [] stands for: "all", "each epoch"; "" when nothing special
  std::string help;                       // one or two sentences
  std::string paper;                      // where the option comes from; "" when it is ours
  std::string group;                      // "model", "data", "method", "optim", "train", "run"
  bool advanced = false;                  // folded away in forms
  bool logScale = false;                  // a slider or spin box moves by factors
};

struct OptionGroup {
  std::string name;   // "method"
  std::string title;  // "Method"
  std::string help;
};

// In the order of forms and of the reference page.
const std::vector<OptionGroup>& optionGroups();
const std::vector<OptionSpec>& optionTable();
const OptionSpec* findOption(std::string_view key);  // null when there is none
// Nearest known key by edit distance (also by the last component alone); "" when nothing is near.
std::string nearestOption(std::string_view key);
// Nearest of `candidates` by edit distance; "" when nothing is near.
std::string nearestText(std::string_view text, const std::vector<std::string>& candidates);

// Whether an option matters under this config, and in words when ("method is RefLoRA or RefLoRA-S").
bool applies(const OptionSpec& option, const RunConfig& config);
std::string appliesText(const OptionSpec& option);
// "1 … 65536", "greater than 0", "full, lora, …": the allowed values in words.
std::string allowedText(const OptionSpec& option);

// JSON Schema (draft 2020-12) of a run's document, and the reference page of all options in Markdown.
nlohmann::json configSchema();
std::string optionReferenceMarkdown();

}  // namespace rankscope
