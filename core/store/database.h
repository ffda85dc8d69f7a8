#pragma once
// One connection to the store's file: settings, statement cache, the writer's lock, and the turning of SQLite's
// failures into Errors that say what to do. read() gives one consistent snapshot; write() takes the lock file, runs a
// transaction, and checkpoints the WAL while it still holds the lock (nobody else ever does). One thread at a time.

#include <SQLiteCpp/SQLiteCpp.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "core/config/result.h"
#include "core/store/filter.h"
#include "core/store/writer_lock.h"

namespace rankscope {

class StoreDatabase;

inline constexpr const char* kDamagedStore = "the store's file is damaged";  // Error::what of a damaged file

// A statement of the connection's cache, reset when the Query goes out of scope so that no read transaction lingers.
class Query {
 public:
  Query(StoreDatabase& database, const std::string& sql);
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  template <typename... Values>
  Query& bind(const Values&... values) {
    (bindNext(values), ...);
    return *this;
  }
  Query& bindAll(const std::vector<SqlValue>& values);
  Query& bindBlob(std::string_view bytes);  // must outlive the step
  bool step();                              // true: a row is there
  void run();                               // to the end, for statements without rows; may be bound and run again
  void restart();                           // reset, for the next set of values

  bool isNull(int column) const;
  int64_t integer(int column) const;
  double real(int column) const;  // NaN for NULL
  std::string text(int column) const;
  std::string_view blob(int column) const;  // valid until the next step
  int columns() const;
  std::string columnName(int column) const;
  // A value of another query's row, whatever its type.
  void bindFrom(const Query& row, int column);

 private:
  void bindNext(double value);  // NaN is bound as NULL
  void bindNext(int64_t value);
  void bindNext(int value) { bindNext(static_cast<int64_t>(value)); }
  void bindNext(bool value) { bindNext(static_cast<int64_t>(value)); }
  void bindNext(const std::string& value);
  void bindNext(const char* value) { bindNext(std::string(value)); }
  void bindNext(const std::optional<int64_t>& value);
  void bindNext(std::nullptr_t);

  StoreDatabase& m_database;
  std::string m_sql;
  std::unique_ptr<SQLite::Statement> m_statement;
  int m_next = 1;
};

class StoreDatabase {
 public:
  enum class Mode { ReadOnly, ReadWrite };
  enum class Durability {
    Derived,  // can be made again from the run folders: not synced at each commit
    Durable   // synced: what the user typed, and the queue
  };

  // Opens, creates and migrates. `upTo` below the newest version is for the tests of migrations only.
  static Result<std::unique_ptr<StoreDatabase>> open(const std::filesystem::path& path, Mode mode, int upTo = -1);
  ~StoreDatabase();

  const std::filesystem::path& path() const { return m_path; }
  std::filesystem::path home() const { return m_path.parent_path(); }
  Mode mode() const { return m_mode; }
  std::chrono::milliseconds lockTimeout = std::chrono::seconds(5);
  size_t ingestTurn = 0;  // which of the finished runs ingest looks at next (ingest.cpp)

  // Runs f() on one snapshot; f returns a value, a Result or nothing.
  template <typename F>
  auto read(const char* what, F&& f) {
    return guarded(what, Access::Read, Durability::Derived, std::forward<F>(f));
  }
  // Runs f() in a transaction under the writer's lock; a failing Result or an exception rolls back.
  template <typename F>
  auto write(const char* what, Durability durability, F&& f) {
    return guarded(what, Access::Write, durability, std::forward<F>(f));
  }

  SQLite::Database& connection() { return *m_connection; }
  int64_t lastInsertId();
  int64_t commits() const { return m_commits; }
  Result<void> copyTo(const std::filesystem::path& to);  // backup API; `to` must not exist
  // Writes the WAL back as far as readers allow; truncates it where nobody reads. Takes the lock.
  Result<void> checkpoint();
  Result<void> compact();  // VACUUM, under the lock
  Error errorFrom(const SQLite::Exception& failure, const char* what) const;

 private:
  friend class Query;
  enum class Access { Read, Write };
  template <typename T>
  struct Wrapped {
    using Type = Result<T>;
  };
  template <typename T>
  struct Wrapped<Result<T>> {
    using Type = Result<T>;
  };

  StoreDatabase(std::filesystem::path path, Mode mode);
  Result<void> connect(bool create);
  Result<void> prepareFile(int upTo);
  Result<void> migrate(int from, int to);
  void configure();
  // The file may have been replaced under us (store rebuild): then the connection is made anew.
  Result<void> followFile();
  Result<void> begin(const char* what, Access access, Durability durability);
  Result<void> commit(const char* what, Access access);
  void rollback(Access access) noexcept;
  void checkpointIfLong();

  template <typename F>
  auto guarded(const char* what, Access access, Durability durability, F&& f) ->
      typename Wrapped<std::invoke_result_t<F>>::Type {
    using Value = std::invoke_result_t<F>;
    using Wrapping = typename Wrapped<Value>::Type;
    if (Result<void> begun = begin(what, access, durability); !begun) return begun.error();
    try {
      if constexpr (std::is_void_v<Value>) {
        f();
        return commit(what, access);
      } else {
        Wrapping value = f();
        if (!value.ok()) {
          rollback(access);
          return value;
        }
        if (Result<void> done = commit(what, access); !done) return done.error();
        return value;
      }
    } catch (const SQLite::Exception& failure) {
      Error error = errorFrom(failure, what);
      rollback(access);
      return error;
    } catch (const ErrorException& failure) {
      rollback(access);
      return failure.error();
    } catch (...) {
      rollback(access);
      throw;
    }
  }

  std::filesystem::path m_path;
  Mode m_mode;
  WriterLock m_lock;
  std::unordered_map<std::string, std::unique_ptr<SQLite::Statement>> m_statements;  // none in use
  std::unique_ptr<SQLite::Database> m_connection;
  uint64_t m_device = 0, m_inode = 0;
  int m_depth = 0;
  bool m_writing = false, m_spoiled = false, m_synced = false;
  int m_walPages = 0;
  int64_t m_commits = 0;
};

}  // namespace rankscope
