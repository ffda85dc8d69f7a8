#include "core/runlog/control.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/config/log.h"
#include "core/runlog/events.h"
#include "core/runlog/uuid.h"

namespace rankscope {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kNames[] = {"pause", "continue", "checkpoint", "evaluate", "sample", "stop"};

fs::path controlFile(const fs::path& runFolder) { return runFolder / "control.json"; }

Result<std::vector<ControlRequest>> readRequests(const fs::path& file) {
  Result<std::string> bytes = readFileBounded(file, limits::kConfigBytes);
  if (!bytes) return bytes.error();
  Result<json> document = parseJson(*bytes, pathText(file));
  if (!document) return document.error();
  const auto bad = [&](const char* what) {
    return Error{ErrorCode::BadInput,
                 what,
                 pathText(file),
                 "",
                 "{\"commands\": [{\"id\", \"command\", \"at\"}]}",
                 "Delete the file; wishes are written anew."};
  };
  if (!document->is_object()) return bad("the control file is not an object");
  const auto commands = document->find("commands");
  if (commands == document->end() || !commands->is_array()) return bad("the control file has no list of commands");
  if (commands->size() > 16 * limits::kControlCommands) return bad("the control file has too many commands");
  std::vector<ControlRequest> requests;
  for (const json& item : *commands) {
    if (!item.is_object()) return bad("a command is not an object");
    const json id = item.value("id", json()), name = item.value("command", json()), at = item.value("at", json());
    if (!id.is_string() || id.get_ref<const std::string&>().empty() || id.get_ref<const std::string&>().size() > 100)
      return bad("a command has no id");
    if (!name.is_string()) return bad("a command has no name");
    Result<Command> command = commandFromName(name.get<std::string>());
    if (!command) return command.error();
    requests.push_back({id.get<std::string>(), *command, at.is_number() ? at.get<double>() : 0});
  }
  return requests;
}

}  // namespace

const char* commandName(Command command) { return kNames[static_cast<size_t>(command)]; }

Result<Command> commandFromName(const std::string& name) {
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (name == kNames[i]) return static_cast<Command>(i);
  return Error{ErrorCode::Usage,
               "there is no such command for a run",
               "control.json",
               "\"" + cleanUtf8(name, 80) + "\"",
               "pause, continue, checkpoint, evaluate, sample or stop",
               "Use one of these."};
}

Result<std::string> ControlWriter::send(const fs::path& runFolder, Command command) {
  const fs::path lockFile = runFolder / "control.lock";
  const int lock = ::open(lockFile.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock < 0) return systemError(errno, "cannot send a command to the run", runFolder);
  const struct Closer {
    int file;
    ~Closer() { ::close(file); }
  } closer{lock};
  while (::flock(lock, LOCK_EX) != 0 && errno == EINTR) {
  }
  const fs::path file = controlFile(runFolder);
  std::vector<ControlRequest> requests;
  std::error_code code;
  if (fs::exists(file, code)) {
    Result<std::vector<ControlRequest>> present = readRequests(file);
    if (present)
      requests = std::move(*present);
    else
      logWarning("runlog", "control file is written anew: {}", present.error().message());
  }
  requests.push_back({newUuid(), command, event::unixTime()});
  const size_t surplus = requests.size() - std::min(requests.size(), limits::kControlCommands);
  requests.erase(requests.begin(), requests.begin() + static_cast<ptrdiff_t>(surplus));
  json commands = json::array();
  for (const ControlRequest& request : requests)
    commands.push_back({{"id", request.id}, {"command", commandName(request.command)}, {"at", request.at}});
  Result<void> done = writeFileAtomically(file, jsonText({{"commands", commands}}, 1) + '\n', Durability::Renamed);
  if (!done) return done.error();
  return requests.back().id;
}

ControlReader::ControlReader(const fs::path& runFolder) : m_file(controlFile(runFolder)) {}

std::vector<ControlRequest> ControlReader::poll() {
  struct stat info {};
  if (::stat(m_file.c_str(), &info) != 0) return {};
  // Every write is a new file under the old name, so the inode changes even within one tick of the clock.
  const int64_t modified = int64_t{info.st_mtim.tv_sec} * 1000000000 + info.st_mtim.tv_nsec;
  if (modified == m_modifiedNs && info.st_size == m_size && info.st_ino == m_inode) return {};
  m_modifiedNs = modified;
  m_size = info.st_size;
  m_inode = info.st_ino;
  return readNew();
}

std::vector<ControlRequest> ControlReader::readNew() {
  Result<std::vector<ControlRequest>> requests = readRequests(m_file);
  if (!requests) {
    if (!m_complained) logWarning("runlog", "control file is passed over: {}", requests.error().message());
    m_complained = true;
    return {};
  }
  m_complained = false;
  std::vector<ControlRequest> fresh;
  for (ControlRequest& request : *requests)
    if (m_seen.insert(request.id).second) fresh.push_back(std::move(request));
  return fresh;
}

void ControlReader::skipPresent() { poll(); }

}  // namespace rankscope
