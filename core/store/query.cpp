#include <sqlite3.h>

#include <cmath>

#include "core/store/database.h"

namespace rankscope {

// Statements are taken out of the cache while in use, so the same SQL may run nested.
Query::Query(StoreDatabase& database, const std::string& sql) : m_database(database), m_sql(sql) {
  if (auto found = database.m_statements.find(sql); found != database.m_statements.end() && found->second)
    m_statement = std::move(found->second);
  else
    m_statement = std::make_unique<SQLite::Statement>(database.connection(), sql);
}

Query::~Query() {
  m_statement->tryReset();
  try {
    m_statement->clearBindings();
    if (m_database.m_statements.size() < 512 || m_database.m_statements.count(m_sql))
      m_database.m_statements[m_sql] = std::move(m_statement);
  } catch (const std::exception&) {
    // A statement that cannot be kept is made again when it is next needed.
  }
}

Query& Query::bindAll(const std::vector<SqlValue>& values) {
  for (const SqlValue& value : values) std::visit([this](const auto& v) { bindNext(v); }, value);
  return *this;
}

Query& Query::bindBlob(std::string_view bytes) {
  m_statement->bindNoCopy(m_next++, static_cast<const void*>(bytes.data()), static_cast<int>(bytes.size()));
  return *this;
}

void Query::bindNext(double value) {
  if (std::isnan(value))
    m_statement->bind(m_next++);
  else
    m_statement->bind(m_next++, value);
}
void Query::bindNext(int64_t value) { m_statement->bind(m_next++, value); }
void Query::bindNext(const std::string& value) { m_statement->bind(m_next++, value); }
void Query::bindNext(const std::optional<int64_t>& value) {
  if (value)
    m_statement->bind(m_next++, *value);
  else
    m_statement->bind(m_next++);
}
void Query::bindNext(std::nullptr_t) { m_statement->bind(m_next++); }

bool Query::step() { return m_statement->executeStep(); }

void Query::run() {
  while (m_statement->executeStep()) {
  }
  restart();
}

void Query::restart() {
  m_statement->reset();
  m_next = 1;
}

bool Query::isNull(int column) const { return m_statement->getColumn(column).isNull(); }
int64_t Query::integer(int column) const { return m_statement->getColumn(column).getInt64(); }
double Query::real(int column) const {
  const SQLite::Column value = m_statement->getColumn(column);
  return value.isNull() ? std::nan("") : value.getDouble();
}
std::string Query::text(int column) const { return m_statement->getColumn(column).getString(); }
std::string_view Query::blob(int column) const {
  const SQLite::Column value = m_statement->getColumn(column);
  const void* bytes = value.getBlob();
  return {static_cast<const char*>(bytes), bytes ? static_cast<size_t>(value.getBytes()) : 0};
}

int Query::columns() const { return m_statement->getColumnCount(); }
std::string Query::columnName(int column) const { return m_statement->getColumnName(column); }

void Query::bindFrom(const Query& row, int column) {
  const SQLite::Column value = row.m_statement->getColumn(column);
  switch (value.getType()) {
    case SQLITE_INTEGER: m_statement->bind(m_next++, static_cast<int64_t>(value.getInt64())); break;
    case SQLITE_FLOAT: m_statement->bind(m_next++, value.getDouble()); break;
    case SQLITE_TEXT: m_statement->bind(m_next++, value.getString()); break;
    case SQLITE_BLOB: {
      const void* bytes = value.getBlob();
      m_statement->bind(m_next++, bytes ? bytes : static_cast<const void*>(""), value.getBytes());
      break;
    }
    default: m_statement->bind(m_next++); break;
  }
}

}  // namespace rankscope
