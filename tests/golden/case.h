#pragma once
// One golden case: the manifest's entry merged with the case's own JSON, its tensors, and where its model lies.

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/result.h"
#include "core/io/weight_source.h"

namespace rankscope::golden {

struct CaseEntry {
  std::string name;              // "peft/lora_llama_default"
  std::string kind;              // "peft-train"; "peft-adapter" for a folder of PEFT's
  std::filesystem::path folder;  // where its file names start: the manifest's folder or the case's own
  nlohmann::json fields;         // the manifest's entry, or the case's JSON where no manifest names it
};

// Every case under the paths, each once: those that manifests list, those that no manifest lists, and PEFT's adapter
// folders. A manifest that cannot be read is an entry of kind "manifest" with the reason in fields["problem"].
std::vector<CaseEntry> findCases(const std::vector<std::filesystem::path>& paths);

class Case {
 public:
  static Result<Case> open(const CaseEntry& entry);

  const std::string& name() const { return m_entry.name; }
  const std::string& kind() const { return m_entry.kind; }
  const nlohmann::json& meta() const { return m_meta; }
  const std::filesystem::path& jsonFolder() const { return m_jsonFolder; }

  bool has(const std::string& tensor) const { return m_source && m_source->contains(tensor); }
  // A copy of its own. Throws ErrorException when absent.
  at::Tensor get(const std::string& tensor) const;
  std::vector<std::string> namesUnder(const std::string& prefix) const;  // full names
  double tolerance(const std::string& key, double standard) const;
  bool hasTolerance(const std::string& key) const;
  // The folder of meta["model"] (or of `model`), looked for upwards from the manifest. Throws ErrorException.
  std::filesystem::path modelFolder(const std::string& model = {}) const;

 private:
  CaseEntry m_entry;
  nlohmann::json m_meta;
  std::filesystem::path m_jsonFolder;
  std::shared_ptr<WeightSource> m_source;
};

// Of nested JSON, with the key named in the error. Throws ErrorException.
double number(const nlohmann::json& object, const std::string& key);
double numberOr(const nlohmann::json& object, const std::string& key, double standard);
std::string text(const nlohmann::json& object, const std::string& key);  // "" when absent or not a string

[[noreturn]] void malformed(const std::string& what, const std::string& found, const std::string& expected);

}  // namespace rankscope::golden
