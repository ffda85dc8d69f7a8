// SQLite's failures in words of what happened and what to do.

#include <fmt/format.h>
#include <sqlite3.h>

#include "core/config/files.h"
#include "core/store/database.h"

namespace rankscope {
namespace {

const char* kDamagedHint =
    "Run `rankscope-train store rebuild`: it moves the damaged file aside and makes the history again from the run "
    "folders; notes, tags and settings are kept as far as they can be read.";

}  // namespace

Error StoreDatabase::errorFrom(const SQLite::Exception& failure, const char* what) const {
  Error error{ErrorCode::Internal, what, pathText(m_path), failure.what(), "", "Please report this."};
  const int systemCode = m_connection ? sqlite3_system_errno(m_connection->getHandle()) : 0;
  switch (failure.getErrorCode() & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      error.code = ErrorCode::Store;
      error.found = "the store is in use by another program";
      error.hint = "Try again in a moment; if it stays so, end the other program.";
      break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      error.code = ErrorCode::Store;
      error.what = kDamagedStore;
      error.found = fmt::format("{} ({})", failure.what(), what);
      error.hint = kDamagedHint;
      break;
    case SQLITE_FULL:
      error.code = ErrorCode::Io;
      error.found = "the disk is full";
      error.hint =
          "Free some space and try again; nothing that was stored before is harmed, and no run stops for this.";
      break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      error.code = ErrorCode::Io;
      error.hint = "Check that the folder exists and that you may write to it, or choose another with --home.";
      break;
    case SQLITE_IOERR:
      error.code = ErrorCode::Io;
      if (systemCode != 0) {
        Error system = systemError(systemCode, what, m_path);
        system.found = system.found.empty() ? failure.what() : system.found;
        return system;
      }
      error.hint = "Check the disk and its free space, then try again.";
      break;
    case SQLITE_NOMEM: error.hint = "Close other programs to free memory, then try again."; break;
    default: break;
  }
  return error;
}

}  // namespace rankscope
