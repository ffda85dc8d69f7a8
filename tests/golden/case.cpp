#include "tests/golden/case.h"

#include <algorithm>
#include <set>

#include "core/config/json_text.h"

namespace rankscope::golden {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// `relative` below `start` or one of the folders above it, so that a manifest in a sub-folder may name files from the
// root.
fs::path findUpwards(const fs::path& start, const std::string& relative) {
  fs::path folder = start;
  for (int level = 0; level < 4; ++level) {
    std::error_code code;
    if (fs::exists(folder / relative, code)) return folder / relative;
    if (!folder.has_parent_path() || folder.parent_path() == folder) break;
    folder = folder.parent_path();
  }
  return {};
}

std::vector<fs::path> filesBelow(const fs::path& path) {
  std::vector<fs::path> out;
  std::error_code code;
  if (fs::is_regular_file(path, code)) return {path};
  for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, code), end;
       !code && it != end; it.increment(code))
    if (it->is_regular_file(code)) out.push_back(it->path());
  std::sort(out.begin(), out.end());
  return out;
}

fs::path canonicalPath(const fs::path& path) {
  std::error_code code;
  fs::path out = fs::weakly_canonical(path, code);
  return code ? path : out;
}

CaseEntry broken(const fs::path& path, const std::string& problem) {
  return {path.string(), "manifest", path.parent_path(), {{"problem", problem}}};
}

}  // namespace

void malformed(const std::string& what, const std::string& found, const std::string& expected) {
  throw ErrorException({ErrorCode::BadInput, what, "", found, expected, "Correct the case."});
}

double number(const json& object, const std::string& key) {
  auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_number())
    malformed("the case lacks a number: " + key, "nothing", "a number");
  return found->get<double>();
}

double numberOr(const json& object, const std::string& key, double standard) {
  if (!object.is_object()) return standard;
  auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : standard;
}

std::string text(const json& object, const std::string& key) {
  if (!object.is_object()) return {};
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<CaseEntry> findCases(const std::vector<fs::path>& paths) {
  std::vector<CaseEntry> cases;
  std::set<fs::path> seen;  // case JSONs and adapter folders
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    const auto below = filesBelow(path);
    files.insert(files.end(), below.begin(), below.end());
  }

  for (const fs::path& file : files) {
    if (file.filename() != "manifest.json") continue;
    auto manifest = readJsonFile(file);
    if (!manifest) {
      cases.push_back(broken(file, manifest.error().message()));
      continue;
    }
    if (!manifest->is_object() || !manifest->contains("cases") || !(*manifest)["cases"].is_array()) {
      cases.push_back(broken(file, "no list of cases"));
      continue;
    }
    for (const json& entry : (*manifest)["cases"]) {
      const std::string name = text(entry, "case"), kind = text(entry, "kind"), meta = text(entry, "meta");
      if (name.empty() || kind.empty()) {
        cases.push_back(broken(file, "a case without a name or a kind"));
        continue;
      }
      const fs::path metaPath = meta.empty() ? fs::path() : findUpwards(file.parent_path(), meta);
      if (!metaPath.empty() && !seen.insert(canonicalPath(metaPath)).second) continue;
      cases.push_back({name, kind, file.parent_path(), entry});
    }
  }
  for (const fs::path& file : files) {
    if (file.extension() != ".json" || file.filename() == "manifest.json" || seen.count(canonicalPath(file))) continue;
    if (file.filename() == "adapter_config.json") {
      if (seen.insert(canonicalPath(file)).second)
        cases.push_back({(file.parent_path().parent_path().filename() / file.parent_path().filename()).string(),
                         "peft-adapter", file.parent_path(), json::object()});
      continue;
    }
    auto content = readJsonFile(file);
    if (!content || text(*content, "kind").empty() || text(*content, "file").empty()) continue;
    seen.insert(canonicalPath(file));
    json fields = *content;
    fields["meta"] = file.filename().string();
    cases.push_back(
        {(file.parent_path().filename() / file.stem()).string(), text(*content, "kind"), file.parent_path(), fields});
  }
  return cases;
}

Result<Case> Case::open(const CaseEntry& entry) {
  Case out;
  out.m_entry = entry;
  out.m_meta = entry.fields;
  out.m_jsonFolder = entry.folder;
  if (const std::string meta = text(entry.fields, "meta"); !meta.empty()) {
    const fs::path path = findUpwards(entry.folder, meta);
    if (path.empty())
      return Error{ErrorCode::BadInput,
                   "The case's JSON is missing",
                   meta,
                   "nothing",
                   "a file",
                   "Give the folder with all its files."};
    auto content = readJsonFile(path);
    if (!content) return content.error();
    if (!content->is_object())
      return Error{ErrorCode::BadInput, "The case's JSON is not an object", meta, content->type_name(), "an object",
                   "Correct the case."};
    out.m_meta.update(*content);
    // The manifest has the last word on kind, model and tolerance.
    for (const char* key : {"kind", "model", "tolerance"})
      if (entry.fields.contains(key) && !entry.fields[key].is_null()) out.m_meta[key] = entry.fields[key];
    out.m_jsonFolder = path.parent_path();
  }
  if (const std::string file = text(entry.fields, "file"); !file.empty()) {
    fs::path path = findUpwards(entry.folder, file);
    if (path.empty()) path = findUpwards(out.m_jsonFolder, file);
    if (path.empty())
      return Error{ErrorCode::BadInput,
                   "The case's tensors are missing",
                   file,
                   "nothing",
                   "a file",
                   "Give the folder with all its files."};
    if (path.extension() == ".safetensors") {
      auto source = WeightSource::open(path);
      if (!source) return source.error();
      out.m_source = std::make_shared<WeightSource>(std::move(source).value());
    }
  }
  return out;
}

at::Tensor Case::get(const std::string& tensor) const {
  if (!has(tensor)) malformed("the case lacks a tensor", "nothing", tensor);
  auto value = m_source->tensor(tensor);
  if (!value) throw ErrorException(value.error());
  return value->clone();
}

std::vector<std::string> Case::namesUnder(const std::string& prefix) const {
  std::vector<std::string> out;
  if (m_source)
    for (const std::string& name : m_source->names())
      if (name.rfind(prefix, 0) == 0) out.push_back(name);
  return out;
}

double Case::tolerance(const std::string& key, double standard) const {
  auto found = m_meta.find("tolerance");
  return found == m_meta.end() ? standard : numberOr(*found, key, standard);
}

bool Case::hasTolerance(const std::string& key) const {
  auto found = m_meta.find("tolerance");
  return found != m_meta.end() && found->is_object() && found->contains(key);
}

fs::path Case::modelFolder(const std::string& model) const {
  const std::string name = model.empty() ? text(m_meta, "model") : model;
  if (name.empty()) malformed("the case names no model", "nothing", "a folder such as models/llama_gqa");
  fs::path folder = findUpwards(m_entry.folder, name);
  if (folder.empty()) folder = findUpwards(m_jsonFolder, name);
  if (folder.empty()) malformed("the case's model is missing", name, "a folder with config.json");
  return folder;
}

}  // namespace rankscope::golden
