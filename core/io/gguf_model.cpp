#include "core/io/gguf_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "core/config/text_shown.h"
#include "core/io/gguf_parts.h"

namespace rankscope {
namespace {

using nlohmann::json;

constexpr GgufFamily kFamilies[] = {
    {"llama", "llama", "Llama", true},  // Mistral's files have this name too, and the same layers
    {"qwen2", "qwen2", "Qwen2", false},
    {"qwen3", "qwen3", "Qwen3", false},
};

struct NamePair {
  const char* gguf;
  const char* model;
};
constexpr NamePair kWhole[] = {
    {"token_embd", "model.embed_tokens"}, {"output_norm", "model.norm"}, {"output", "lm_head"}};
constexpr NamePair kPerLayer[] = {{"attn_norm", "input_layernorm"},    {"attn_q", "self_attn.q_proj"},
                                  {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
                                  {"attn_output", "self_attn.o_proj"}, {"attn_q_norm", "self_attn.q_norm"},
                                  {"attn_k_norm", "self_attn.k_norm"}, {"ffn_norm", "post_attention_layernorm"},
                                  {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
                                  {"ffn_down", "mlp.down_proj"}};
constexpr std::string_view kBlock = "blk.", kLayers = "model.layers.";

// "blk.", "12", "attn_q", ".weight" of "blk.12.attn_q.weight"; an empty layer where the prefix does not fit.
struct NameParts {
  std::string layer, part, ending;
};
NameParts split(const std::string& name, std::string_view prefix) {
  NameParts parts;
  const size_t end = name.rfind('.');
  if (end == std::string::npos) return parts;
  parts.ending = name.substr(end);
  std::string rest = name.substr(0, end);
  if (rest.rfind(prefix, 0) != 0) {
    parts.part = rest;
    return parts;
  }
  rest.erase(0, prefix.size());
  const size_t dot = rest.find('.');
  if (dot == std::string::npos || dot == 0 ||
      !std::all_of(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(dot),
                   [](char c) { return c >= '0' && c <= '9'; }))
    return {};
  parts.layer = rest.substr(0, dot);
  parts.part = rest.substr(dot + 1);
  return parts;
}

Error bad(const std::string& where, std::string what, std::string found, std::string expected, std::string hint) {
  return Error{ErrorCode::BadInput, std::move(what), where, std::move(found), std::move(expected), std::move(hint)};
}

constexpr const char* kConvertAgain = "Convert the model to GGUF again, or fetch its safetensors.";

// A number of the architecture's own keys; a list that repeats one number counts as the number.
class Metadata {
 public:
  Metadata(const GgufTable& table, const std::string& where, std::string architecture)
      : m_table(table), m_where(where), m_prefix(std::move(architecture) + ".") {}

  Result<std::optional<int64_t>> integer(const std::string& key) const {
    const GgufValue* value = m_table.find(m_prefix + key);
    if (!value) return std::optional<int64_t>();
    const std::optional<int64_t> first = value->integer();
    bool same = first && *first >= 0 && *first <= int64_t{1} << 40;
    for (uint64_t i = 1; same && i < value->count; ++i) same = value->integer(i) == first;
    if (!same)
      return bad(m_where + ": " + m_prefix + key, "value is no number from 0, or differs between layers", "",
                 "one number", kConvertAgain);
    return first;
  }
  Result<int64_t> need(const std::string& key) const {
    Result<std::optional<int64_t>> value = integer(key);
    if (!value) return value.error();
    if (!*value)
      return bad(m_where, "GGUF file lacks a number that the model needs", m_prefix + key, "", kConvertAgain);
    return **value;
  }
  std::optional<double> real(const std::string& key) const { return m_table.real(m_prefix + key); }
  std::string text(const std::string& key) const { return m_table.text(m_prefix + key); }
  const std::string& where() const { return m_where; }

 private:
  const GgufTable& m_table;
  const std::string& m_where;
  std::string m_prefix;
};

// Llama 3.1's rotary scaling is stored as its result, a factor for each frequency. The rule has one free number
// (factor); its other constants are the same in every such model, and the outcome is checked against all factors.
Result<json> llama3Scaling(std::string_view factors, double base, int64_t headSize, const std::string& where) {
  const auto count = static_cast<size_t>(headSize / 2);
  const Error foreign =
      bad(where + ": rope_freqs.weight", "rotary factors follow no rule that is known",
          fmt::format("{} bytes", factors.size()), "Llama 3's rule", "Fetch the model's safetensors instead.");
  if (factors.size() != count * sizeof(float)) return foreign;
  std::vector<float> values(count);
  std::memcpy(values.data(), factors.data(), factors.size());
  const double factor = values.back(), low = 1, high = 4, original = 8192;
  if (!(factor >= 1 && factor < 1e4)) return foreign;
  for (size_t i = 0; i < count; ++i) {
    const double wave = 2 * M_PI * std::pow(base, 2.0 * static_cast<double>(i) / static_cast<double>(headSize));
    const double smooth = (original / wave - low) / (high - low);
    const double expected = wave < original / high  ? 1
                            : wave > original / low ? factor
                                                    : 1 / ((1 - smooth) / factor + smooth);
    if (!(std::abs(values[i] - expected) <= 1e-4 * expected)) return foreign;
  }
  return json{{"rope_type", "llama3"},
              {"factor", factor},
              {"low_freq_factor", low},
              {"high_freq_factor", high},
              {"original_max_position_embeddings", 8192}};
}

Result<json> ropeScaling(const GgufTable& table, const Metadata& data, double base, int64_t headSize,
                         std::string_view bytes) {
  for (const GgufTensor& tensor : table.tensors)
    if (tensor.name == "rope_freqs.weight") {
      if (tensor.type->plain != Dtype::F32)
        return bad(data.where() + ": rope_freqs.weight", "rotary factors are not float32", tensor.type->name, "F32",
                   kConvertAgain);
      return llama3Scaling(bytes.substr(tensor.begin, tensor.bytes), base, headSize, data.where());
    }
  const std::string type = data.text("rope.scaling.type");
  const std::optional<double> oldFactor = data.real("rope.scale_linear"), factor = data.real("rope.scaling.factor");
  if (type.empty() && oldFactor && *oldFactor != 1) return json{{"rope_type", "linear"}, {"factor", *oldFactor}};
  if (type.empty() || type == "none" || (type == "linear" && (!factor || *factor == 1 || *factor == 0)))
    return json(nullptr);
  if (const auto own = data.real("rope.scaling.attn_factor"); own && *own != 1)
    return bad(data.where(), "rotary scaling has an attention factor of its own", fmt::format("{}", *own), "1 or none",
               "Fetch the model's safetensors instead.");
  json scaling = {{"rope_type", type}, {"factor", factor.value_or(1)}};
  Result<std::optional<int64_t>> original = data.integer("rope.scaling.original_context_length");
  if (!original) return original.error();
  if (*original) scaling["original_max_position_embeddings"] = **original;
  return scaling;
}

bool hasTensor(const GgufTable& table, std::string_view name) {
  return std::any_of(table.tensors.begin(), table.tensors.end(), [&](const GgufTensor& t) { return t.name == name; });
}

}  // namespace

const GgufFamily* findGgufFamily(const std::string& architecture) {
  for (const GgufFamily& family : kFamilies)
    if (architecture == family.architecture) return &family;
  return nullptr;
}

std::string modelNameOfGguf(const std::string& name) {
  const NameParts parts = split(name, kBlock);
  if (parts.layer.empty()) {
    for (const NamePair& pair : kWhole)
      if (parts.part == pair.gguf) return pair.model + parts.ending;
    return name;
  }
  for (const NamePair& pair : kPerLayer)
    if (parts.part == pair.gguf) return std::string(kLayers) + parts.layer + "." + pair.model + parts.ending;
  return name;
}

std::string ggufNameOfModel(const std::string& name) {
  const NameParts parts = split(name, kLayers);
  if (parts.layer.empty()) {
    for (const NamePair& pair : kWhole)
      if (parts.part == pair.model) return pair.gguf + parts.ending;
    return {};
  }
  for (const NamePair& pair : kPerLayer)
    if (parts.part == pair.model) return std::string(kBlock) + parts.layer + "." + pair.gguf + parts.ending;
  return {};
}

Result<json> ggufModelConfig(const GgufTable& table, const std::string& where, std::string_view fileBytes) {
  const std::string architecture = table.text("general.architecture");
  const GgufFamily* family = findGgufFamily(architecture);
  if (!family)
    return bad(where, "GGUF file is of a model family that is not read here",
               architecture.empty() ? "no architecture" : shown(architecture), "llama, qwen2 or qwen3",
               "Fetch the model's safetensors, or choose another model.");
  const Metadata data(table, where, architecture);
  if (auto experts = data.integer("expert_count"); !experts || experts->value_or(0) > 0)
    return experts ? bad(where, "the model is a mixture of experts", "expert_count", "a dense model",
                         "Choose a dense model.")
                   : experts.error();
  json config = {{"architectures", {std::string(family->className) + "ForCausalLM"}},
                 {"model_type", family->modelType},
                 {"hidden_act", "silu"}};
  struct Key {
    const char* gguf;
    const char* model;
  };
  for (const Key& key : {Key{"embedding_length", "hidden_size"}, Key{"feed_forward_length", "intermediate_size"},
                         Key{"block_count", "num_hidden_layers"}, Key{"attention.head_count", "num_attention_heads"},
                         Key{"context_length", "max_position_embeddings"}}) {
    Result<int64_t> value = data.need(key.gguf);
    if (!value) return value.error();
    config[key.model] = *value;
  }
  const int64_t heads = config["num_attention_heads"];
  Result<std::optional<int64_t>> kvHeads = data.integer("attention.head_count_kv"),
                                 headSize = data.integer("attention.key_length"),
                                 valueSize = data.integer("attention.value_length"),
                                 rotary = data.integer("rope.dimension_count"),
                                 window = data.integer("attention.sliding_window");
  for (const auto* value : {&kvHeads, &headSize, &valueSize, &rotary, &window})
    if (!*value) return value->error();
  config["num_key_value_heads"] = kvHeads->value_or(heads);
  if (heads < 1) return bad(where, "the model has no attention heads", "0", "1 or more", kConvertAgain);
  const int64_t size = headSize->value_or(config["hidden_size"].get<int64_t>() / heads);
  config["head_dim"] = size;
  if (valueSize->value_or(size) != size || rotary->value_or(size) != size || size < 2 || size % 2 != 0)
    return bad(where, "the model's heads are of a form that is not built here",
               fmt::format("key {}, value {}, rotary {}", size, valueSize->value_or(size), rotary->value_or(size)),
               "one even size for all three", "Choose another model.");
  config["rms_norm_eps"] = data.real("attention.layer_norm_rms_epsilon").value_or(1e-6);
  const double base = data.real("rope.freq_base").value_or(10000);
  config["rope_theta"] = base;
  Result<json> scaling = ropeScaling(table, data, base, size, fileBytes);
  if (!scaling) return scaling.error();
  if (!scaling->is_null()) config["rope_scaling"] = *scaling;
  if (*window) config["sliding_window"] = **window;
  for (const GgufTensor& tensor : table.tensors)
    if (tensor.name == "token_embd.weight") config["vocab_size"] = tensor.shape.front();
  if (!config.contains("vocab_size"))
    return bad(where, "GGUF file holds no embedding", "", "token_embd.weight", kConvertAgain);
  config["tie_word_embeddings"] = !hasTensor(table, "output.weight");
  config["attention_bias"] = hasTensor(table, "blk.0.attn_q.bias");
  config["mlp_bias"] = hasTensor(table, "blk.0.ffn_up.bias");
  for (const Key& key : {Key{"bos_token_id", "bos_token_id"}, Key{"eos_token_id", "eos_token_id"},
                         Key{"padding_token_id", "pad_token_id"}})
    if (const auto id = table.integer(std::string("tokenizer.ggml.") + key.gguf);
        id && *id < config["vocab_size"].get<int64_t>())
      config[key.model] = *id;
  return config;
}

Result<json> readGgufModelConfig(const std::filesystem::path& path) {
  Result<std::vector<GgufPart>> parts = openGgufParts(path);
  if (!parts) return parts.error();
  return ggufModelConfig(wholeTable(*parts), path.string(), parts->front().file->bytes());
}

Result<std::string> readGgufChatTemplate(const std::filesystem::path& path) {
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file) return file.error();
  Result<GgufTable> table = parseGguf((*file)->bytes(), path.string());
  if (!table) return table.error();
  return table->text("tokenizer.chat_template");
}

Result<GgufTokenizer> readGgufTokenizer(const std::filesystem::path& path) {
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file) return file.error();
  Result<GgufTable> table = parseGguf((*file)->bytes(), path.string());
  if (!table) return table.error();
  GgufTokenizer result;
  result.model = table->text("tokenizer.ggml.model");
  result.pre = table->text("tokenizer.ggml.pre");
  const GgufValue* tokens = table->find("tokenizer.ggml.tokens");
  if (result.model.empty() || !tokens || tokens->itemType != GgufType::Text || !tokens->isArray())
    return bad(path.string(), "GGUF file holds no tokenizer", "", "tokenizer.ggml.model and tokenizer.ggml.tokens",
               "Put the model's tokenizer files beside it.");
  result.tokens.assign(tokens->texts.begin(), tokens->texts.end());
  if (const GgufValue* merges = table->find("tokenizer.ggml.merges"); merges && merges->itemType == GgufType::Text)
    result.merges.assign(merges->texts.begin(), merges->texts.end());
  const GgufValue *scores = table->find("tokenizer.ggml.scores"), *types = table->find("tokenizer.ggml.token_type");
  for (const GgufValue* list : {scores, types})
    if (list && list->count != result.tokens.size())
      return bad(path.string(), "tokenizer's lists differ in length", fmt::format("{}", list->count),
                 fmt::format("{}", result.tokens.size()), kConvertAgain);
  for (uint64_t i = 0; scores && i < scores->count; ++i)
    result.scores.push_back(static_cast<float>(scores->real(i).value_or(0)));
  for (uint64_t i = 0; types && i < types->count; ++i)
    result.types.push_back(static_cast<int32_t>(types->integer(i).value_or(1)));
  const auto flag = [&](const char* key) -> std::optional<bool> {
    const std::optional<int64_t> value = table->integer(std::string("tokenizer.ggml.") + key);
    return value ? std::optional<bool>(*value != 0) : std::nullopt;
  };
  result.bos = table->integer("tokenizer.ggml.bos_token_id");
  result.eos = table->integer("tokenizer.ggml.eos_token_id");
  result.unknown = table->integer("tokenizer.ggml.unknown_token_id");
  result.padding = table->integer("tokenizer.ggml.padding_token_id");
  result.addBos = flag("add_bos_token");
  result.addEos = flag("add_eos_token");
  result.addSpacePrefix = flag("add_space_prefix");
  return result;
}

}  // namespace rankscope
