#include "core/train/run_output.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <functional>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/io/safetensors_writer.h"
#include "core/models/registry.h"
#include "core/runlog/uuid.h"
#include "core/text/gguf_tokenizer.h"
#include "core/text/registry.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

Error failure(const std::error_code& code, const char* what, const fs::path& path) {
  return systemError(code.value(), what, path);
}

// Runs `fill` on a fresh folder beside `folder` and puts it in place of what was there.
Result<void> writeFolder(const fs::path& folder, const std::function<Result<void>(const fs::path&)>& fill) {
  const fs::path temporary = folder.parent_path() / ("." + folder.filename().string() + "-" + newUuid().substr(0, 8));
  std::error_code code;
  fs::create_directories(temporary, code);
  if (code) return failure(code, "the folder cannot be made", temporary);
  if (auto filled = fill(temporary); !filled) {
    fs::remove_all(temporary, code);
    return filled;
  }
  fs::remove_all(folder, code);
  fs::rename(temporary, folder, code);
  if (code) {
    const Error error = failure(code, "the folder cannot be put in place", folder);
    fs::remove_all(temporary, code);
    return error;
  }
  return {};
}

Result<void> copyFile(const fs::path& from, const fs::path& folder) {
  std::error_code code;
  fs::copy_file(from, folder / from.filename(), fs::copy_options::overwrite_existing, code);
  if (code) return failure(code, "a file of the base model cannot be copied", from);
  // The source may be read-only (a shared model folder); the copy is the user's own.
  fs::permissions(folder / from.filename(), fs::perms::owner_write, fs::perm_options::add, code);
  return {};
}

// A remark where there is a tokenizer that could not be handed on.
Result<std::string> saveTokenizer(const Model& model, const fs::path& baseFolder, const fs::path& target) {
  for (const fs::path& file : tokenizerFiles(baseFolder))
    if (auto copied = copyFile(file, target); !copied) return copied.error();
  const auto family = findModelFamily(model.config().value("model_type", std::string()));
  if (family && (*family)->imagePass) return std::string();
  std::error_code code;
  const bool inFile = fs::is_regular_file(baseFolder, code);
  const std::string kind = inFile ? "GGUF" : detectTokenizer(baseFolder);
  if (kind.empty()) return std::string("the base model's folder has no tokenizer, so this one has none either");
  if (kind != "GGUF") return std::string();
  const Result<void> written = writeGgufTokenizer(baseFolder, target);
  if (written) return std::string("the tokenizer was written from the base model's GGUF file");
  if (written.error().code == ErrorCode::Io) return written.error();
  return "no tokenizer was written: " + written.error().message();
}

const char* dtypeText(at::ScalarType type) {
  return type == at::kBFloat16 ? "bfloat16"
         : type == at::kHalf   ? "float16"
         : type == at::kDouble ? "float64"
                               : "float32";
}

// transformers' class names, by config.json's model_type.
struct ClassNames {
  const char *type, *stem, *causal;
};
constexpr ClassNames kClasses[] = {{"llama", "Llama", "ForCausalLM"},
                                   {"mistral", "Mistral", "ForCausalLM"},
                                   {"qwen2", "Qwen2", "ForCausalLM"},
                                   {"qwen3", "Qwen3", "ForCausalLM"},
                                   {"gpt2", "GPT2", "LMHeadModel"},
                                   {"bert", "Bert", "LMHeadModel"},
                                   {"roberta", "Roberta", "ForCausalLM"},
                                   {"xlm-roberta", "XLMRoberta", "ForCausalLM"},
                                   {"mpnet", "MPNet", ""},
                                   {"deberta-v2", "DebertaV2", ""},
                                   {"resnet", "ResNet", ""}};

// Empty where the family is not in the table: transformers then goes by model_type.
std::string className(const Model& model) {
  const std::string type = model.config().value("model_type", std::string(model.family()));
  for (const ClassNames& names : kClasses) {
    if (type != names.type) continue;
    const std::string stem = names.stem;
    switch (model.head()) {
      case HeadKind::CausalLm: return stem + names.causal;
      case HeadKind::SequenceClassification: return stem + "ForSequenceClassification";
      case HeadKind::MaskedLm: return stem + "ForMaskedLM";
      case HeadKind::TokenSpan: return stem + "ForQuestionAnswering";
      case HeadKind::ImageClassification: return stem + "ForImageClassification";
      case HeadKind::None: return stem + "Model";
    }
  }
  return {};
}

json modelConfig(const Model& model, at::ScalarType dtype, const std::vector<std::string>& labels) {
  json config = model.config();
  const bool modern = config.contains("dtype");
  config[modern ? "dtype" : "torch_dtype"] = dtypeText(dtype);
  if (const std::string name = className(model); !name.empty()) config["architectures"] = {name};
  config.erase("quantization_config");  // the weights are plain numbers now
  const bool images = model.head() == HeadKind::ImageClassification;
  if (images || model.head() == HeadKind::SequenceClassification) {
    json idToLabel = json::object(), labelToId = json::object();
    for (int64_t i = 0; i < model.numLabels(); ++i) {
      const std::string label =
          i < static_cast<int64_t>(labels.size()) ? labels[static_cast<size_t>(i)] : fmt::format("LABEL_{}", i);
      idToLabel[std::to_string(i)] = label;
      labelToId[label] = i;
    }
    config["id2label"] = idToLabel;
    config["label2id"] = labelToId;
    if (config.contains("num_labels")) config["num_labels"] = model.numLabels();
    if (!images) config["problem_type"] = model.numLabels() == 1 ? "regression" : "single_label_classification";
  }
  return config;
}

// Which tokens begin, end and fill, for models whose publisher gave no settings of generation.
json generationConfig(const json& config) {
  json settings = json::object();
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"})
    if (const auto found = config.find(key); found != config.end() && !found->is_null()) settings[key] = *found;
  settings["_from_model_config"] = true;
  return settings;
}

}  // namespace

Result<void> saveAdapter(const fs::path& folder, const Method& method, const Model& model,
                         const std::string& basePath) {
  return writeFolder(folder, [&](const fs::path& target) -> Result<void> {
    NamedTensors tensors;
    for (const auto& [name, tensor] : method.adapterTensors()) tensors.emplace_back(name, tensor.detach());
    if (auto saved = writeSafetensors(target / "adapter_model.safetensors", tensors); !saved) return saved.error();
    return writeFileAtomically(target / "adapter_config.json",
                               jsonText(method.adapterConfig(model, basePath), 2) + "\n");
  });
}

Result<std::vector<std::string>> saveModelFolder(const fs::path& folder, const Model& model, const fs::path& baseFolder,
                                                 at::ScalarType dtype, const std::vector<std::string>& labels,
                                                 uint64_t shardBytes) {
  std::vector<std::string> remarks;
  Result<void> done = writeFolder(folder, [&](const fs::path& target) -> Result<void> {
    NamedTensors tensors;
    for (const NamedTensor& entry : model.parameters().entries())
      tensors.emplace_back(entry.name, entry.tensor.detach().to(dtype));
    for (const NamedTensor& entry : model.buffers().entries()) {
      tensors.emplace_back(entry.name, entry.tensor.to(dtype));
      // PyTorch's batch norms count their batches for an average that nobody takes, and miss the count where it is absent.
      constexpr std::string_view kMean = "running_mean";
      if (entry.name.ends_with(kMean))
        tensors.emplace_back(entry.name.substr(0, entry.name.size() - kMean.size()) + "num_batches_tracked",
                             at::zeros({}, at::kLong));
    }
    SafetensorsWriteOptions options;
    options.maxShardBytes = shardBytes;
    if (auto saved = writeModelWeights(target, tensors, options); !saved) return saved.error();
    Result<std::string> tokenizer = saveTokenizer(model, baseFolder, target);
    if (!tokenizer) return tokenizer.error();
    if (!tokenizer->empty()) remarks.push_back(std::move(*tokenizer));
    std::error_code code;
    if (fs::exists(baseFolder / "preprocessor_config.json", code))
      if (auto copied = copyFile(baseFolder / "preprocessor_config.json", target); !copied) return copied;
    if (fs::exists(baseFolder / "generation_config.json", code)) {
      if (auto copied = copyFile(baseFolder / "generation_config.json", target); !copied) return copied;
    } else if (model.head() == HeadKind::CausalLm) {
      if (auto written = writeFileAtomically(target / "generation_config.json",
                                             jsonText(generationConfig(model.config()), 2) + "\n");
          !written)
        return written;
    }
    return writeFileAtomically(target / "config.json", jsonText(modelConfig(model, dtype, labels), 2) + "\n");
  });
  if (!done) return done.error();
  return remarks;
}

Result<SavedOutput> saveRunOutput(const fs::path& runFolder, const Method& method, const Model& model,
                                  const fs::path& baseFolder, const std::vector<std::string>& labels) {
  SavedOutput output;
  output.name = method.adapterConfig(model, pathText(baseFolder)).empty() ? "model" : "adapter";
  const fs::path folder = runFolder / output.name;
  if (output.name == "adapter") {
    if (auto saved = saveAdapter(folder, method, model, pathText(baseFolder)); !saved) return saved.error();
  } else {
    Result<std::vector<std::string>> saved = saveModelFolder(folder, model, baseFolder, at::kFloat, labels);
    if (!saved) return saved.error();
    output.remarks = std::move(*saved);
  }
  std::error_code code;
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    const auto size = it->file_size(ignored);
    if (!ignored) output.bytes += static_cast<int64_t>(size);
  }
  return output;
}

}  // namespace rankscope
