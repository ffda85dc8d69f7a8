// Adapters as JSON, from their headers alone (library_scan.h).

#include "app/trainer/command.h"
#include "app/trainer/library_scan.h"
#include "app/trainer/model_documents.h"
#include "app/trainer/model_licence.h"
#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/short_names.h"
#include "core/io/gguf.h"
#include "core/io/mapped_file.h"
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

json emptyDocument(const fs::path& path, const std::string& name, const Places& places) {
  return {{"kind", "adapter"}, {"path", places.nameOf(path)}, {"folder", pathText(path)},     {"name", name},
          {"parameters", 0},   {"dtype", ""},                 {"dtypes", json::object()},     {"bytes", 0},
          {"files", 0},        {"format", ""},                {"problem", ""},                {"method", ""},
          {"rank", 0},         {"alpha", 0},                  {"targets", json::array()},     {"task", ""},
          {"base", {{"named", ""}, {"path", ""}}}};
}

// What can be shown of a file's metadata: texts and single numbers.
json metadataDocument(const GgufTable& table) {
  json document = json::object();
  for (const auto& [key, value] : table.metadata) {
    if (value.isArray()) continue;
    if (value.type == GgufType::Text)
      document[key] = cleanUtf8(table.text(key), 4096);
    else if (const std::optional<double> number = value.real())
      document[key] = *number;
  }
  return document;
}

// llama.cpp's adapter: its alpha stands among the file's metadata, its rank in the shapes.
Read readFile(const fs::path& file, const Places& places) {
  Read result{emptyDocument(file, shortModelName(pathText(file)), places), Error{}, inspectWeights(file), {}};
  json& document = result.document;
  document["licence"] = {{"name", ""}, {"source", ""}};
  const Result<std::shared_ptr<MappedFile>> mapped = MappedFile::open(file);
  const Result<GgufTable> table = mapped ? parseGguf((*mapped)->bytes(), pathText(file)) : Result<GgufTable>(mapped.error());
  if (!result.weights) result.problems.push_back(result.weights.error());
  if (!table) result.problems.push_back(table.error());
  if (result.weights) describeWeights(*result.weights, document);
  if (table) {
    result.config = metadataDocument(*table);
    document["method"] = table->text("adapter.type");
    document["alpha"] = table->real("adapter.lora.alpha").value_or(0);
    const std::string base = cleanUtf8(table->text("general.base_model.0.name"), 4096);
    document["base"] = {{"named", base}, {"path", findBaseModel(base, places)}};
    int64_t rank = 0;
    for (const GgufTensor& tensor : table->tensors)
      if (tensor.name.find(".lora_a") != std::string::npos && tensor.shape.size() == 2) rank = std::max(rank, tensor.shape[0]);
    document["rank"] = rank;
  }
  if (!result.problems.empty()) document["problem"] = result.problems.front().message();
  return result;
}

Read read(const fs::path& folder, const Places& places) {
  JsonLimits limits;
  limits.maxBytes = 4 << 20;
  std::error_code code;
  if (fs::is_regular_file(folder, code)) return readFile(folder, places);
  Read result{emptyDocument(folder, shortModelName(pathText(folder)), places), readJsonFile(folder / kConfigName, limits),
              inspectWeights(folder), {}};
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

bool isAdapter(const fs::path& path) {
  std::error_code code;
  if (fs::is_regular_file(path / kConfigName, code)) return true;
  if (path.extension() != ".gguf" || !fs::is_regular_file(path, code)) return false;
  const Result<std::shared_ptr<MappedFile>> mapped = MappedFile::open(path);
  const Result<GgufTable> table = mapped ? parseGguf((*mapped)->bytes(), pathText(path)) : Result<GgufTable>(mapped.error());
  return table && table->text("general.type") == "adapter";
}

json adapterSummary(const fs::path& path, const Places& places) { return read(path, places).document; }

json describeAdapter(const fs::path& path, const Places& places) {
  Read adapter = read(path, places);
  json& document = adapter.document;
  document["problems"] = json::array();
  for (const Error& problem : adapter.problems) document["problems"].push_back(errorDocument(problem));
  const bool importable = document["format"] != "gguf";
  if (importable && adapter.config && document["base"]["path"].get<std::string>().empty())
    document["problems"].push_back(errorDocument(
        {ErrorCode::Usage, "the adapter's base model is not on this machine", pathText(path),
         document["base"]["named"].get<std::string>(), "a model folder",
         "Fetch that model into the models folder, or name another folder with it when importing."}));
  document["shards"] = weightFileList(path);
  document["tensors"] = adapter.weights ? tensorList(*adapter.weights) : json::array();
  if (adapter.config) document["config"] = *adapter.config;
  return document;
}

}  // namespace rankscope
