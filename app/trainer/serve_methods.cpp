// What serve can be asked; one function a method.

#include <algorithm>

#include "app/trainer/data_documents.h"
#include "app/trainer/check_config.h"
#include "app/trainer/command.h"
#include "app/trainer/commands.h"
#include "app/trainer/data_documents.h"
#include "app/trainer/library_scan.h"
#include "app/trainer/model_documents.h"
#include "app/trainer/serve.h"
#include "core/config/files.h"
#include "core/config/run_config.h"
#include "core/data/prepare.h"
#include "core/data/roles.h"
#include "core/methods/adapter_file.h"
#include "core/models/registry.h"
#include "core/train/estimate.h"
#include "rankscope_version.h"

namespace rankscope {
namespace {

using nlohmann::json;

Result<std::filesystem::path> pathParam(const ServeCall& call, const char* name) {
  const json value = call.params.value(name, json());
  if (!value.is_string() || value.get<std::string>().empty())
    return Error{ErrorCode::Usage, "a path is missing", name, value.dump(), "a file or folder", "Give params." + std::string(name) + "."};
  return call.places.resolve(value.get<std::string>());
}

// The config of a form that may still be half filled in: what can be read of it.
Result<RunConfig> configParam(const ServeCall& call) {
  const json document = call.params.value("config", json());
  if (!document.is_object())
    return Error{ErrorCode::Usage, "a config is missing", "config", document.type_name(), "a run's document",
                 "Give params.config."};
  ParsedConfig parsed = RunConfig::read(document);
  if (!parsed.issues.empty()) return combineIssues(parsed.issues);
  return std::move(parsed.config);
}

std::function<void(double, const std::string&)> shareProgress(const ServeCall& call) {
  return [&call](double share, const std::string& what) { call.progress({{"share", share}, {"what", what}}); };
}

Result<json> ping(const ServeCall&) { return json{{"version", RANKSCOPE_VERSION}}; }

Result<json> methods(const ServeCall&) { return methodsDocument(); }

Result<json> modelsScan(const ServeCall& call) {
  std::vector<std::filesystem::path> folders;
  for (const json& folder : call.params.value("dirs", json::array()))
    if (folder.is_string())
      if (Result<std::filesystem::path> resolved = call.places.resolve(folder.get<std::string>()); resolved)
        folders.push_back(*resolved);
  LibraryRequest request;
  request.folders = folders.empty() ? defaultModelFolders(call.places) : folders;
  request.hub = call.params.value("hub", false);
  request.adapters = call.params.value("adapters", false);
  request.cancel = &call.cancelled;
  if (call.params.value("stream", false)) request.found = [&call](const json& item) { call.progress({{"item", item}}); };
  return scanLibrary(request, call.places);
}

Result<json> modelInspect(const ServeCall& call) {
  Result<std::filesystem::path> path = pathParam(call, "path");
  if (!path) return path.error();
  return inspectModel(*path, call.places);
}

Result<json> libraryDescribe(const ServeCall& call) {
  Result<std::filesystem::path> path = pathParam(call, "path");
  if (!path) return path.error();
  std::error_code code;
  if (!std::filesystem::exists(*path, code))
    return Error{ErrorCode::BadInput, "there is nothing here", pathText(*path), "", "a model or an adapter",
                 "Check the path; what was moved or deleted leaves the library when its folders are scanned again."};
  return isAdapter(*path) ? describeAdapter(*path, call.places) : describeModel(*path, call.places);
}

Result<json> adapterFits(const ServeCall& call) {
  Result<std::filesystem::path> adapter = pathParam(call, "adapter"), model = pathParam(call, "model");
  if (!adapter) return adapter.error();
  if (!model) return model.error();
  Result<std::vector<SiteShape>> sites = sitesOfModel(*model);
  if (!sites) return sites.error();
  if (Result<void> fits = checkAdapterFits(*adapter, *sites); !fits) return fits.error();
  return json{{"fits", true}};
}

Result<json> modelTokenizer(const ServeCall& call) {
  Result<std::filesystem::path> path = pathParam(call, "path");
  if (!path) return path.error();
  return describeTokenizer(*path);
}

Result<json> dataInspect(const ServeCall& call) {
  Result<std::filesystem::path> path = pathParam(call, "path");
  if (!path) return path.error();
  TableOptions options;
  Result<DataFormat> format = parseDataFormat(call.params.value("format", std::string("auto")));
  if (!format) return format.error();
  Result<HeaderMode> header = parseHeaderMode(call.params.value("header", std::string("auto")));
  if (!header) return header.error();
  options.format = *format;
  options.header = *header;
  Result<TableInspection> table = inspectTable(*path, options);
  if (!table) return table.error();
  json columns = json::array(), sample = json::array();
  for (const ColumnSummary& column : table->columns)
    columns.push_back({{"name", column.name}, {"example", column.example}, {"kind", column.kind}, {"role", column.guessedRole}});
  for (const Row& row : table->sample) {
    json cells = json::array();
    for (const auto& cell : row.cells) cells.push_back(cell ? json(*cell) : json(nullptr));
    sample.push_back(cells);
  }
  return json{{"format", dataFormatName(table->format)},
              {"header", table->header},
              {"columns", columns},
              {"rows", table->rows},
              {"bytes", table->bytes},
              {"sample", sample},
              {"problems", problemsDocument(table->problems)},
              {"problem_count", table->problems.total},
              {"task", dataTaskName(table->guessedTask)},
              {"roles", rolesDocument(table->guessed)}};
}

Result<json> dataPreview(const ServeCall& call) {
  Result<RunConfig> config = configParam(call);
  if (!config) return config.error();
  const auto wanted = static_cast<size_t>(std::clamp<int64_t>(call.params.value("rows", int64_t{10}), 0, 200));
  return previewDataDocument(*config, call.places, wanted, &call.cancelled, shareProgress(call));
}

Result<json> estimate(const ServeCall& call) {
  Result<RunConfig> config = configParam(call);
  if (!config) return config.error();
  DataShape shape;
  bool known = false;
  // The data is worth waiting for when there is some; a form without data still gets the model's side.
  if (!config->str("data.train").empty()) {
    if (Result<ConfigData> read = prepareConfigData(*config, call.places, &call.cancelled, shareProgress(call)); read) {
      shape = dataShape(*config, read->data);
      known = true;
    }
  }
  Result<RunEstimate> result = estimateRun(*config, call.places, known ? &shape : nullptr);
  if (!result) return result.error();
  return toJson(*result);
}

Result<json> validateConfig(const ServeCall& call) {
  const json document = call.params.value("config", json::object());
  ParsedConfig parsed = RunConfig::read(document);
  std::vector<ValidationIssue> issues = std::move(parsed.issues);
  for (ValidationIssue& issue : validate(parsed.config)) issues.push_back(std::move(issue));
  for (ValidationIssue& issue : validatePaths(parsed.config, call.places)) {
    const bool told = std::any_of(issues.begin(), issues.end(), [&](const auto& other) { return other.key == issue.key; });
    if (!told) issues.push_back(std::move(issue));
  }
  json list = json::array();
  for (const ValidationIssue& issue : issues) list.push_back({{"key", issue.key}, {"error", errorDocument(issue.error)}});
  return list;
}

Result<json> check(const ServeCall& call) {
  Result<RunConfig> config = configParam(call);
  if (!config) return config.error();
  if (const auto issues = validate(*config); !issues.empty()) return combineIssues(issues);
  Result<CheckReport> report = checkConfig(*config, call.places, &call.cancelled,
                                           [&](const std::string& what) { call.progress({{"what", what}}); });
  if (!report) return report.error();
  return toJson(*report);
}

}  // namespace

const std::vector<ServeMethod>& serveMethods() {
  using enum ServeLane;
  static const std::vector<ServeMethod> entries = {
      {"ping", Quick, ping},
      {"methods", Quick, methods},
      {"models.scan", Search, modelsScan},
      {"model.inspect", Quick, modelInspect},
      {"library.describe", Quick, libraryDescribe},
      {"adapter.fits", Quick, adapterFits},
      {"model.tokenizer", Heavy, modelTokenizer},
      {"validate", Quick, validateConfig},
      {"data.inspect", Heavy, dataInspect},
      {"data.preview", Heavy, dataPreview},
      {"estimate", Heavy, estimate},
      {"check", Heavy, check},
  };
  return entries;
}

}  // namespace rankscope
