#include "core/config/published_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/files.h"

namespace rankscope {

namespace {

constexpr const char* kLlamaSites = "q_proj,k_proj,v_proj,up_proj,down_proj";

std::vector<PublishedSettings> makeSettings() {
  return {
      {"full-intruder", "full", "Study of intruder dimensions", "", "",
       {{"optim.learning_rate", "1e-5"}, {"optim.weight_decay", "0"}}},
      {"lora-peft", "lora", "PEFT's defaults", "", "",
       {{"method.rank", "8"}, {"method.alpha", "8"}, {"method.dropout", "0"}}},
      {"lora-roberta", "lora", "RoBERTa in the LoRA paper", "", "",
       {{"method.rank", "8"}, {"method.alpha", "8"}, {"method.target_modules", "query,value"}}},
      {"lora-gpt2", "lora", "GPT-2 in the LoRA paper",
       "The paper adapts the halves of c_attn for queries and values; here, as in PEFT, one pair of factors lies across it.",
       "", {{"method.rank", "4"}, {"method.alpha", "32"}, {"method.target_modules", "c_attn"}}},
      {"rora-llama", "rora", "Commonsense reasoning with LLaMA", "The paper also sweeps the rank from 4 to 256.", "",
       {{"method.rank", "32"}, {"method.alpha", "64"}, {"method.dropout", "0.05"}, {"method.target_modules", kLlamaSites}}},
      {"dora-llama", "dora", "Commonsense reasoning with LLaMA-7B", "Other models and ranks were trained at 2e-4.",
       "the learning rate",
       {{"method.rank", "32"}, {"method.alpha", "64"}, {"method.dropout", "0.05"}, {"optim.learning_rate", "1e-4"}}},
      {"adalora-glue", "adalora", "GLUE with DeBERTaV3-base",
       "The steps before and after pruning were chosen for each task.", "all of them",
       {{"method.rank", "12"}, {"method.target_rank", "8"}, {"method.mask_interval", "100"},
        {"method.importance_smoothing", "0.85"}, {"method.deviation_smoothing", "0.85"}}},
      {"pissa-paper", "pissa", "As published: α = r", "", "", {{"method.alpha", "=method.rank"}}},
      {"loraga-paper", "lora_ga", "As published", "", "α and r", {{"method.rank", "8"}, {"method.alpha", "16"}, {"method.start_batches", "64"}, {"method.start_batch_size", "2"},
        {"method.start_gamma", "16"}}},
      {"nora-llama", "nora", "Commonsense reasoning with LLaMA", "", "",
       {{"method.rank", "32"}, {"method.alpha", "64"}, {"method.target_modules", kLlamaSites},
        {"optim.learning_rate", "3e-4"}, {"optim.warmup_steps", "100"}, {"train.epochs", "3"}, {"train.batch_size", "16"}}},
      {"loraplus-paper", "loraplus", "As published", "", "all of them", {{"method.lr_ratio", "16"}}},
      {"reflora-glue", "reflora", "GLUE with DeBERTaV3-base", "", "",
       {{"method.rank", "8"}, {"method.alpha", "8"}, {"method.warmup_steps", "100"},
        {"method.target_modules", "query_proj,key_proj,value_proj,output.dense,intermediate.dense"},
        {"optim.learning_rate", "1e-3"}, {"train.batch_size", "32"}}},
      {"reflora-llama", "reflora", "Commonsense reasoning with LLaMA-7B", "", "",
       {{"method.rank", "32"}, {"method.alpha", "64"}, {"method.dropout", "0.05"}, {"method.warmup_steps", "200"},
        {"optim.learning_rate", "2e-4"}, {"optim.warmup_steps", "100"}, {"train.epochs", "2"}, {"train.batch_size", "16"},
        {"data.max_length", "256"}}},
      {"reflora-llama3", "reflora", "Commonsense reasoning with LLaMA3-8B", "", "",
       {{"method.rank", "32"}, {"method.alpha", "64"}, {"method.dropout", "0.05"}, {"method.warmup_steps", "100"},
        {"optim.learning_rate", "1e-4"}, {"optim.warmup_steps", "100"}, {"train.epochs", "2"}, {"train.batch_size", "16"},
        {"data.max_length", "256"}}},
      {"preclora-released", "preclora", "The released code's own AdamW", "", "",
       {{"method.variant", "released"}, {"method.damping", "1e-6"}, {"method.correct_bias", "false"},
        {"method.eps", "1e-6"}}},
      {"noraplus-llama", "nora_plus", "Commonsense reasoning with LLaMA", "", "",
       {{"method.rank", "32"}, {"method.alpha", "64"}, {"method.target_modules", kLlamaSites},
        {"optim.learning_rate", "3e-4"}, {"optim.warmup_steps", "100"}, {"train.epochs", "3"}, {"train.batch_size", "16"}}},
      {"lorapro-llama", "lora_pro", "LLaMA, all seven projections", "", "",
       {{"method.rank", "8"}, {"method.alpha", "16"}, {"method.dropout", "0"}, {"method.target_modules", "all-linear"},
        {"optim.learning_rate", "2e-5"}, {"optim.schedule", "cosine"}, {"optim.warmup_steps", "0"},
        {"optim.warmup_ratio", "0.03"}, {"optim.weight_decay", "0"}}},
      {"lorarite-released", "lora_rite", "The released code's defaults", "The paper found its learning rates by search.", "",
       {{"optim.beta1", "0.9"}, {"optim.beta2", "0.999"}, {"optim.weight_decay", "0"}}},
      {"qlora-paper", "qlora", "LLaMA 7B and 13B",
       "The paper pages optimizer state from the GPU to main memory; here it is paged from memory to the disk.",
       "all of them",
       {{"method.rank", "64"}, {"method.alpha", "16"}, {"method.dropout", "0.1"}, {"method.target_modules", "all-linear"},
        {"optim.learning_rate", "2e-4"}, {"optim.schedule", "constant"}, {"optim.max_grad_norm", "0.3"},
        {"optim.paged", "true"}}},
      {"houlsby-paper", "houlsby", "As published", "Later code, and this program by default, takes swish.",
       "the reduction", {{"method.reduction_factor", "16"}, {"method.activation", "gelu"}}},
      {"loreft-llama", "loreft", "Commonsense reasoning with LLaMA-7B", "", "",
       {{"method.rank", "8"}, {"method.dropout", "0"}, {"method.positions", "f7+l7"}, {"method.share_weights", "true"},
        {"optim.learning_rate", "9e-4"}, {"optim.weight_decay", "0"}, {"optim.warmup_steps", "0"},
        {"optim.warmup_ratio", "0.1"}, {"train.epochs", "6"}, {"train.batch_size", "16"}, {"train.accumulation", "2"}}},
      {"direft-gsm8k", "direft", "GSM8K", "", "",
       {{"method.rank", "4"}, {"optim.learning_rate", "9e-4"}, {"optim.weight_decay", "0.06"}, {"train.epochs", "12"}}},
  };
}

}  // namespace

const std::vector<PublishedSettings>& publishedSettings() {
  static const std::vector<PublishedSettings> settings = makeSettings();
  return settings;
}

std::vector<const PublishedSettings*> publishedFor(std::string_view method) {
  std::vector<const PublishedSettings*> found;
  for (const PublishedSettings& settings : publishedSettings())
    if (method == settings.method) found.push_back(&settings);
  return found;
}

Result<const PublishedSettings*> findPublished(const std::string& name) {
  std::vector<std::string> names;
  for (const PublishedSettings& settings : publishedSettings()) {
    if (name == settings.name) return &settings;
    names.emplace_back(settings.name);
  }
  const std::string near = nearestText(name, names);
  return Error{ErrorCode::Usage,
               "there are no published settings of this name",
               "--published",
               "\"" + cleanUtf8(name, 100) + "\"",
               fmt::format("{}", fmt::join(names, ", ")),
               near.empty() ? "rankscope-train methods NAME lists those of a method." : fmt::format("Did you mean {}?", near)};
}

std::vector<std::string> publishedAssignments(const PublishedSettings& settings, const RunConfig& over) {
  RunConfig values = over;
  (void)values.set("method.name", settings.method);
  std::vector<std::string> texts = {std::string("method.name=") + settings.method};
  for (const auto& [key, text] : settings.values) {
    const std::string value = text[0] == '=' ? values.valueText(text + 1) : std::string(text);
    texts.push_back(std::string(key) + '=' + value);
  }
  return texts;
}

}  // namespace rankscope
