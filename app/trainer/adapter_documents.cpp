// Adapters as JSON, from their headers alone (library_scan.h).

#include "app/trainer/command.h"
#include "app/trainer/library_scan.h"
#include "app/trainer/model_documents.h"
#include "app/trainer/model_licence.h"
#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/short_names.h"
#include "core/io/shard_index.h"
#include "core/methods/peft_format.h"
#include "core/train/import_run.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kConfigName = "adapter_config.json";

struct Read {
  json document;
  Result<json> config;
  Result<WeightSummary> weights;
  std::vector<Error> problems;
};

std::string textOf(const json& config, const char* key) {
  const auto found = config.find(key);
  return found != config.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Read read(const fs::path& folder, const Places& places) {
  JsonLimits limits;
  limits.maxBytes = 4 << 20;
  Read result{{{"kind", "adapter"},   {"path", places.nameOf(folder)}, {"folder", pathText(folder)},
               {"name", shortModelName(pathText(folder))}, {"parameters", 0}, {"dtype", ""}, {"dtypes", json::object()},
               {"bytes", 0},          {"files", 0},                    {"format", ""},
               {"problem", ""},       {"method", ""},                  {"rank", 0},
               {"alpha", 0},          {"targets", json::array()},      {"task", ""},
               {"base", {{"named", ""}, {"path", ""}}}},
              readJsonFile(folder / kConfigName, limits), inspectWeights(folder), {}};
  json& document = result.document;
  const Licence licence = licenceOf(folder, json());
  document["licence"] = {{"name", licence.name}, {"source", licence.source}};
  if (result.weights) {
    describeWeights(*result.weights, document);
  } else {
    result.problems.push_back(result.weights.error());
  }
  if (!result.config) {
    result.problems.push_back(result.config.error());
  } else {
    const Result<MethodSettings> settings = settingsFromPeftConfig(*result.config);
    if (settings) {
      document["method"] = settings->name;
      document["rank"] = settings->rank;
      document["alpha"] = settings->alpha;
      document["targets"] = settings->targetModules;
      document["rank_pattern"] = settings->rankPattern;
      document["modules_to_save"] = settings->modulesToSave;
      document["bias"] = settings->bias;
    } else {
      result.problems.push_back(settings.error());
    }
    if (result.config->is_object()) {
      document["task"] = textOf(*result.config, "task_type");
      const std::string named = textOf(*result.config, "base_model_name_or_path");
      document["base"] = {{"named", named}, {"path", findBaseModel(named, places)}};
    }
  }
  if (!result.problems.empty()) document["problem"] = result.problems.front().message();
  return result;
}

}  // namespace

bool isAdapterFolder(const fs::path& folder) {
  std::error_code code;
  return fs::is_regular_file(folder / kConfigName, code);
}

json adapterSummary(const fs::path& folder, const Places& places) { return read(folder, places).document; }

json describeAdapter(const fs::path& folder, const Places& places) {
  Read adapter = read(folder, places);
  json& document = adapter.document;
  document["problems"] = json::array();
  for (const Error& problem : adapter.problems) document["problems"].push_back(errorDocument(problem));
  if (adapter.config && document["base"]["path"].get<std::string>().empty())
    document["problems"].push_back(errorDocument(
        {ErrorCode::Usage, "the adapter's base model is not on this machine", pathText(folder),
         document["base"]["named"].get<std::string>(), "a model folder",
         "Fetch that model into the models folder, or name another folder with it when importing."}));
  document["shards"] = weightFileList(folder);
  document["tensors"] = adapter.weights ? tensorList(*adapter.weights) : json::array();
  if (adapter.config) document["config"] = *adapter.config;
  return document;
}

}  // namespace rankscope
