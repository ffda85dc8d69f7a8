// rankscope-train data: what is in a data file, and what a run would make of it.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "app/trainer/commands.h"
#include "app/trainer/config_arguments.h"
#include "app/trainer/data_documents.h"
#include "core/config/files.h"

namespace rankscope {
namespace {

struct InspectArguments {
  std::string file, format = "auto", header = "auto", task;
};

std::string problemsText(const nlohmann::json& document) {
  std::string text;
  for (const nlohmann::json& problem : document["problems"])
    text += fmt::format("row {} (line {}): {}\n", problem["row"].get<uint64_t>(), problem["line"].get<uint64_t>(),
                        problem["message"].get<std::string>());
  const auto total = document["problem_count"].get<uint64_t>();
  if (total > document["problems"].size()) text += fmt::format("… {} problems in all\n", total);
  return text;
}

int inspect(CommandContext& context, const InspectArguments& arguments) {
  Result<std::filesystem::path> file = context.places.resolve(arguments.file);
  if (!file) return context.fail(file.error());
  Result<DataFormat> format = parseDataFormat(arguments.format);
  if (!format) return context.fail(format.error());
  Result<HeaderMode> header = parseHeaderMode(arguments.header);
  if (!header) return context.fail(header.error());
  Result<nlohmann::json> document = inspectDataDocument(*file, {*format, *header}, arguments.task);
  if (!document) return context.fail(document.error());
  const nlohmann::json& roles = (*document)["roles"];
  TextTable table;
  table.header = {"column", "kind", "role", "first value"};
  for (const nlohmann::json& column : (*document)["columns"]) {
    std::string role;
    for (const auto& [name, played] : roles.items())
      if (name != "template" && played == column["name"]) role = name;
    if (role.empty() && roles["template"].get<std::string>().find("{" + column["name"].get<std::string>() + "}") != std::string::npos)
      role = "template";
    std::string example = cleanUtf8(column["example"].get<std::string>(), 60);
    for (char& c : example)
      if (static_cast<unsigned char>(c) < 0x20) c = ' ';
    table.rows.push_back({column["name"].get<std::string>(), column["kind"].get<std::string>(), role, example});
  }
  context.print(*document, fmt::format("{}: {}, {} rows, {}, task {}\n\n{}{}", arguments.file,
                                       (*document)["format"].get<std::string>(), formatCount((*document)["rows"].get<int64_t>()),
                                       formatBytes((*document)["bytes"].get<double>()), (*document)["task"].get<std::string>(),
                                       table.toText(), problemsText(*document)));
  return 0;
}

int preview(CommandContext& context, const ConfigArguments& arguments, size_t rows) {
  std::vector<Error> mistakes;
  Result<RunConfig> config = arguments.read(context.places, mistakes);
  if (!config) return mistakes.empty() ? context.fail(config.error()) : context.fail(mistakes);
  Result<nlohmann::json> document = previewDataDocument(*config, context.places, rows);
  if (!document) return context.fail(document.error());
  std::string text;
  for (const nlohmann::json& row : (*document)["rows"]) {
    if (row.contains("image")) {
      text += fmt::format("image {}, {}\n", row["row"].get<uint64_t>(), row["label"].is_string() ? row["label"].get<std::string>() : std::string());
      continue;
    }
    text += fmt::format("row {}, {} tokens{}{}\n  ", row["row"].get<uint64_t>(), row["length"].get<uint64_t>(),
                        row["truncated"].get<bool>() ? ", cut" : "",
                        row["label"].is_string() ? ", " + row["label"].get<std::string>() : std::string());
    // Tokens that count in the loss stand in brackets, as one stretch each.
    bool inside = false;
    for (const nlohmann::json& token : row["tokens"]) {
      if (token["label"].get<bool>() != inside) text += inside ? "] " : " [";
      inside = token["label"].get<bool>();
      text += token["text"].get<std::string>() + " ";
    }
    text += inside ? "]\n" : "\n";
  }
  const nlohmann::json& histogram = (*document)["length_histogram"];
  if ((*document)["format"] == "images")
    text += fmt::format("\n{} images to train on, {} for evaluation, classes: {}\n", formatCount((*document)["train_rows"].get<int64_t>()),
                        formatCount((*document)["eval_rows"].get<int64_t>()),
                        fmt::join((*document)["labels"].get<std::vector<std::string>>(), ", "));
  else
    text += fmt::format("\n{} training sequences, {} for evaluation, {} tokens; {} sequences cut, {:.2f} % of the tokens lost\n",
                      formatCount((*document)["train_rows"].get<int64_t>()), formatCount((*document)["eval_rows"].get<int64_t>()),
                      formatCount((*document)["tokens"].get<int64_t>()), formatCount(histogram["over_limit"].get<int64_t>()),
                      100 * histogram["tokens_lost_share"].get<double>());
  context.print(*document, text + problemsText(*document));
  return 0;
}

}  // namespace

void addDataCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("data", "Look into a data file, or see what a run would read of it");
  sub->require_subcommand(1);
  auto file = std::make_shared<InspectArguments>();
  CLI::App* inspectSub = sub->add_subcommand("inspect", "Format, columns, rows and problems of one file");
  inspectSub->add_option("FILE", file->file, "Data file (also starter:…)")->required();
  inspectSub->add_option("--format", file->format, "auto, txt, csv, tsv, jsonl, json or images");
  inspectSub->add_option("--header", file->header, "auto, yes or no");
  inspectSub->add_option("--task", file->task, "Guess the columns' roles for this task");
  context.run(inspectSub, [&context, file] { return inspect(context, *file); });
  auto config = std::make_shared<ConfigArguments>();
  auto rows = std::make_shared<size_t>(3);
  CLI::App* previewSub = sub->add_subcommand("preview", "The first sequences as the model reads them, lengths and losses");
  config->declare(previewSub);
  previewSub->add_option("--rows", *rows, "How many sequences to show");
  context.run(previewSub, [&context, config, rows] { return preview(context, *config, *rows); });
}

}  // namespace rankscope
