#include "core/store/store.h"

#include "core/store/database.h"

namespace rankscope {

Store::Store(std::unique_ptr<StoreDatabase> database) : m_database(std::move(database)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(const std::filesystem::path& path, Mode mode) {
  Result<std::unique_ptr<StoreDatabase>> database = StoreDatabase::open(
      path, mode == Mode::ReadOnly ? StoreDatabase::Mode::ReadOnly : StoreDatabase::Mode::ReadWrite);
  if (!database) return database.error();
  return std::unique_ptr<Store>(new Store(std::move(*database)));
}

const std::filesystem::path& Store::path() const { return m_database->path(); }
std::filesystem::path Store::home() const { return m_database->home(); }
std::filesystem::path Store::runsDir() const { return home() / "runs"; }
std::filesystem::path Store::trashDir() const { return home() / "trash"; }
Store::Mode Store::mode() const {
  return m_database->mode() == StoreDatabase::Mode::ReadOnly ? Mode::ReadOnly : Mode::ReadWrite;
}
void Store::setLockTimeout(std::chrono::milliseconds timeout) { m_database->lockTimeout = timeout; }
StoreDatabase& Store::database() { return *m_database; }

// SQLite's data_version moves with other connections' commits only, so our own are added.
Result<int64_t> Store::revision() {
  return m_database->read("the store is looked at", [&]() -> Result<int64_t> {
    Query query(*m_database, "PRAGMA data_version");
    const int64_t others = query.step() ? query.integer(0) : 0;
    return others * 1000000 + m_database->commits();
  });
}

}  // namespace rankscope
