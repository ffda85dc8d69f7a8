// Every mistake of a config at once, each at its key and with a way out. First the options one by one, then the rules
// across them, then (separately) the files.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/edited_positions.h"
#include "core/config/method_parts.h"
#include "core/config/run_config.h"
#include "core/config/step_size.h"
#include "core/config/task_heads.h"

namespace rankscope {

using nlohmann::json;

namespace {

class Checker {
 public:
  explicit Checker(const RunConfig& config) : m_config(config) {}

  std::vector<ValidationIssue> run() {
    for (const OptionSpec& option : optionTable()) checkOption(option);
    checkRequired();
    checkRun();
    checkHeadAndTask();
    checkColumns();
    checkTemplate();
    checkLabels();
    checkSites();
    checkMethodParts();
    checkSteps();
    checkBestMetric();
    return std::move(m_issues);
  }

 private:
  void add(const std::string& key, std::string what, std::string found, std::string expected, std::string hint) {
    m_issues.push_back(
        {key, {ErrorCode::Usage, std::move(what), key, std::move(found), std::move(expected), std::move(hint)}});
  }
  // Rules across fields speak only of options that matter and are right by themselves.
  bool usable(const char* key) const {
    const OptionSpec* option = findOption(key);
    return applies(*option, m_config) && std::none_of(m_issues.begin(), m_issues.end(),
                                                      [&](const ValidationIssue& issue) { return issue.key == key; });
  }

  void checkOption(const OptionSpec& option) {
    if (!applies(option, m_config)) {
      if (m_config.isDefault(option.key)) return;
      add(option.key, option.title + " does not apply here", m_config.valueText(option.key), "",
          fmt::format("It is used only where {}. Leave it out, or change that.", appliesText(option)));
      return;
    }
    const json value = m_config.value(option.key);
    if (option.type == OptionType::Choice) {
      checkChoice(option, value.get<std::string>());
    } else if (option.type == OptionType::Integer || option.type == OptionType::Real) {
      checkRange(option, value.get<double>(), "");
    } else if (option.type == OptionType::Map) {
      for (const auto& [name, item] : value.items()) checkRange(option, item.get<double>(), name);
    }
  }

  void checkChoice(const OptionSpec& option, const std::string& value) {
    std::vector<std::string> allowed;
    for (const OptionChoice& choice : option.choices) allowed.push_back(choice.value);
    if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return;
    const std::string near = nearestText(value, allowed);
    add(option.key, fmt::format("there is no such {}", lowered(option.title)), "\"" + cleanUtf8(value, 80) + "\"",
        allowedText(option), near.empty() ? "Choose one of them." : fmt::format("Did you mean {}?", near));
  }

  void checkRange(const OptionSpec& option, double value, const std::string& name) {
    const bool below = option.min && (option.minOpen ? value <= *option.min : value < *option.min);
    const bool above = option.max && (option.maxOpen ? value >= *option.max : value > *option.max);
    if (!below && !above) return;
    const double bound = below ? *option.min : *option.max;
    const bool open = below ? option.minOpen : option.maxOpen;
    std::string shown = fmt::format("{}", value);
    if (!name.empty()) shown += fmt::format(" for \"{}\"", cleanUtf8(name, 80));
    add(option.key, fmt::format("{} is out of range", lowered(option.title)), std::move(shown), allowedText(option),
        fmt::format("Choose {} {}.", open ? (below ? "more than" : "less than") : (below ? "at least" : "at most"),
                    bound));
  }

  void checkRequired() {
    if (m_config.str("model.path").empty())
      add("model.path", "no base model is chosen", "", "a model's folder",
          "Choose a folder with config.json and safetensors weights, such as starter:model.");
    if (m_config.str("data.train").empty())
      add("data.train", "no training data is chosen", "", "a file, or a folder of images",
          "Choose a TXT, CSV, TSV, JSONL or JSON file.");
  }

  void checkRun() {
    const std::string name = m_config.str("name");
    if (std::any_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }))
      add("name", "the name holds a line break or another control character", "", "one line of text",
          "Type the name on one line; longer texts go into notes.");
    else if (name.size() > 200)
      add("name", "the name is too long", fmt::format("{} bytes", name.size()), "at most 200 bytes",
          "Shorten it; longer texts go into notes.");
    for (const char* key : {"model.path", "data.train", "data.eval"})
      if (m_config.str(key).find('\0') != std::string::npos)
        add(key, "the path holds a zero byte", "", "a path", "Type the path again.");
  }

  void checkHeadAndTask() {
    const std::string task = m_config.str("data.task"), head = m_config.str("model.head");
    if (!usable("data.task")) return;
    const std::string needed = headForTask(task);
    if (usable("model.head") && head != "auto" && head != needed)
      add("model.head", "the head does not fit the task", head, fmt::format("{} for the task {}", needed, task),
          "Set the head to auto, or choose another task.");
    if (usable("data.format") && m_config.str("data.format") == "txt" && task != "causal_lm" && task != "masked_lm")
      add("data.format", "plain text has no columns", "txt", fmt::format("a table for the task {}", task),
          "Choose csv, tsv, jsonl or json, or the task causal_lm or masked_lm.");
  }

  void checkColumns() {
    std::set<std::string> taken;
    for (const char* key : {"data.columns.text", "data.columns.text_pair", "data.columns.label", "data.columns.prompt",
                            "data.columns.answer", "data.columns.question", "data.columns.context",
                            "data.columns.answer_start"}) {
      const std::string column = m_config.str(key);
      if (column.empty() || !usable(key)) continue;
      if (column.front() == '#' && !isCount(std::string_view(column).substr(1)))
        add(key, "not a column's number", "\"" + cleanUtf8(column, 80) + "\"", "#1, #2, …",
            "Columns are counted from 1. A column whose name begins with # is chosen by its number.");
      else if (!taken.insert(column).second)
        add(key, "the column has another part already", "\"" + cleanUtf8(column, 80) + "\"", "a column of its own",
            "Choose another column, or leave it empty to have it guessed.");
    }
  }

  void checkTemplate() {
    const std::string text = m_config.str("data.template");
    if (text.empty() || !usable("data.template")) return;
    const size_t open = text.find('{');
    if (open == std::string::npos || text.find('}', open) == std::string::npos)
      add("data.template", "the template names no column", "\"" + cleanUtf8(text, 80) + "\"", "{column} at least once",
          "Write the name of a column in braces where its content goes.");
  }

  void checkLabels() {
    const std::vector<std::string> labels = m_config.list("data.labels");
    if (labels.empty() || !usable("data.labels")) return;
    if (labels.size() < 2)
      add("data.labels", "there is only one label", "\"" + cleanUtf8(labels[0], 80) + "\"", "at least two",
          "Name all labels, or leave the list empty to take those of the training data.");
    reportDoubled("data.labels", labels);
  }

  void checkSites() {
    if (usable("method.target_modules")) {
      const std::vector<std::string> targets = m_config.list("method.target_modules");
      reportEmpty("method.target_modules", targets);
      reportDoubled("method.target_modules", targets);
      if (targets.size() > 1 && std::find(targets.begin(), targets.end(), "all-linear") != targets.end())
        add("method.target_modules", "all-linear stands alone", m_config.valueText("method.target_modules"),
            "all-linear", "Leave the other names out: they are among all linear layers.");
    }
    if (usable("method.layers")) {
      const std::vector<std::string> layers = m_config.list("method.layers");
      for (const std::string& layer : layers)
        if (!isCount(layer, 0))
          add("method.layers", "not a layer's number", "\"" + cleanUtf8(layer, 80) + "\"",
              "0, 1, 2, … or a range such as 4-7", "Layers are counted from 0.");
      reportDoubled("method.layers", layers);
    }
    if (usable("method.modules_to_save"))
      reportEmpty("method.modules_to_save", m_config.list("method.modules_to_save"));
    if (usable("method.rank_pattern"))
      for (const auto& [name, rank] : m_config.map("method.rank_pattern"))
        if (rank != std::trunc(rank))
          add("method.rank_pattern", "a rank is a whole number",
              fmt::format("{} for \"{}\"", rank, cleanUtf8(name, 80)), "a whole number", "Round it.");
    for (const char* key : {"method.rank_pattern", "method.alpha_pattern"})
      if (usable(key) && m_config.map(key).count(""))
        add(key, "a matrix has no name", "\"\"", "the end of a matrix's name", "Name the matrix, such as q_proj.");
  }

  void checkMethodParts() {
    if (usable("method.positions"))
      if (const auto positions = readPositions(m_config.str("method.positions")); !positions)
        m_issues.push_back({"method.positions", positions.error()});
    const auto parts = partsOf(m_config);
    if (!parts || !usable("method.form") || !usable("method.init") || !usable("method.rule") ||
        !usable("method.scaling") || !usable("method.base"))
      return;
    if (const auto problem = partsProblem(*parts)) m_issues.push_back({problem->where, *problem});
    if (usable("method.quant_block") && !std::has_single_bit(static_cast<uint64_t>(m_config.integer("method.quant_block"))))
      add("method.quant_block", "the block is not a power of two", m_config.valueText("method.quant_block"),
          "32, 64, … 4096", "Choose 64, as QLoRA does.");
    if (usable("method.target_rank") && usable("method.rank") &&
        m_config.integer("method.target_rank") > m_config.integer("method.rank"))
      add("method.target_rank", "the target rank is above the first", m_config.valueText("method.target_rank"),
          fmt::format("at most {}, which is method.rank", m_config.integer("method.rank")),
          "AdaLoRA starts with the larger rank, such as one and a half times the target, and prunes.");
    if (usable("method.initial_share") && usable("method.final_share") &&
        m_config.real("method.initial_share") + m_config.real("method.final_share") >= 1)
      add("method.final_share", "AdaLoRA has no steps left in which to prune",
          fmt::format("{} and {}", m_config.real("method.initial_share"), m_config.real("method.final_share")),
          "together less than 1", "Lower method.initial_share or method.final_share.");
  }

  void checkSteps() {
    if (usable("optim.name") && followsMeft(m_config) && !applies(*findOption("method.rank"), m_config))
      add("optim.name", "MeFT's step follows from the rank, and this method has none", m_config.valueText("method.name"),
          "a method with a rank", "Choose sgd with a learning rate of your own, or a low-rank method.");
    const int64_t steps = m_config.integer("train.max_steps");
    const int64_t warmup = m_config.integer("optim.warmup_steps");
    const bool warmupUsable = usable("optim.warmup_steps");
    if (warmupUsable && usable("optim.warmup_ratio") && warmup > 0 && m_config.real("optim.warmup_ratio") > 0)
      add("optim.warmup_ratio", "the warm-up is given twice",
          fmt::format("{} and {} steps", m_config.valueText("optim.warmup_ratio"), warmup), "one of the two",
          "Set optim.warmup_steps or optim.warmup_ratio to 0.");
    if (steps == 0 || !usable("train.max_steps")) return;  // how many steps the epochs make is known with the data only
    if (warmupUsable && warmup > steps)
      add("optim.warmup_steps", "the warm-up is longer than the training", fmt::format("{} steps", warmup),
          fmt::format("at most {}, the steps of the run", steps), "Shorten the warm-up or train for more steps.");
  }

  void checkBestMetric() {
    std::string metric = m_config.str("train.best_metric");
    if (metric.empty() || !usable("train.best_metric") || !usable("data.task")) return;
    if (metric.compare(0, 5, "eval/") == 0) metric.erase(0, 5);
    const std::string task = m_config.str("data.task");
    static const std::map<std::string, std::vector<std::string>> metrics = {
        {"classification", {"loss", "accuracy", "f1", "f1_macro", "matthews"}},
        {"image_classification", {"loss", "accuracy", "f1", "f1_macro", "matthews"}},
        {"regression", {"loss", "pearson", "spearman", "mse"}},
        {"masked_lm", {"loss", "masked_perplexity"}},
        {"multiple_choice", {"loss", "accuracy", "accuracy_norm"}},
        {"question_answering",
         {"loss", "exact_match", "answer_f1", "has_answer_f1", "no_answer_exact", "best_answer_f1"}}};
    const auto special = metrics.find(task);
    const std::vector<std::string> allowed =
        special == metrics.end() ? std::vector<std::string>{"loss", "perplexity"} : special->second;
    if (std::find(allowed.begin(), allowed.end(), metric) != allowed.end()) return;
    const std::string near = nearestText(metric, allowed);
    add("train.best_metric", "the task has no such metric", "\"" + cleanUtf8(metric, 80) + "\"",
        fmt::format("{} for the task {}", fmt::join(allowed, ", "), task),
        near.empty() ? "Choose one of them, or leave it empty." : fmt::format("Did you mean {}?", near));
  }

  void reportDoubled(const char* key, const std::vector<std::string>& items) {
    std::set<std::string> seen, reported;
    for (const std::string& item : items)
      if (!seen.insert(item).second && reported.insert(item).second)
        add(key, "an item is there twice", "\"" + cleanUtf8(item, 80) + "\"", "each once", "Remove one of them.");
  }
  void reportEmpty(const char* key, const std::vector<std::string>& items) {
    if (std::find(items.begin(), items.end(), "") != items.end())
      add(key, "an item is empty", "\"\"", "the end of a module's name", "Remove it, or write a name such as q_proj.");
  }

  static bool isCount(std::string_view text, int least = 1) {
    int value = 0;
    const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc() && end == text.data() + text.size() && value >= least;
  }
  // In a sentence a title starts small, unless it is a name or an abbreviation.
  static std::string lowered(std::string title) {
    if (title.size() > 1 && title[0] >= 'A' && title[0] <= 'Z' && title[1] >= 'a' && title[1] <= 'z')
      title[0] = static_cast<char>(title[0] - 'A' + 'a');
    return title;
  }

  const RunConfig& m_config;
  std::vector<ValidationIssue> m_issues;
};

enum class Wanted { File, FileOrFolder, Model };

bool namesWeights(const std::filesystem::path& file) {
  const auto ending = file.extension();
  return ending == ".gguf" || ending == ".th" || ending == ".pth" || ending == ".pt" || ending == ".safetensors";
}

// config.json, or a checkpoint that may do without: GGUF, or a bare state dict.
bool holdsModel(const std::filesystem::path& folder) {
  std::error_code code;
  if (std::filesystem::exists(folder / "config.json", code)) return true;
  for (std::filesystem::directory_iterator it(folder, code), end; !code && it != end; it.increment(code))
    if (namesWeights(it->path())) return true;
  return false;
}

void checkPath(const RunConfig& config, const Places& places, const char* key, Wanted wanted,
               std::vector<ValidationIssue>& issues) {
  const std::string named = config.str(key);
  if (named.empty()) return;
  const auto add = [&](Error error) {
    error.where = error.where.empty() ? key : fmt::format("{} = {}", key, error.where);
    issues.push_back({key, std::move(error)});
  };
  const Result<std::filesystem::path> path = places.resolve(named);
  if (!path) return add(path.error());
  std::error_code code;
  const auto status = std::filesystem::status(*path, code);
  if (!std::filesystem::exists(status)) {
    const char* hint = named.compare(0, 7, "models:") == 0
                           ? "Put the model's folder there, or choose another model."
                           : "Check the path; relative paths start at the folder the program was started in.";
    return add({ErrorCode::BadInput, wanted == Wanted::Model ? "the folder does not exist" : "the file does not exist",
                pathText(*path), "", "", hint});
  }
  const bool folder = std::filesystem::is_directory(status);
  if (wanted == Wanted::Model) {
    // A file of weights may carry what config.json would say; what it is shows when it is opened.
    if (!folder && !namesWeights(*path))
      return add({ErrorCode::BadInput, "not a folder", pathText(*path), "a file", "a model's folder, or a file of weights",
                  "Give the folder that holds config.json."});
    if (folder && !holdsModel(*path))
      return add({ErrorCode::BadInput, "the folder holds no model", pathText(*path), "no config.json",
                  "config.json, weights and tokenizer", "Choose the folder with config.json in it."});
  } else if (folder && wanted == Wanted::File) {
    return add({ErrorCode::BadInput, "not a file", pathText(*path), "a folder", "a data file",
                "Choose a file in it; a folder of images needs the task image_classification."});
  }
  if (::access(path->c_str(), folder ? R_OK | X_OK : R_OK) != 0)
    add(systemError(errno, "cannot be read", *path));
}

}  // namespace

std::vector<ValidationIssue> validate(const RunConfig& config) { return Checker(config).run(); }

std::vector<ValidationIssue> validatePaths(const RunConfig& config, const Places& places) {
  std::vector<ValidationIssue> issues;
  checkPath(config, places, "model.path", Wanted::Model, issues);
  const Wanted data = config.str("data.task") == "image_classification" ? Wanted::FileOrFolder : Wanted::File;
  checkPath(config, places, "data.train", data, issues);
  checkPath(config, places, "data.eval", data, issues);
  return issues;
}

}  // namespace rankscope
