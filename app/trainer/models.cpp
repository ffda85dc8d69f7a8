// rankscope-train models: what base models there are, and what is in one.

#include <fmt/format.h>

#include "app/trainer/commands.h"
#include "app/trainer/library_scan.h"
#include "app/trainer/model_documents.h"

namespace rankscope {
namespace {

std::string shapeText(const nlohmann::json& shape) {
  std::string text;
  for (const auto& size : shape) text += (text.empty() ? "" : " × ") + std::to_string(size.get<int64_t>());
  return text.empty() ? "scalar" : text;
}

int listModels(CommandContext& context, const std::vector<std::string>& named) {
  std::vector<std::filesystem::path> folders;
  for (const std::string& name : named) {
    Result<std::filesystem::path> folder = context.places.resolve(name);
    if (!folder) return context.fail(folder.error());
    folders.push_back(*folder);
  }
  LibraryRequest request;
  request.folders = folders.empty() ? defaultModelFolders(context.places) : folders;
  request.hub = folders.empty();
  const nlohmann::json models = scanLibrary(request, context.places);
  TextTable table;
  table.header = {"model", "family", "parameters", "dtype", "size", "hidden", "layers", "tokenizer", "problem"};
  table.rightAligned = {2, 4, 5, 6};
  for (const nlohmann::json& model : models)
    table.rows.push_back({model["path"].get<std::string>(), model["family"].get<std::string>(),
                          formatCount(model["parameters"].get<int64_t>()), model["dtype"].get<std::string>(),
                          formatBytes(model["bytes"].get<double>()), std::to_string(model["hidden"].get<int64_t>()),
                          std::to_string(model["layers"].get<int64_t>()), model["tokenizer"].get<std::string>(),
                          model["problem"].get<std::string>()});
  context.print(models, table);
  return 0;
}

int inspectOne(CommandContext& context, const std::string& name) {
  Result<std::filesystem::path> folder = context.places.resolve(name);
  if (!folder) return context.fail(folder.error());
  Result<nlohmann::json> model = inspectModel(*folder, context.places);
  if (!model) return context.fail(model.error());
  std::string text = fmt::format("{} ({}), {} parameters, {}, tokenizer {}\n", (*model)["name"].get<std::string>(),
                                 (*model)["title"].get<std::string>(), formatCount((*model)["parameters"].get<int64_t>()),
                                 (*model)["dtype"].get<std::string>(), (*model)["tokenizer"].get<std::string>());
  TextTable sites;
  sites.header = {"linear site", "out", "in", "bias"};
  sites.rightAligned = {1, 2};
  for (const nlohmann::json& site : (*model)["sites"])
    sites.rows.push_back({site["name"].get<std::string>(), std::to_string(site["out"].get<int64_t>()),
                          std::to_string(site["in"].get<int64_t>()), site["bias"].get<bool>() ? "yes" : ""});
  text += "\n" + sites.toText();
  TextTable tensors;
  tensors.header = {"tensor", "dtype", "shape"};
  for (const nlohmann::json& tensor : (*model)["tensors"])
    tensors.rows.push_back({tensor["name"].get<std::string>(), tensor["dtype"].get<std::string>(), shapeText(tensor["shape"])});
  text += "\n" + tensors.toText();
  context.print(*model, text);
  return 0;
}

}  // namespace

void addModelsCommand(CLI::App& root, CommandContext& context) {
  CLI::App* sub = root.add_subcommand("models", "List base models, or inspect one, by their headers alone");
  sub->require_subcommand(1);
  auto folders = std::make_shared<std::vector<std::string>>();
  CLI::App* list = sub->add_subcommand("list", "Models in these folders (default: yours, the starter and Hugging Face's cache)");
  list->add_option("DIR", *folders, "Folders to search");
  context.run(list, [&context, folders] { return listModels(context, *folders); });
  auto model = std::make_shared<std::string>();
  CLI::App* inspect = sub->add_subcommand("inspect", "Sites and tensors of one model");
  inspect->add_option("MODEL", *model, "Model folder (also starter:… or models:…)")->required();
  context.run(inspect, [&context, model] { return inspectOne(context, *model); });
}

}  // namespace rankscope
