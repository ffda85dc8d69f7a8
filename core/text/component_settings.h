#pragma once
// One component of tokenizer.json while it is read: {"type": "Metaspace", "split": true, …}. Remembers the first mistake
// and which settings were asked for, so that done() refuses by name what this program does not know. A value.

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>

#include "core/config/result.h"

namespace rankscope {

class ComponentSettings {
 public:
  // `where` says which component it is in messages ("tokenizer.json: pre_tokenizer"). The JSON must outlive this object.
  ComponentSettings(const nlohmann::json& object, std::string where);

  const std::string& type() const { return m_type; }
  const std::string& where() const { return m_where; }
  // Each marks the setting as known. null counts as absent.
  const nlohmann::json* find(const char* key);
  bool flag(const char* key, bool fallback);
  std::string text(const char* key, const std::optional<std::string>& fallback = std::nullopt);  // needed without fallback
  size_t number(const char* key, size_t fallback, size_t most);
  void ignore(std::initializer_list<const char*> keys);  // settings without influence on what this program computes

  // The component's own complaint, kept when it is the first.
  void refuse(const std::string& what, const std::string& found, const std::string& expected = {});
  // An error for a type that is not known; `kind` is "normalizer", …
  Error unknownType(const char* kind, const std::string& known) const;
  bool ok() const { return !m_error; }
  Result<void> done();

 private:
  const nlohmann::json* m_object;
  std::string m_where, m_type;
  std::set<std::string> m_known{"type"};
  std::optional<Error> m_error;
};

// A name that tokenizer.json uses for a component, and the function that reads its settings.
template <typename Made>
struct ComponentEntry {
  const char* type;
  Made (*make)(ComponentSettings&);
};
// The component of this type out of a table (Made is a Result). Refused by name: a type that the table does not have, and
// a setting that its reader did not ask for.
template <typename Made, size_t count>
Made makeComponent(ComponentSettings& settings, const std::string& type, const ComponentEntry<Made> (&table)[count],
                   const char* kind) {
  std::string known;
  for (const ComponentEntry<Made>& entry : table) {
    if (type == entry.type) {
      Made made = entry.make(settings);
      if (!made) return made;
      if (Result<void> done = settings.done(); !done) return done.error();
      return made;
    }
    known += (known.empty() ? "" : ", ") + std::string(entry.type);
  }
  return settings.unknownType(kind, known);
}

// The members of a "Sequence": the array under `key`, bounded.
Result<std::vector<const nlohmann::json*>> sequenceMembers(ComponentSettings& settings, const char* key);

inline constexpr const char* kTokenizerHint = "Fetch the tokenizer's files again, or choose a model with another tokenizer.";

}  // namespace rankscope
