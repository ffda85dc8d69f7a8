// What only the user knows: names, notes, tags, stars, colours, views and settings.

#include <algorithm>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/runlog/events.h"
#include "core/store/run_rows.h"
#include "core/store/store.h"

namespace rankscope {
namespace {

constexpr auto kDurable = StoreDatabase::Durability::Durable;
constexpr size_t kLongestNote = 1 << 20;
constexpr size_t kLongestName = 1024;

Error tooLong(const char* what, size_t bytes, size_t limit) {
  return {ErrorCode::Usage,
          std::string("the ") + what + " is too long",
          "",
          std::to_string(bytes) + " bytes",
          "at most " + std::to_string(limit),
          "Shorten it."};
}

// `column` is one of ours, never the user's text.
template <typename Value>
void setUserColumn(StoreDatabase& database, const std::string& id, const char* column, const Value& value) {
  requireRid(database, id);
  const std::string name(column);
  Query(database, "INSERT INTO user_runs (uuid, " + name +
                      ", changed) VALUES (?1, ?2, ?3) ON CONFLICT (uuid) DO UPDATE SET " + name + " = ?2, changed = ?3")
      .bind(id, value, event::unixTime())
      .run();
  refreshUserColumns(database, id);
}

std::string trimmed(const std::string& text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

void insertTag(StoreDatabase& database, const std::string& id, const std::string& tag) {
  const std::string clean = trimmed(tag);
  if (clean.empty()) return;
  if (clean.size() > kLongestName) throw ErrorException(tooLong("tag", clean.size(), kLongestName));
  Query(database, "INSERT OR IGNORE INTO tags (uuid, tag) VALUES (?, ?)").bind(id, clean).run();
}

bool isColour(const std::string& text) {
  return text.size() == 7 && text[0] == '#' && text.find_first_not_of("0123456789abcdefABCDEF", 1) == std::string::npos;
}

}  // namespace

Result<void> Store::setName(const std::string& id, const std::string& name) {
  if (name.size() > kLongestName) return tooLong("name", name.size(), kLongestName);
  return m_database->write("a run is renamed", kDurable,
                           [&] { setUserColumn(*m_database, id, "name", trimmed(name)); });
}

Result<void> Store::setNote(const std::string& id, const std::string& markdown) {
  if (markdown.size() > kLongestNote) return tooLong("note", markdown.size(), kLongestNote);
  return m_database->write("a note is kept", kDurable, [&] { setUserColumn(*m_database, id, "note", markdown); });
}

Result<void> Store::setTags(const std::string& id, const std::vector<std::string>& tags) {
  return m_database->write("tags are kept", kDurable, [&] {
    requireRid(*m_database, id);
    Query(*m_database, "DELETE FROM tags WHERE uuid = ?").bind(id).run();
    for (const std::string& tag : tags) insertTag(*m_database, id, tag);
    refreshUserColumns(*m_database, id);
  });
}

Result<void> Store::addTags(const std::vector<std::string>& ids, const std::vector<std::string>& tags) {
  return m_database->write("tags are kept", kDurable, [&] {
    for (const std::string& id : ids) {
      requireRid(*m_database, id);
      for (const std::string& tag : tags) insertTag(*m_database, id, tag);
      refreshUserColumns(*m_database, id);
    }
  });
}

Result<void> Store::removeTags(const std::vector<std::string>& ids, const std::vector<std::string>& tags) {
  return m_database->write("tags are taken off", kDurable, [&] {
    for (const std::string& id : ids) {
      requireRid(*m_database, id);
      for (const std::string& tag : tags)
        Query(*m_database, "DELETE FROM tags WHERE uuid = ? AND tag = ?").bind(id, trimmed(tag)).run();
      refreshUserColumns(*m_database, id);
    }
  });
}

Result<std::vector<std::pair<std::string, int64_t>>> Store::allTags() {
  using Tags = std::vector<std::pair<std::string, int64_t>>;
  return m_database->read("tags are listed", [&]() -> Result<Tags> {
    Tags tags;
    Query query(*m_database,
                "SELECT t.tag, COUNT(*) AS n FROM tags t JOIN runs r ON r.uuid = t.uuid "
                "WHERE r.trashed_at IS NULL GROUP BY t.tag ORDER BY n DESC, t.tag COLLATE RS_NATURAL");
    while (query.step()) tags.emplace_back(query.text(0), query.integer(1));
    return tags;
  });
}

Result<void> Store::setColour(const std::vector<std::string>& ids, const std::string& colour) {
  if (!colour.empty() && !isColour(colour))
    return Error{ErrorCode::Usage, "this is not a colour",      "", cleanUtf8(colour, 40),
                 "#rrggbb",        "Write for example #0072b2."};
  return m_database->write("colours are kept", kDurable, [&] {
    for (const std::string& id : ids) setUserColumn(*m_database, id, "colour", colour);
  });
}

Result<void> Store::setStarred(const std::vector<std::string>& ids, bool starred) {
  return m_database->write("stars are kept", kDurable, [&] {
    for (const std::string& id : ids) setUserColumn(*m_database, id, "starred", starred);
  });
}

Result<void> Store::setArchived(const std::vector<std::string>& ids, bool archived) {
  return m_database->write("runs are archived", kDurable, [&] {
    for (const std::string& id : ids) setUserColumn(*m_database, id, "archived", archived);
  });
}

Result<std::vector<SavedView>> Store::savedViews(const std::string& scope) {
  return m_database->read("views are listed", [&]() -> Result<std::vector<SavedView>> {
    std::vector<SavedView> views;
    Query query(*m_database,
                "SELECT name, body FROM saved_views WHERE scope = ? ORDER BY position, name COLLATE RS_NATURAL");
    query.bind(scope);
    while (query.step()) {
      Result<nlohmann::json> body = parseJsonRecord(query.text(1), "view " + query.text(0));
      if (body) views.push_back({query.text(0), std::move(*body)});
    }
    return views;
  });
}

Result<void> Store::saveView(const std::string& scope, const SavedView& view) {
  if (view.name.empty()) return Error{ErrorCode::Usage, "the view has no name", scope, "", "a name", "Give it a name."};
  return m_database->write("a view is kept", kDurable, [&] {
    Query(*m_database,
          "INSERT INTO saved_views (scope, name, body, position) VALUES (?1, ?2, ?3, (SELECT COALESCE(MAX(position), "
          "0) + 1 "
          "FROM saved_views WHERE scope = ?1)) ON CONFLICT (scope, name) DO UPDATE SET body = ?3")
        .bind(scope, view.name, jsonText(view.body))
        .run();
  });
}

Result<void> Store::deleteView(const std::string& scope, const std::string& name) {
  return m_database->write("a view is removed", kDurable, [&] {
    Query(*m_database, "DELETE FROM saved_views WHERE scope = ? AND name = ?").bind(scope, name).run();
  });
}

Result<nlohmann::json> Store::setting(const std::string& key) {
  return m_database->read("a setting is read", [&]() -> Result<nlohmann::json> {
    Query query(*m_database, "SELECT body FROM settings WHERE key = ?");
    query.bind(key);
    if (!query.step()) return nlohmann::json();
    return parseJsonRecord(query.text(0), "setting " + key);
  });
}

Result<void> Store::setSetting(const std::string& key, const nlohmann::json& value) {
  return m_database->write("a setting is kept", StoreDatabase::Durability::Derived, [&] {
    if (value.is_null())
      Query(*m_database, "DELETE FROM settings WHERE key = ?").bind(key).run();
    else
      Query(*m_database, "INSERT OR REPLACE INTO settings (key, body) VALUES (?, ?)").bind(key, jsonText(value)).run();
  });
}

}  // namespace rankscope
