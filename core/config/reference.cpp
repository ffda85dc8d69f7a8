// The option table in two other forms: JSON Schema and a Markdown page.
#include <fmt/format.h>

#include "core/config/option_spec.h"
#include "core/config/run_config.h"

namespace rankscope {

using nlohmann::json;

namespace {

json valueSchema(const OptionSpec& option) {
  json schema = json::object();
  json* number = &schema;
  switch (option.type) {
    case OptionType::Text:
    case OptionType::LongText:
    case OptionType::Path: schema["type"] = "string"; break;
    case OptionType::Choice:
      schema["type"] = "string";
      for (const OptionChoice& choice : option.choices) schema["enum"].push_back(choice.value);
      break;
    case OptionType::Flag: schema["type"] = "boolean"; break;
    case OptionType::List:
      schema["type"] = "array";
      // Numbers are taken as their text: layers and labels are often written so.
      schema["items"]["type"] = json::array({"string", "number"});
      break;
    case OptionType::Map:
      schema["type"] = "object";
      schema["additionalProperties"]["type"] = "number";
      number = &schema["additionalProperties"];
      break;
    case OptionType::Integer: schema["type"] = "integer"; break;
    case OptionType::Real: schema["type"] = "number"; break;
  }
  if (option.min) (*number)[option.minOpen ? "exclusiveMinimum" : "minimum"] = *option.min;
  if (option.max) (*number)[option.maxOpen ? "exclusiveMaximum" : "maximum"] = *option.max;
  schema["default"] = option.defaultValue;
  schema["title"] = option.title;
  schema["description"] = option.help;
  return schema;
}

// In a table cell a bar would end the cell.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string defaultText(const OptionSpec& option) {
  const std::string text = RunConfig().valueText(option.key);
  std::string shown = text.empty() ? "empty" : "`" + text + "`";
  if (!option.emptyMeans.empty()) shown += text == "0" || text.empty() ? ": " + option.emptyMeans : "";
  return shown;
}

}  // namespace

json configSchema() {
  json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                 {"title", "Rankscope run"},
                 {"type", "object"},
                 {"additionalProperties", false}};
  schema["properties"]["version"] = {{"type", "integer"}, {"minimum", 0}, {"maximum", RunConfig::kVersion}};
  for (const OptionSpec& option : optionTable()) {
    json* at = &schema;
    std::string_view key = option.key;
    for (size_t dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.')) {
      at = &(*at)["properties"][std::string(key.substr(0, dot))];
      (*at)["type"] = "object";
      (*at)["additionalProperties"] = false;
      key.remove_prefix(dot + 1);
    }
    (*at)["properties"][std::string(key)] = valueSchema(option);
  }
  return schema;
}

std::string optionReferenceMarkdown() {
  std::string page =
      "# Options of a run\n\nEvery option by its key, as in a config file (`{\"method\": {\"rank\": 8}}`) and with "
      "`--set method.rank=8`.\n";
  for (const OptionGroup& group : optionGroups()) {
    page += fmt::format("\n## {}\n\n{}\n\n| key | allowed | default | meaning |\n| --- | --- | --- | --- |\n",
                        group.title, group.help);
    for (const OptionSpec& option : optionTable()) {
      if (option.group != group.name) continue;
      std::string meaning =
          fmt::format("**{}**{}. {}", option.title, option.unit.empty() ? "" : " (" + option.unit + ")", option.help);
      if (option.type == OptionType::Choice)
        for (const OptionChoice& choice : option.choices)
          meaning += fmt::format(" `{}`: {}.", choice.value, choice.help);
      if (!option.appliesTo.empty()) meaning += fmt::format(" Applies when {}.", appliesText(option));
      if (!option.paper.empty()) meaning += fmt::format(" Source: {}.", option.paper);
      page += fmt::format("| `{}` | {} | {} | {} |\n", option.key, cell(allowedText(option)), cell(defaultText(option)),
                          cell(meaning));
    }
  }
  return page;
}

}  // namespace rankscope
