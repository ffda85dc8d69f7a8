// Checking and copying the store.

#include <SQLiteCpp/Backup.h>

#include "core/config/files.h"
#include "core/store/database.h"
#include "core/store/migrations.h"
#include "core/store/store.h"

namespace rankscope {

Result<StoreCheck> Store::check(bool thorough) {
  StoreCheck report;
  Result<void> read = m_database->read("the store is checked", [&]() -> Result<void> {
    {
      Query query(*m_database, thorough ? "PRAGMA integrity_check(100)" : "PRAGMA quick_check(100)");
      while (query.step())
        if (query.text(0) != "ok") report.problems.push_back(cleanUtf8(query.text(0), 500));
    }
    Query foreign(*m_database, "PRAGMA foreign_key_check");
    while (report.problems.size() < 100 && foreign.step())
      report.problems.push_back("a row of " + foreign.text(0) + " belongs to nothing in " + foreign.text(2));
    Query counts(*m_database, "SELECT (SELECT COUNT(*) FROM runs), (SELECT COUNT(*) FROM jobs)");
    if (counts.step()) report.runs = counts.integer(0), report.jobs = counts.integer(1);
    Query version(*m_database, "PRAGMA user_version");
    if (version.step()) report.version = static_cast<int>(version.integer(0));
    return {};
  });
  // Damage that stops the check itself is a finding, not a failure to look.
  if (!read && read.error().what == kDamagedStore)
    report.problems.push_back(read.error().found);
  else if (!read)
    return read.error();
  std::error_code failure;
  report.bytes = static_cast<int64_t>(std::filesystem::file_size(path(), failure));
  report.sound = report.problems.empty();
  return report;
}

Result<void> Store::backup(const std::filesystem::path& to) {
  std::error_code failure;
  const std::filesystem::path absolute = std::filesystem::absolute(to, failure);
  return m_database->copyTo(failure ? to : absolute);
}

}  // namespace rankscope
