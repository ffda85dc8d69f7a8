#include "core/runlog/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/config/short_names.h"
#include "core/runlog/events.h"
#include "core/runlog/heartbeat.h"
#include "core/runlog/uuid.h"
#include "rankscope_version.h"

namespace rankscope {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr size_t kLeastPrefix = 4;
constexpr size_t kCandidatesListed = 10;

// The name alone, unchecked: resolving a name looks into every run, also those of newer versions.
std::string runName(const RunFolder& folder) {
  const Result<std::string> bytes = readFileBounded(folder.configFile(), limits::kConfigBytes);
  if (!bytes) return {};
  const Result<json> document = parseJsonRecord(*bytes, "config.json");
  if (!document || !document->is_object()) return {};
  const auto name = document->find("name");
  return name != document->end() && name->is_string() ? name->get<std::string>() : std::string();
}

Error ambiguous(const std::string& run, const std::vector<RunFolder>& found) {
  std::string list;
  for (size_t i = 0; i < found.size() && i < kCandidatesListed; ++i)
    list += fmt::format("{}{} ({})", i ? ", " : "", found[i].id(), runName(found[i]));
  if (found.size() > kCandidatesListed) list += fmt::format(" and {} more", found.size() - kCandidatesListed);
  return {ErrorCode::Usage,
          "several runs are meant",
          "RUN",
          "\"" + cleanUtf8(run, 200) + "\"",
          "one run",
          "Give more of the identifier of one of these: " + list + "."};
}

}  // namespace

RunConfig frozenConfig(RunConfig config, const Places& places) {
  for (const char* key : {"model.path", "data.train", "data.eval"}) {
    const std::string named = config.str(key);
    if (named.empty() || named.compare(0, 8, "starter:") == 0 || named.compare(0, 7, "models:") == 0) continue;
    const Result<fs::path> full = places.resolve(named);
    // A path that is not UTF-8 stays as it was given; set() refuses it.
    if (full) static_cast<void>(config.set(key, full->string()));
  }
  if (config.str("name").empty()) static_cast<void>(config.set("name", defaultRunName(config)));
  return config;
}

std::string defaultRunName(const RunConfig& config) {
  std::string name = config.str("method.name");
  if (applies(*findOption("method.rank"), config)) name += fmt::format("-r{}", config.integer("method.rank"));
  for (const std::string& part : {shortModelName(config.str("model.path")), shortDataName(config.str("data.train"))})
    if (!part.empty()) name += '-' + cleanUtf8(part, 60);
  return name + fmt::format("-s{}", config.integer("seed"));
}

Result<RunFolder> RunFolder::create(const Places& places, const RunConfig& config, const RunOrigin& origin) {
  const std::string id = origin.id.empty() ? newUuid() : origin.id;
  if (!isUuid(id))
    return Error{ErrorCode::Usage, "not an identifier of a run", "id", "\"" + cleanUtf8(id, 100) + "\"", "a uuid",
                 "Leave it out."};
  const fs::path final = places.runs / id;
  const fs::path temporary = places.runs / (".new-" + id);
  std::error_code code;
  fs::create_directories(places.runs, code);
  if (code) return systemError(code.value(), "cannot create the folder of runs", places.runs);
  if (fs::exists(final, code))
    return Error{
        ErrorCode::Usage, "the run exists already", pathText(final), "", "", "Resume it, or give another identifier."};
  fs::remove_all(temporary, code);
  fs::create_directory(temporary, code);
  if (code) return systemError(code.value(), "cannot create the run's folder", temporary);
  const auto fail = [&](Error error) -> Result<RunFolder> {
    std::error_code ignored;
    fs::remove_all(temporary, ignored);
    return error;
  };

  const RunFolder folder(temporary);
  json info = {{"id", id}, {"created", event::unixTime()}, {"host", hostName()}, {"version", RANKSCOPE_VERSION}};
  if (!origin.parent.empty()) {
    info["parent"] = origin.parent;
    info["parent_step"] = origin.parentStep;
  }
  const std::string document = jsonText(frozenConfig(config, places).toJson(), 2) + '\n';
  if (Result<void> done = writeFileAtomically(folder.configFile(), document); !done) return fail(done.error());
  if (Result<void> done = writeFileAtomically(folder.infoFile(), jsonText(info, 2) + '\n'); !done)
    return fail(done.error());
  if (::rename(temporary.c_str(), final.c_str()) != 0)
    return fail(systemError(errno, "cannot put the run's folder in its place", final));
  if (const int handle = ::open(places.runs.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); handle >= 0) {
    ::fsync(handle);
    ::close(handle);
  }
  return RunFolder(final);
}

fs::path RunFolder::checkpoint(int64_t step) const { return checkpoints() / fmt::format("step-{:08}", step); }

Result<RunConfig> RunFolder::config() const { return RunConfig::load(configFile()); }

Result<RunInfo> RunFolder::info() const {
  Result<std::string> bytes = readFileBounded(infoFile(), limits::kSmallJsonBytes);
  if (!bytes) return bytes.error();
  Result<json> document = parseJson(*bytes, pathText(infoFile()));
  if (!document) return document.error();
  const auto bad = [&](const char* key) {
    return Error{ErrorCode::BadInput,
                 "the run's description is malformed",
                 pathText(infoFile()) + ", " + key,
                 "",
                 "",
                 "Check that the run's folder was copied whole."};
  };
  if (!document->is_object()) return bad("the document");
  RunInfo info;
  for (const auto& [key, text] : {std::pair("id", &info.id), std::pair("host", &info.host),
                                  std::pair("version", &info.version), std::pair("parent", &info.parent)}) {
    const auto it = document->find(key);
    if (it == document->end()) continue;
    if (!it->is_string() || it->get_ref<const std::string&>().size() > 1024) return bad(key);
    *text = it->get<std::string>();
  }
  if (!info.parent.empty() && !isUuid(info.parent)) return bad("parent");
  const auto created = document->find("created");
  if (created == document->end() || !created->is_number()) return bad("created");
  info.created = created->get<double>();
  if (const auto step = document->find("parent_step"); step != document->end()) {
    if (!step->is_number_unsigned() || step->get<uint64_t>() > static_cast<uint64_t>(limits::kMaxStep))
      return bad("parent_step");
    info.parentStep = step->get<int64_t>();
  }
  return info;
}

Result<std::vector<RunFolder>> listRunFolders(const fs::path& runsFolder) {
  std::vector<RunFolder> folders;
  std::error_code code;
  if (!fs::exists(runsFolder, code)) return folders;
  for (fs::directory_iterator it(runsFolder, code), end; !code && it != end; it.increment(code)) {
    std::error_code ignored;
    if (isUuid(it->path().filename().native()) && fs::exists(it->path() / "config.json", ignored))
      folders.emplace_back(it->path());
    if (folders.size() >= limits::kRunFolders) break;
  }
  if (code) return systemError(code.value(), "cannot list the runs", runsFolder);
  std::sort(folders.begin(), folders.end(), [](const RunFolder& a, const RunFolder& b) { return a.path() < b.path(); });
  return folders;
}

Result<RunFolder> resolveRun(const fs::path& runsFolder, const std::string& run) {
  std::error_code code;
  if (run.find('/') != std::string::npos && fs::exists(fs::path(run) / "config.json", code)) {
    fs::path path = fs::absolute(run, code).lexically_normal();
    return RunFolder(path.has_filename() ? path : path.parent_path());
  }
  Result<std::vector<RunFolder>> all = listRunFolders(runsFolder);
  if (!all) return all.error();
  std::string wanted = run;  // identifiers are written in lower case, but may be typed in any
  std::transform(wanted.begin(), wanted.end(), wanted.begin(),
                 [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  std::vector<RunFolder> found;
  const bool mayBeIdentifier =
      wanted.size() >= kLeastPrefix && wanted.find_first_not_of("0123456789abcdef-") == std::string::npos;
  for (const RunFolder& folder : *all) {
    if (!mayBeIdentifier) break;
    if (folder.id() == wanted) return folder;
    if (folder.id().compare(0, wanted.size(), wanted) == 0) found.push_back(folder);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1) return ambiguous(run, found);
  std::vector<std::string> names;
  for (const RunFolder& folder : *all) {
    names.push_back(runName(folder));
    if (!run.empty() && names.back() == run) found.push_back(folder);
  }
  if (found.size() == 1) return found.front();
  if (found.size() > 1) return ambiguous(run, found);
  const std::string near = nearestText(run, names);
  return Error{ErrorCode::Usage,
               "there is no such run",
               "RUN",
               "\"" + cleanUtf8(run, 200) + "\"",
               "a uuid, its beginning (at least 4 characters) or a name",
               near.empty() ? fmt::format("{} runs are in {}; rankscope-train store list shows them.", all->size(),
                                          pathText(runsFolder))
                            : fmt::format("Did you mean {}?", near)};
}

}  // namespace rankscope
