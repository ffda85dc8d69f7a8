#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include <fmt/format.h>

#include "core/config/method_parts.h"
#include "core/config/option_groups.h"
#include "core/config/run_config.h"

namespace rankscope {

const std::vector<OptionGroup>& optionGroups() {
  static const std::vector<OptionGroup> groups = {
      {"run", "Run", "What the run is called and what its randomness starts from."},
      {"model", "Model", "The base model."},
      {"data", "Data", "What is learned, from which files."},
      {"method", "Method", "How the base model is changed."},
      {"optim", "Optimizer", "How the trained weights move."},
      {"train", "Training", "How long, on what, and what is recorded."},
  };
  return groups;
}

const std::vector<OptionSpec>& optionTable() {
  static const std::vector<OptionSpec> table = [] {
    std::vector<OptionSpec> all;
    for (auto* group : {options::runOptions, options::modelOptions, options::dataOptions, options::methodOptions,
                        options::startOptions, options::ruleOptions, options::baseOptions, options::insertedOptions,
                        options::optimOptions, options::trainOptions}) {
      std::vector<OptionSpec> rows = group();
      std::move(rows.begin(), rows.end(), std::back_inserter(all));
    }
    return all;
  }();
  return table;
}

const OptionSpec* findOption(std::string_view key) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const OptionSpec*> map;
    for (const OptionSpec& option : optionTable()) map.emplace(option.key, &option);
    return map;
  }();
  const auto it = index.find(key);
  return it == index.end() ? nullptr : it->second;
}

const char* optionTypeName(OptionType type) {
  switch (type) {
    case OptionType::Text: return "text";
    case OptionType::LongText: return "long text";
    case OptionType::Path: return "path";
    case OptionType::Integer: return "integer";
    case OptionType::Real: return "real";
    case OptionType::Flag: return "flag";
    case OptionType::Choice: return "choice";
    case OptionType::List: return "list";
    case OptionType::Map: return "map";
  }
  return "text";
}

namespace {

// Restricted Damerau–Levenshtein distance: a swap of neighbours counts once, as people mistype.
size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

// "-" and "_" and letter case are the commonest mistakes, and cost nothing here.
std::string folded(std::string_view text) {
  std::string out(text.substr(0, 128));
  for (char& c : out) c = c == '-' ? '_' : static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return out;
}

std::string_view lastPart(std::string_view key) {
  const size_t dot = key.rfind('.');
  return dot == std::string_view::npos ? key : key.substr(dot + 1);
}

// Short names people know from other programs.
const std::unordered_map<std::string_view, const char*>& synonyms() {
  static const std::unordered_map<std::string_view, const char*> map = {
      {"lr", "optim.learning_rate"},
      {"r", "method.rank"},
      {"lora_r", "method.rank"},
      {"lora_alpha", "method.alpha"},
      {"lora_dropout", "method.dropout"},
      {"init_lora_weights", "method.init"},
      {"layers_to_transform", "method.layers"},
      {"num_train_epochs", "train.epochs"},
      {"wd", "optim.weight_decay"},
      {"gradient_accumulation_steps", "train.accumulation"},
      {"per_device_train_batch_size", "train.batch_size"},
      {"max_seq_length", "data.max_length"},
      {"cutoff_len", "data.max_length"},
      {"reflora_warmup", "method.warmup_steps"},
      {"lr_scheduler_type", "optim.schedule"},
      {"bf16", "train.compute_dtype"},
      {"base_model", "model.path"},
      {"model", "model.path"},
      {"method", "method.name"},
      {"optimizer", "optim.name"},
      {"task", "data.task"},
      {"dataset", "data.train"},
  };
  return map;
}

std::string number(double value) { return fmt::format("{}", value); }

// A part of a method that is left to the method ("auto") is the one that the method has.
std::string meantText(const RunConfig& config, const std::string& key) {
  const std::string text = config.valueText(key);
  const auto part = partOfKey(key);
  const MethodParts* preset = part && text == "auto" ? presetParts(config.str("method.name")) : nullptr;
  return preset ? preset->*part : text;
}

}  // namespace

std::string nearestText(std::string_view text, const std::vector<std::string>& candidates) {
  const std::string wanted = folded(text);
  std::string best;
  size_t bestDistance = std::max<size_t>(1, wanted.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = editDistance(wanted, folded(candidate));
    if (distance < bestDistance) {
      bestDistance = distance;
      best = candidate;
    }
  }
  return best;
}

std::string nearestOption(std::string_view key) {
  const std::string wanted = folded(key);
  if (const auto it = synonyms().find(lastPart(wanted)); it != synonyms().end()) return it->second;
  std::vector<std::string> keys;
  for (const OptionSpec& option : optionTable()) keys.push_back(option.key);
  // The right name in the wrong group ("train.rank") beats a similar name in the right one.
  for (const std::string& candidate : keys)
    if (lastPart(candidate) == lastPart(wanted)) return candidate;
  if (std::string near = nearestText(wanted, keys); !near.empty()) return near;
  std::vector<std::string> parts;
  for (const std::string& candidate : keys) parts.emplace_back(lastPart(candidate));
  const std::string near = nearestText(lastPart(wanted), parts);
  const auto it = std::find(parts.begin(), parts.end(), near);
  return near.empty() ? "" : keys[static_cast<size_t>(it - parts.begin())];
}

bool applies(const OptionSpec& option, const RunConfig& config) {
  return std::all_of(option.appliesTo.begin(), option.appliesTo.end(), [&](const AppliesWhen& when) {
    const std::string text = meantText(config, when.key);
    const bool among = std::find(when.values.begin(), when.values.end(), text) != when.values.end();
    return among != when.negated;
  });
}

std::string appliesText(const OptionSpec& option) {
  std::string text;
  for (const AppliesWhen& when : option.appliesTo) {
    if (!text.empty()) text += " and ";
    const OptionSpec* other = findOption(when.key);
    std::string values;
    for (size_t i = 0; i < when.values.size(); ++i) {
      if (i > 0) values += i + 1 == when.values.size() ? " or " : ", ";
      values += when.values[i].empty() ? "empty" : when.values[i];
    }
    text += fmt::format("{} is {}{}{}", other ? other->key : when.key, when.negated ? "not " : "", values,
                        partOfKey(when.key) ? " (chosen, or the method's own)" : "");
  }
  return text;
}

std::string allowedText(const OptionSpec& option) {
  switch (option.type) {
    case OptionType::Choice: {
      std::string text;
      for (const OptionChoice& choice : option.choices) text += (text.empty() ? "" : ", ") + choice.value;
      return text;
    }
    case OptionType::Flag: return "true or false";
    case OptionType::List: return "a list of texts";
    case OptionType::Text:
    case OptionType::LongText: return "text";
    case OptionType::Path: return "a file or folder";
    case OptionType::Integer:
    case OptionType::Real:
    case OptionType::Map: break;
  }
  std::string range;
  if (option.min && option.max && !option.minOpen && !option.maxOpen)
    range = fmt::format("{} … {}", number(*option.min), number(*option.max));
  else if (option.min && option.max)
    range = fmt::format("{} {} and {} {}", option.minOpen ? "greater than" : "at least", number(*option.min),
                        option.maxOpen ? "less than" : "at most", number(*option.max));
  else if (option.min)
    range = fmt::format("{} {}", option.minOpen ? "greater than" : "at least", number(*option.min));
  else if (option.max)
    range = fmt::format("{} {}", option.maxOpen ? "less than" : "at most", number(*option.max));
  const char* noun = option.type == OptionType::Integer ? "a whole number"
                     : option.type == OptionType::Real  ? "a number"
                                                        : "numbers by name";
  return range.empty() ? noun : fmt::format("{}, {}", noun, range);
}

}  // namespace rankscope
