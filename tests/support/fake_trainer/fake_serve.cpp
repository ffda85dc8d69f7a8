#include <cmath>
#include <cstdlib>
#include <iostream>

#include "core/config/run_config.h"
#include "tests/support/fake_trainer/fake_trainer.h"

namespace rankscope::test {
namespace {

using nlohmann::json;

const char* const kKinds[] = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"};

json errorJson(const Error& e) {
  return {{"code", errorCodeName(e.code)}, {"what", e.what}, {"where", e.where}, {"found", e.found}, {"expected", e.expected}, {"hint", e.hint}};
}

json model(const std::string& path) {
  return {{"kind", "model"}, {"folder", path}, {"origin", "starter"}, {"dtypes", {{"F32", 1892352}}}, {"files", 1}, {"format", "safetensors"},
          {"path", path}, {"name", "starter"}, {"family", "llama"}, {"parameters", 1892352}, {"dtype", "F32"}, {"bytes", 7569408},
          {"hidden", 128}, {"layers", 4}, {"vocab", 2048}, {"max_positions", 512}, {"tokenizer", "sentencepiece"}, {"problem", ""}};
}

json modelDetails(const std::string& path) {
  json m = model(path);
  m["heads"] = {"causal_lm"};
  m["default_targets"] = {"q_proj", "v_proj"};
  m["sites"] = json::array();
  for (int layer = 0; layer < 4; ++layer) {
    for (int k = 0; k < 7; ++k) {
      const bool mlp = k >= 4;
      m["sites"].push_back({{"name", "model.layers." + std::to_string(layer) + (mlp ? ".mlp." : ".self_attn.") + kKinds[k]},
                            {"kind", kKinds[k]}, {"layer", layer}, {"out", mlp && k < 6 ? 384 : 128}, {"in", k == 6 ? 384 : 128}});
    }
  }
  return m;
}

json adapter(const std::string& path) {
  return {{"kind", "adapter"}, {"path", path}, {"folder", path}, {"name", "reviews-adapter"}, {"parameters", 24576}, {"dtype", "F32"},
          {"dtypes", {{"F32", 24576}}}, {"bytes", 98688}, {"files", 1}, {"format", "safetensors"}, {"problem", ""}, {"method", "lora"},
          {"rank", 8}, {"alpha", 16}, {"targets", {"q_proj", "v_proj"}}, {"task", "CAUSAL_LM"}, {"origin", "models"},
          {"licence", {{"name", ""}, {"source", ""}}}, {"base", {{"named", "someone/starter"}, {"path", "starter:model"}}}};
}

json describe(const std::string& path, json& error) {
  if (path.find("absent") != std::string::npos) {
    error = errorJson({ErrorCode::BadInput, "there is nothing here any more", path, "", "a model or an adapter", "Scan the folders again."});
    return nullptr;
  }
  json document = path.find("adapter") != std::string::npos ? adapter(path) : modelDetails(path);
  document["problems"] = json::array();
  document["tensors"] = json::array();
  document["shards"] = {{{"name", "model.safetensors"}, {"bytes", 7569408}}};
  document["config"] = {{"model_type", "llama"}, {"hidden_size", 128}};
  if (document["kind"] == "adapter") {
    for (const char* factor : {"lora_A", "lora_B"})
      document["tensors"].push_back({{"name", std::string("base_model.model.model.layers.0.self_attn.q_proj.") + factor + ".weight"},
                                     {"dtype", "F32"}, {"shape", {8, 128}}});
    return document;
  }
  for (const json& site : document["sites"])
    document["tensors"].push_back({{"name", site["name"].get<std::string>() + ".weight"}, {"dtype", "F32"}, {"shape", {site["out"], site["in"]}}});
  document["title"] = "LLaMA";
  document["heads"] = {"causal_lm", "sequence_classification"};
  document["heads_present"] = {"causal_lm"};
  document["chat_template"] = {{"name", "ChatML"}, {"recognised", true}};
  if (path.find("broken") != std::string::npos) {
    document["name"] = "broken";
    document["heads_present"] = json::array();
    document["missing"] = {"model.norm.weight [128]"};
    document["misshapen"] = {"model.layers.0.mlp.up_proj.weight is [383, 128], not [384, 128]"};
  }
  return document;
}

json answer(const std::string& method, const json& params, json& error) {
  if (method == "ping") return {{"ok", true}};
  if (method == "library.describe") return describe(params.value("path", ""), error);
  if (method == "adapter.fits") {
    if (params.value("model", "").find("other") != std::string::npos) {
      error = errorJson({ErrorCode::BadInput, "the adapter was made for a model of other sizes", "model.layers.0.self_attn.q_proj",
                         "128 × 128", "64 × 64", "Choose the base model that the adapter was trained on."});
      return nullptr;
    }
    return {{"fits", true}};
  }
  if (method == "model.tokenizer") return {{"kind", "bpe"}, {"vocabulary", 2048}, {"special", json::object()}};
  if (method == "models.scan") {
    json broken = model("/models/broken");
    broken["name"] = "broken";
    broken["problem"] = "model.safetensors is shorter than its header says";
    json big = model("/models/minilm");
    big.update({{"name", "all-MiniLM-L6-v2"}, {"family", "bert"}, {"parameters", 22713216}, {"bytes", 90868376}, {"hidden", 384},
                {"layers", 6}, {"tokenizer", "wordpiece"}});
    big["licence"] = {{"name", "apache-2.0"}, {"source", "README.md"}};
    big["origin"] = "hub";
    json all = {model("starter:model"), big, broken};
    if (params.value("adapters", false)) all.push_back(adapter("/models/reviews-adapter"));
    return all;
  }
  if (method == "model.inspect") {
    if (params.value("path", "").find("absent") != std::string::npos) {
      error = errorJson({ErrorCode::BadInput, "there is no model here", params["path"], "no config.json", "config.json and safetensors",
                         "Choose another folder."});
      return nullptr;
    }
    return modelDetails(params.value("path", ""));
  }
  if (method == "data.inspect") {
    if (params.value("path", "").find("absent") != std::string::npos) {
      error = errorJson({ErrorCode::BadInput, "the file does not exist", params["path"], "nothing", "a data file", "Choose another file."});
      return nullptr;
    }
    return {{"format", "jsonl"}, {"rows", 1800},
            {"columns", {{{"name", "place"}, {"example", "The Silver Heron"}, {"kind", "text"}},
                         {{"name", "topic"}, {"example", "service"}, {"kind", "text"}},
                         {{"name", "label"}, {"example", "positive"}, {"kind", "text"}},
                         {{"name", "review"}, {"example", "We came on a rainy evening and were met with a smile."}, {"kind", "text"}}}},
            {"problems", {{{"line", 17}, {"message", "the row has no column “review”"}}}},
            {"roles", {{"prompt", "place"}, {"answer", "review"}, {"text", "review"}, {"label", "label"}}}};
  }
  if (method == "data.preview" && params["config"]["data"].value("task", "") == "image_classification") {
    json rows = json::array();
    for (int r = 0; r < 12; ++r) {
      // A square of 32 pixels in its class's colour.
      std::string rgb;
      for (int i = 0; i < 1024; ++i) rgb += r % 2 ? "/wAA" : "AAD/";
      rows.push_back({{"tokens", json::array()}, {"length", 1}, {"row", r + 1}, {"label", r % 2 ? "rose" : "iris"},
                      {"image", {{"width", 32}, {"height", 32}, {"rgb", rgb}}}});
    }
    return {{"rows", rows}, {"format", "images"}, {"labels", {"iris", "rose"}}, {"train_rows", 180}, {"eval_rows", 20}};
  }
  if (method == "data.preview") {
    const int limit = params["config"]["data"].value("max_length", 256);
    json rows = json::array();
    for (int r = 0; r < 12; ++r) {
      json tokens = json::array();
      int id = 40 + r;
      for (const char* t : {"▁place", ":", "▁The", "▁Silver", "▁Her", "on", "▁|", "▁about", ":", "▁service", "\n"}) {
        tokens.push_back({{"text", t}, {"id", id++}, {"label", false}});
      }
      for (const char* t : {"▁We", "▁came", "▁on", "▁a", "▁rain", "y", "▁evening", "▁and", "▁were", "▁met", "▁with", "▁a", "▁smile", ".", "</s>"}) {
        tokens.push_back({{"text", t}, {"id", id++}, {"label", true}});
      }
      rows.push_back({{"tokens", tokens}, {"length", 26 + r}, {"truncated", r == 5}, {"label", nullptr}});
    }
    json edges = json::array(), counts = json::array();
    for (int i = 0; i <= 24; ++i) edges.push_back(i * 10);
    int over = 0;
    for (int i = 0; i < 24; ++i) {
      const int count = static_cast<int>(260 * std::exp(-0.5 * std::pow((i - 8) / 3.5, 2)));
      counts.push_back(count);
      if (i * 10 >= limit) over += count;
    }
    return {{"rows", rows}, {"length_histogram", {{"edges", edges}, {"counts", counts}, {"over_limit", over}, {"tokens_lost_share", over / 40000.0}}},
            {"train_rows", 1800}, {"eval_rows", 200}};
  }
  if (method == "estimate") {
    const auto& config = params["config"];
    const double rank = config["method"].value("rank", 0.0);
    const double trainable = rank > 0 ? rank * 28 * 320 : 1892352;
    const double steps = config["train"].value("epochs", 3.0) * 113;
    return {{"trainable", trainable}, {"parameters", 1892352}, {"share", trainable / 1892352}, {"effective_scale", 2.0},
            {"memory", {{"program", 1.05e8}, {"weights", 7.6e6}, {"adapter", trainable * 4}, {"gradients", trainable * 4}, {"optimizer", trainable * 8},
                        {"activations", 3.4e7}, {"logits", 1.2e7}, {"total", 1.6e8}, {"available", 6.1e9}}},
            {"steps", steps}, {"steps_per_epoch", 113}, {"tokens_per_epoch", 84000}};
  }
  if (method == "validate") {
    json issues = json::array();
    const auto config = RunConfig::read(params["config"]).config;
    for (const auto& issue : validate(config)) issues.push_back({{"key", issue.key}, {"error", errorJson(issue.error)}});
    return issues;
  }
  if (method == "methods") return json::array({{{"name", "lora"}, {"title", "LoRA"}, {"paper", "Hu et al. 2022"}}});
  if (method == "check") return {{"loss", 3.41}, {"step_seconds", 0.085}, {"training_seconds", 19.2}, {"peak_memory", 1.7e8}, {"remarks", json::array()}};
  error = errorJson({ErrorCode::Usage, "unknown method", "method", method, "", "Ask for another."});
  return nullptr;
}

}  // namespace

int fakeServe() {
  std::string line;
  while (std::getline(std::cin, line)) {
    const json request = json::parse(line, nullptr, false);
    if (!request.is_object()) continue;
    const std::string method = request.value("method", "");
    if (method == "cancel") continue;
    if (method == "crash") std::abort();
    json error;
    json result = answer(method, request.value("params", json::object()), error);
    json reply{{"id", request.value("id", 0)}};
    if (method == "models.scan" && error.is_null() && request["params"].value("stream", false))
      for (const json& item : result) std::cout << json{{"id", reply["id"]}, {"progress", {{"item", item}}}}.dump() << std::endl;
    if (!error.is_null()) {
      reply["error"] = error;
    } else {
      reply["result"] = result;
    }
    std::cout << reply.dump() << std::endl;
  }
  return 0;
}

}  // namespace rankscope::test
