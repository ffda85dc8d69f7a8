#include "app/trainer/library_scan.h"

#include <algorithm>
#include <set>

#include "app/trainer/model_documents.h"
#include "core/config/files.h"
#include "core/config/hub_cache.h"
#include "core/io/gguf_parts.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kDepth = 3;              // below a folder that is searched
constexpr size_t kMostFolders = 50000;  // of one search: a whole disk was named by mistake

class Scan {
 public:
  Scan(const LibraryRequest& request, const Places& places) : m_request(request), m_places(places) {}

  json run() {
    for (const fs::path& root : m_request.folders) searchFolder(root);
    if (m_request.hub)
      for (const fs::path& cache : hubCaches()) searchCache(cache);
    std::sort(m_items.begin(), m_items.end(),
              [](const json& a, const json& b) { return a["folder"].get_ref<const std::string&>() < b["folder"].get_ref<const std::string&>(); });
    return m_items;
  }

 private:
  bool stopped() const { return m_request.cancel && *m_request.cancel; }

  const char* originOf(const fs::path& root) const {
    const auto inside = [&](const fs::path& of) {
      return !of.empty() && (root == of || pathText(root).rfind(pathText(of) + "/", 0) == 0);
    };
    return inside(m_places.models) ? "models" : !m_places.resources.empty() && inside(m_places.starter()) ? "starter" : "folder";
  }

  void searchFolder(const fs::path& root) {
    const char* const origin = originOf(root);
    look(root, origin, root);
    std::error_code code;
    fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, code), end;
    size_t seen = 0;
    for (; !code && it != end && !stopped(); it.increment(code)) {
      if (it.depth() + 1 >= kDepth) it.disable_recursion_pending();
      std::error_code ignored;
      if (!it->is_directory(ignored)) continue;
      const std::string name = pathText(it->path().filename());
      // A run's folder: its config.json is not a model's.
      const bool aside = name.rfind('.', 0) == 0 || fs::exists(it->path() / "run.json", ignored);
      if (aside || ++seen > kMostFolders) {
        it.disable_recursion_pending();
        continue;
      }
      look(it->path(), origin, root);
    }
  }

  void searchCache(const fs::path& cache) {
    for (const HubSnapshot& snapshot : hubSnapshots(cache)) {
      if (stopped()) return;
      look(snapshot.folder, "hub", cache, [&](json& item) {
        item["name"] = snapshot.repository;
        item["revision"] = snapshot.revision;
        item["newest"] = snapshot.newest;
      });
    }
  }

  void look(const fs::path& folder, const char* origin, const fs::path& root,
            const std::function<void(json&)>& amend = nullptr) {
    const auto add = [&](json item, const fs::path& path) {
      item["origin"] = origin;
      item["root"] = pathText(root);
      if (amend) amend(item);
      std::error_code code;
      const fs::path plain = fs::weakly_canonical(path, code);
      if (!m_known.insert(code ? path : plain).second) return;
      if (m_request.found) m_request.found(item);
      m_items.push_back(std::move(item));
    };
    if (isAdapter(folder)) {
      if (m_request.adapters) add(adapterSummary(folder, m_places), folder);
      return;
    }
    const std::vector<fs::path> loose = looseGgufFiles(folder);
    // One file alone stands for its folder, with the tokenizer beside it; but not for the folder that holds all models.
    if (loose.empty() || (loose.size() == 1 && !isAdapter(loose.front()) && folder != m_places.models)) {
      if (isModelFolder(folder)) add(modelSummary(folder, m_places), folder);
      return;
    }
    for (const fs::path& file : loose) {
      if (!isAdapter(file))
        add(modelSummary(file, m_places), file);
      else if (m_request.adapters)
        add(adapterSummary(file, m_places), file);
    }
  }

  // GGUF files without a config.json that would make their folder one model.
  static std::vector<fs::path> looseGgufFiles(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code code;
    if (fs::exists(folder / "config.json", code)) return files;
    for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
      std::error_code ignored;
      const auto part = ggufPartName(it->path());  // the first part opens the others
      if (it->path().extension() == ".gguf" && (!part || part->number == 1) && it->is_regular_file(ignored))
        files.push_back(it->path());
    }
    std::sort(files.begin(), files.end());
    return files;
  }

  const LibraryRequest& m_request;
  const Places& m_places;
  json m_items = json::array();
  std::set<fs::path> m_known;
};

}  // namespace

std::vector<fs::path> defaultModelFolders(const Places& places) {
  std::vector<fs::path> folders = {places.models};
  if (!places.resources.empty()) folders.push_back(places.starter());
  return folders;
}

json scanLibrary(const LibraryRequest& request, const Places& places) { return Scan(request, places).run(); }

}  // namespace rankscope
