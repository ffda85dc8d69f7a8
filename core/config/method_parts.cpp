#include "core/config/method_parts.h"

#include <array>
#include <cmath>
#include <utility>
#include <vector>

#include "core/config/run_config.h"

namespace rankscope {

namespace {

struct Preset {
  const char* method;
  MethodParts parts;
};

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all = {
      {"lora", {"plain", "kaiming", "plain", "rank"}},
      {"rora", {"plain", "kaiming", "plain", "root_rank"}},
      {"reflora", {"plain", "kaiming", "reflora", "rank"}},
      {"reflora_s", {"plain", "kaiming", "reflora_s", "rank"}},
      {"dora", {"dora", "kaiming", "plain", "rank"}},
      {"adalora", {"svd", "normal", "adalora", "rank"}},
      {"pissa", {"plain", "pissa", "plain", "rank"}},
      {"lora_ga", {"plain", "lora_ga", "plain", "root_rank"}},
      {"qlora", {"plain", "kaiming", "plain", "rank", "nf4"}},
      {"loraplus", {"plain", "kaiming", "loraplus", "rank"}},
      {"only_b", {"plain", "orthonormal", "only_b", "rank"}},
      {"lora_pro", {"plain", "kaiming", "lora_pro", "rank"}},
      {"lora_rite", {"plain", "kaiming", "lora_rite", "rank"}},
      {"preclora", {"plain", "kaiming", "scaled", "rank"}},
      {"nora", {"plain", "nystrom", "plain", "rank"}},
      {"nora_plus", {"plain", "nystrom", "nora_plus", "rank"}},
  };
  return all;
}

Error refused(const char* key, const std::string& what, const std::string& found, const std::string& expected,
              const std::string& hint) {
  return {ErrorCode::Usage, what, key, found, expected, hint};
}

}  // namespace

const MethodParts* presetParts(std::string_view method) {
  for (const Preset& preset : presets())
    if (method == preset.method) return &preset.parts;
  return nullptr;
}

const std::vector<std::string>& usualTwins() {
  static const std::vector<std::string> methods = {"lora", "rora", "reflora", "full"};
  return methods;
}

std::string MethodParts::*partOfKey(std::string_view key) {
  static constexpr std::array<std::pair<std::string_view, std::string MethodParts::*>, 5> kKeys = {
      {{"method.form", &MethodParts::form},
       {"method.init", &MethodParts::start},
       {"method.rule", &MethodParts::rule},
       {"method.scaling", &MethodParts::scaling},
       {"method.base", &MethodParts::base}}};
  for (const auto& [name, part] : kKeys)
    if (key == name) return part;
  return nullptr;
}

MethodParts combineParts(const MethodParts& preset, const MethodParts& chosen) {
  MethodParts parts = preset;
  for (auto part : {&MethodParts::form, &MethodParts::start, &MethodParts::rule, &MethodParts::scaling,
                    &MethodParts::base})
    if (!(chosen.*part).empty() && chosen.*part != "auto") parts.*part = chosen.*part;
  return parts;
}

std::optional<MethodParts> partsOf(const RunConfig& config) {
  const MethodParts* preset = presetParts(config.str("method.name"));
  if (!preset) return std::nullopt;
  return combineParts(*preset, {config.str("method.form"), config.str("method.init"), config.str("method.rule"),
                                config.str("method.scaling"), config.str("method.base")});
}

double updateScale(const MethodParts& parts, int64_t rank, double alpha) {
  const auto r = static_cast<double>(rank);
  if (parts.form == "svd") return alpha / (r + 1e-5);  // as PEFT: METHODS 7
  return alpha / (parts.scaling == "root_rank" ? std::sqrt(r) : r);
}

const char* updateScaleText(const MethodParts& parts) { return parts.scaling == "root_rank" ? "α/√r" : "α/r"; }

std::optional<Error> partsProblem(const MethodParts& parts) {
  const bool svd = parts.form == "svd";
  if (svd && parts.start != "normal")
    return refused("method.init", "this start does not fit AdaLoRA's form", parts.start, "normal",
                   "With E = 0 and B = 0 together no gradient would reach any of the three; leave the start at auto.");
  if (!svd && parts.start == "normal")
    return refused("method.init", "this start fits AdaLoRA's form only", parts.start, "another start",
                   "With A and B both random and no E the model would not begin as the base model; choose redraw to "
                   "take their product out of the base weight.");
  if (svd && parts.rule != "adalora" && parts.rule != "plain" && parts.rule != "loraplus")
    return refused("method.rule", "this training rule does not fit AdaLoRA's form", parts.rule,
                   "adalora, plain or loraplus",
                   "The rule works on pairs A, B, and the factors here are three: A, E and B. Choose another form.");
  if (!svd && parts.rule == "adalora")
    return refused("method.rule", "AdaLoRA's rule needs AdaLoRA's form", parts.form, "method.form = svd",
                   "It prunes the entries of E, which no other form has.");
  if (svd && parts.scaling == "root_rank")
    return refused("method.scaling", "AdaLoRA's form has a scaling of its own", parts.scaling, "rank",
                   "Leave the scaling at auto; alpha can be made larger instead.");
  return std::nullopt;
}

}  // namespace rankscope
