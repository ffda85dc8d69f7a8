#include "core/methods/inserted_file.h"

#include <fmt/format.h>

#include <cmath>

namespace rankscope {

namespace {

using nlohmann::json;

std::string typeOf(const json& config) {
  const auto type = config.find("peft_type");
  return type != config.end() && type->is_string() ? type->get<std::string>() : std::string();
}

// Entries of a config, as options of ours. The first that cannot be used is the error.
class ConfigEntries {
 public:
  ConfigEntries(const json& config, MethodSettings& settings) : m_config(config), m_settings(settings) {}

  void number(const char* key, const char* option) {
    if (const json* value = find(key)) {
      if (!value->is_number()) return fail(key, *value, "a number");
      m_settings.options[option] = *value;
    }
  }
  void flag(const char* key, const char* option) {
    if (const json* value = find(key)) {
      if (!value->is_boolean()) return fail(key, *value, "true or false");
      m_settings.options[option] = *value;
    }
  }
  void text(const char* key, const char* option) {
    if (const json* value = find(key)) {
      if (!value->is_string()) return fail(key, *value, "a text");
      m_settings.options[option] = *value;
    }
  }
  int64_t whole(const char* key, int64_t standard) {
    const json* value = find(key);
    if (!value) return standard;
    if (value->is_number_integer() && value->get<int64_t>() >= 1) return value->get<int64_t>();
    fail(key, *value, "a whole number from 1");
    return standard;
  }
  std::vector<std::string> names(const char* key) {
    std::vector<std::string> out;
    const json* value = find(key);
    if (!value) return out;
    if (value->is_string()) return {value->get<std::string>()};
    if (!value->is_array()) fail(key, *value, "a list of names");
    for (const json& entry : *value)
      if (entry.is_string())
        out.push_back(entry.get<std::string>());
      else if (entry.is_number_integer())
        out.push_back(std::to_string(entry.get<int64_t>()));
      else
        fail(key, entry, "a name or a number");
    return out;
  }
  void fail(const char* key, const json& found, const char* expected) {
    if (!m_problem)
      m_problem = Error{ErrorCode::BadInput,
                        "The adapter's config cannot be used",
                        std::string("adapter_config.json:") + key,
                        found.dump().substr(0, 100),
                        expected,
                        "Correct the file, or save the adapter again."};
  }
  const json* find(const char* key) const {
    const auto found = m_config.find(key);
    return found == m_config.end() || found->is_null() ? nullptr : &*found;
  }
  const std::optional<Error>& problem() const { return m_problem; }

 private:
  const json& m_config;
  MethodSettings& m_settings;
  std::optional<Error> m_problem;
};

}  // namespace

bool describesModules(const json& config) {
  const std::string type = config.is_object() ? typeOf(config) : std::string();
  return type == "PREFIX_TUNING" || type == "BOTTLENECK" || type == "ADAPTER" || type == "REFT" || type == "BITFIT";
}

Result<MethodSettings> settingsFromModulesConfig(const json& config) {
  MethodSettings s;
  ConfigEntries entries(config, s);
  const std::string type = typeOf(config);
  if (type == "PREFIX_TUNING") {
    s.name = "prefix";
    s.options["virtual_tokens"] = entries.whole("num_virtual_tokens", 30);
    // The file holds the rows that a projection has made.
  } else if (type == "BOTTLENECK") {
    const json* parallel = entries.find("use_parallel_adapter");
    s.name = parallel && *parallel == true ? "llm_parallel" : "llm_series";
    s.targetModules = entries.names("target_modules");
    s.options["bottleneck_size"] = entries.whole("bottleneck_size", 256);
    entries.text("non_linearity", "activation");
    entries.number("scaling", "adapter_scale");
  } else if (type == "ADAPTER") {
    const json* kind = entries.find("adapter_type");
    if (kind && (*kind == "houlsby" || *kind == "pfeiffer" || *kind == "parallel"))
      s.name = kind->get<std::string>();
    else
      entries.fail("adapter_type", kind ? *kind : json(), "houlsby, pfeiffer or parallel");
    s.layersToTransform = entries.names("layers_to_transform");
    entries.text("non_linearity", "activation");
    entries.number("reduction_factor", "reduction_factor");
    entries.number("scaling", "adapter_scale");
  } else if (type == "REFT") {
    const json* kind = entries.find("intervention_type");
    if (kind && (*kind == "loreft" || *kind == "direft"))
      s.name = kind->get<std::string>();
    else
      entries.fail("intervention_type", kind ? *kind : json(), "loreft or direft");
    s.rank = entries.whole("r", 8);
    s.layersToTransform = entries.names("layers_to_transform");
    entries.text("positions", "positions");
    entries.flag("share_weights", "share_weights");
    if (s.name == "direft") entries.flag("orthonormal", "orthonormal");
    if (const json* dropout = entries.find("dropout"); dropout && dropout->is_number())
      s.dropout = dropout->get<double>();
  } else {
    s.name = "bitfit";
    s.layersToTransform = entries.names("layers_to_transform");
  }
  s.modulesToSave = entries.names("modules_to_save");
  if (entries.problem()) return *entries.problem();
  return s;
}

}  // namespace rankscope
