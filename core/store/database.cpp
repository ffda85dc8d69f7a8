#include "core/store/database.h"

#include <SQLiteCpp/Backup.h>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "core/config/files.h"
#include "core/config/log.h"
#include "core/store/migrations.h"
#include "core/store/sql_functions.h"

namespace rankscope {
namespace {

constexpr int kApplicationId = 0x52535354;  // "RSST", in the file's header
constexpr int kCheckpointPages = 1000;      // 8 MB
constexpr int kTruncatePages = 8000;        // a WAL this long is cut as soon as no reader is in the way

int pragmaInteger(SQLite::Database& connection, const char* pragma) {
  SQLite::Statement statement(connection, std::string("PRAGMA ") + pragma);
  return statement.executeStep() ? statement.getColumn(0).getInt() : 0;
}

bool folderWritable(const std::filesystem::path& file) {
  return ::faccessat(AT_FDCWD, file.parent_path().c_str(), W_OK | X_OK, AT_EACCESS) == 0;
}

std::string uriOf(const std::filesystem::path& path, const char* query) {
  std::string uri = "file:";
  for (const char c : path.string()) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || c == '/' || c == '.' || c == '-' || c == '_';
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return uri + query;
}

}  // namespace

StoreDatabase::StoreDatabase(std::filesystem::path path, Mode mode)
    : m_path(std::move(path)), m_mode(mode), m_lock(std::filesystem::path(m_path).replace_extension(".lock")) {}

StoreDatabase::~StoreDatabase() {
  m_statements.clear();
  if (m_mode == Mode::ReadWrite && m_connection && m_commits > 0 && m_lock.acquire(std::chrono::milliseconds(0))) {
    // Leaves a short WAL for the next program; if somebody else is writing, that one will.
    (void)m_connection->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
    m_lock.release();
  }
}

Result<std::unique_ptr<StoreDatabase>> StoreDatabase::open(const std::filesystem::path& path, Mode mode, int upTo) {
  std::error_code failure;
  const std::filesystem::path absolute = std::filesystem::absolute(path, failure);
  std::unique_ptr<StoreDatabase> database(new StoreDatabase(failure ? path : absolute, mode));
  if (Result<void> ready = database->prepareFile(upTo < 0 ? latestStoreVersion() : upTo); !ready) return ready.error();
  return database;
}

Result<void> StoreDatabase::prepareFile(int upTo) {
  std::error_code failure;
  const bool exists = std::filesystem::exists(m_path, failure) && std::filesystem::file_size(m_path, failure) > 0;
  if (m_mode == Mode::ReadOnly) {
    if (!exists)
      return Error{ErrorCode::Store,
                   "there is no store yet",
                   pathText(m_path),
                   "no file",
                   "a store",
                   "It is made by the first run or by `rankscope-train store ingest`; check --home if runs exist."};
    if (Result<void> connected = connect(false); !connected) return connected;
  } else {
    std::filesystem::create_directories(m_path.parent_path(), failure);
    if (failure) return systemError(failure.value(), "the store's folder cannot be made", m_path.parent_path());
    if (!folderWritable(m_path)) return systemError(errno, "the store cannot be written", m_path.parent_path());
    if (!exists) {
      if (Result<void> locked = m_lock.acquire(lockTimeout); !locked) return locked;
    }
    const Result<void> connected = connect(true);
    m_lock.release();
    if (!connected) return connected;
  }
  try {
    const int application = pragmaInteger(*m_connection, "application_id");
    const int version = pragmaInteger(*m_connection, "user_version");
    if (version > latestStoreVersion())
      return Error{ErrorCode::Store,
                   "the store was made by a newer version of the program",
                   pathText(m_path),
                   fmt::format("version {}", version),
                   fmt::format("at most {}", latestStoreVersion()),
                   "Use the newer program, or another --home."};
    if (version > 0 && application != kApplicationId)
      return Error{ErrorCode::Store, "this is another program's database",
                   pathText(m_path), "",
                   "a run store",    "Give a different --home, or move this file away."};
    if (version < upTo) {
      if (m_mode == Mode::ReadOnly)
        return Error{ErrorCode::Store,
                     "the store is of an older version and was opened for reading only",
                     pathText(m_path),
                     fmt::format("version {}", version),
                     fmt::format("version {}", upTo),
                     "Open it once with write permission (any `rankscope-train store ingest` does), which brings it up "
                     "to date after making a backup."};
      return migrate(version, upTo);
    }
  } catch (const SQLite::Exception& problem) {
    return errorFrom(problem, "the store cannot be opened");
  }
  return {};
}

Result<void> StoreDatabase::connect(bool create) {
  m_statements.clear();
  m_connection.reset();
  try {
    struct stat wal {};
    const bool walEmpty = stat((m_path.string() + "-wal").c_str(), &wal) != 0 || wal.st_size == 0;
    // A WAL database needs a -shm file beside it; where none can be made and nothing waits in the WAL, nobody here can
    // be writing either.
    const bool immutable = m_mode == Mode::ReadOnly && walEmpty && !folderWritable(m_path);
    if (m_mode == Mode::ReadOnly)
      m_connection = std::make_unique<SQLite::Database>(uriOf(m_path, immutable ? "?immutable=1" : ""),
                                                        SQLite::OPEN_READONLY | SQLite::OPEN_URI);
    else
      m_connection = std::make_unique<SQLite::Database>(m_path.string(),
                                                        SQLite::OPEN_READWRITE | (create ? SQLite::OPEN_CREATE : 0));
    configure();
    struct stat file {};
    if (stat(m_path.c_str(), &file) == 0) {
      m_device = static_cast<uint64_t>(file.st_dev);
      m_inode = static_cast<uint64_t>(file.st_ino);
    }
  } catch (const SQLite::Exception& problem) {
    const Error error = errorFrom(problem, "the store cannot be opened");
    m_connection.reset();
    return error;
  }
  return {};
}

// Every setting of a connection, in one place.
void StoreDatabase::configure() {
  sqlite3* handle = m_connection->getHandle();
  m_connection->setBusyTimeout(2000);
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);  // only the holder of the lock checkpoints
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);  // a store from elsewhere runs nothing of ours
  m_connection->exec("PRAGMA foreign_keys = ON");
  m_connection->exec("PRAGMA cell_size_check = ON");
  m_connection->exec("PRAGMA cache_size = -32000");
  m_connection->exec("PRAGMA temp_store = MEMORY");
  if (m_mode == Mode::ReadWrite) {
    if (pragmaInteger(*m_connection, "page_count") == 0) {
      m_connection->exec("PRAGMA page_size = 8192");
      m_connection->exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
    }
    m_connection->exec("PRAGMA journal_mode = WAL");
    m_connection->exec("PRAGMA journal_size_limit = 67108864");
    m_connection->exec("PRAGMA synchronous = NORMAL");
    m_synced = false;
    // Replaces SQLite's own automatic checkpoint.
    sqlite3_wal_hook(
        handle,
        [](void* self, sqlite3*, const char*, int pages) {
          static_cast<StoreDatabase*>(self)->m_walPages = pages;
          return SQLITE_OK;
        },
        this);
  }
  registerSqlFunctions(handle);
}

Result<void> StoreDatabase::migrate(int from, int to) {
  if (Result<void> locked = m_lock.acquire(lockTimeout); !locked) return locked;
  Result<void> outcome;
  try {
    from = pragmaInteger(*m_connection, "user_version");  // another program may have done it while we waited
    if (from > 0 && from < to) {
      const auto now = static_cast<std::time_t>(std::time(nullptr));
      const std::filesystem::path copy =
          home() / "backups" / fmt::format("store-v{}-{:%Y%m%dT%H%M%S}.sqlite", from, fmt::gmtime(now));
      if (Result<void> copied = copyTo(copy); !copied) {
        m_lock.release();
        return copied;
      }
      logInfo("store", "bringing the store from version {} to {}; the old one is kept as {}", from, to, pathText(copy));
    }
    for (const Migration& step : migrations()) {
      if (step.version <= from || step.version > to) continue;
      SQLite::Transaction transaction(*m_connection, SQLite::TransactionBehavior::IMMEDIATE);
      m_connection->exec(step.sql);
      m_connection->exec(fmt::format("PRAGMA user_version = {}", step.version));
      transaction.commit();
    }
    if (from == 0) m_connection->exec(fmt::format("PRAGMA application_id = {}", kApplicationId));
    (void)m_connection->tryExec("PRAGMA wal_checkpoint(PASSIVE)");
  } catch (const SQLite::Exception& problem) {
    outcome = errorFrom(problem, "the store cannot be brought up to date");
  }
  m_lock.release();
  return outcome;
}

Result<void> StoreDatabase::followFile() {
  struct stat file {};
  if (m_connection && stat(m_path.c_str(), &file) == 0 && static_cast<uint64_t>(file.st_ino) == m_inode &&
      static_cast<uint64_t>(file.st_dev) == m_device)
    return {};
  m_statements.clear();
  m_connection.reset();
  return prepareFile(latestStoreVersion());
}

Result<void> StoreDatabase::begin(const char* what, Access access, Durability durability) {
  if (m_depth > 0) {
    if (access == Access::Write && !m_writing)
      return Error{ErrorCode::Internal, "a write inside a read of the store", what, "", "", "Please report this."};
    ++m_depth;
    return {};
  }
  if (access == Access::Write) {
    if (m_mode == Mode::ReadOnly)
      return Error{ErrorCode::Store,
                   "the store was opened for reading only",
                   pathText(m_path),
                   what,
                   "",
                   "Open it for writing; if its folder is read-only, copy it to one that is not (store backup)."};
    if (Result<void> locked = m_lock.acquire(lockTimeout); !locked) return locked;
  }
  if (Result<void> followed = followFile(); !followed) {
    m_lock.release();
    return followed;
  }
  try {
    if (access == Access::Write) {
      const bool synced = durability == Durability::Durable;
      if (synced != m_synced) {
        m_connection->exec(synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
        m_synced = synced;
      }
    }
    Query(*this, access == Access::Write ? "BEGIN IMMEDIATE" : "BEGIN").run();
  } catch (const SQLite::Exception& problem) {
    const Error error = errorFrom(problem, what);
    m_lock.release();
    return error;
  }
  m_depth = 1;
  m_writing = access == Access::Write;
  return {};
}

Result<void> StoreDatabase::commit(const char* what, Access access) {
  if (m_depth > 1) {
    --m_depth;
    return {};
  }
  if (m_spoiled) {
    rollback(access);
    return Error{ErrorCode::Internal,
                 "part of a change to the store failed, so none of it was kept",
                 what,
                 "",
                 "",
                 "Try again; please report this if it stays so."};
  }
  try {
    Query(*this, "COMMIT").run();
    if (access == Access::Write) {
      ++m_commits;
      checkpointIfLong();
    }
  } catch (const SQLite::Exception& problem) {
    const Error error = errorFrom(problem, what);
    rollback(access);
    return error;
  }
  m_depth = 0;
  m_writing = false;
  m_lock.release();
  return {};
}

// A failure inside takes the whole transaction with it, also that of the callers around.
void StoreDatabase::rollback(Access access) noexcept {
  if (m_depth > 1) {
    --m_depth;
    if (access == Access::Write) m_spoiled = true;
    return;
  }
  if (m_connection && !sqlite3_get_autocommit(m_connection->getHandle())) (void)m_connection->tryExec("ROLLBACK");
  m_depth = 0;
  m_writing = m_spoiled = false;
  m_lock.release();
}

void StoreDatabase::checkpointIfLong() {
  if (m_walPages < kCheckpointPages) return;
  if (m_walPages < kTruncatePages) {
    (void)m_connection->tryExec("PRAGMA wal_checkpoint(PASSIVE)");
    return;
  }
  m_connection->setBusyTimeout(20);
  (void)m_connection->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  m_connection->setBusyTimeout(2000);
}

Result<void> StoreDatabase::checkpoint() {
  if (Result<void> locked = m_lock.acquire(lockTimeout); !locked) return locked;
  (void)m_connection->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  m_lock.release();
  return {};
}

Result<void> StoreDatabase::compact() {
  if (Result<void> locked = m_lock.acquire(lockTimeout); !locked) return locked;
  Result<void> outcome;
  try {
    m_statements.clear();
    m_connection->exec("VACUUM");
    (void)m_connection->tryExec("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch (const SQLite::Exception& problem) {
    outcome = errorFrom(problem, "the store cannot be compacted");
  }
  m_lock.release();
  return outcome;
}

int64_t StoreDatabase::lastInsertId() { return m_connection->getLastInsertRowid(); }

Result<void> StoreDatabase::copyTo(const std::filesystem::path& to) {
  std::error_code failure;
  if (std::filesystem::exists(to, failure))
    return Error{
        ErrorCode::Usage, "a file of that name exists", pathText(to), "", "", "Choose another name for the copy."};
  std::filesystem::create_directories(to.parent_path(), failure);
  if (failure) return systemError(failure.value(), "the folder for the copy cannot be made", to.parent_path());
  const std::filesystem::path part = to.string() + ".part";
  std::filesystem::remove(part, failure);
  try {
    SQLite::Database copy(part.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
    SQLite::Backup backup(copy, *m_connection);
    for (int tries = 0; backup.getRemainingPageCount() != 0 || tries == 0; ++tries) {
      const int code = backup.executeStep(4096);
      if (code == SQLITE_DONE) break;
      if (tries > 1000000) throw SQLite::Exception("the copy does not come to an end", SQLITE_BUSY);
      if (code == SQLITE_BUSY || code == SQLITE_LOCKED) sqlite3_sleep(10);
    }
    copy.exec("PRAGMA journal_mode = DELETE");  // one file that can be moved on its own
  } catch (const SQLite::Exception& problem) {
    std::filesystem::remove(part, failure);
    return errorFrom(problem, "the copy of the store failed");
  }
  std::filesystem::rename(part, to, failure);
  if (failure) return systemError(failure.value(), "the copy cannot be given its name", to);
  return {};
}

}  // namespace rankscope
