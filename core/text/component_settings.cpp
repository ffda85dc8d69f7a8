#include "core/text/component_settings.h"

#include <fmt/format.h>

#include "core/config/json_text.h"
#include "core/config/text_shown.h"

namespace rankscope {

ComponentSettings::ComponentSettings(const nlohmann::json& object, std::string where)
    : m_object(&object), m_where(std::move(where)) {
  const auto type = object.is_object() ? object.find("type") : object.end();
  if (object.is_object() && type != object.end() && type->is_string()) m_type = type->get<std::string>();
}

const nlohmann::json* ComponentSettings::find(const char* key) {
  m_known.insert(key);
  if (!m_object->is_object()) return nullptr;
  const auto found = m_object->find(key);
  return found == m_object->end() || found->is_null() ? nullptr : &*found;
}

bool ComponentSettings::flag(const char* key, bool fallback) {
  const nlohmann::json* value = find(key);
  if (!value) return fallback;
  if (value->is_boolean()) return value->get<bool>();
  refuse(fmt::format("setting {} of the tokenizer has a wrong value", key), describeJson(*value), "true or false");
  return fallback;
}

std::string ComponentSettings::text(const char* key, const std::optional<std::string>& fallback) {
  const nlohmann::json* value = find(key);
  if (value && value->is_string()) return value->get<std::string>();
  if (value || !fallback)
    refuse(fmt::format("setting {} of the tokenizer has a wrong value", key), value ? describeJson(*value) : "nothing", "a text");
  return fallback.value_or(std::string());
}

size_t ComponentSettings::number(const char* key, size_t fallback, size_t most) {
  const nlohmann::json* value = find(key);
  if (!value) return fallback;
  if (value->is_number_unsigned() && value->get<uint64_t>() <= most) return value->get<size_t>();
  refuse(fmt::format("setting {} of the tokenizer has a wrong value", key), describeJson(*value), fmt::format("0 … {}", most));
  return fallback;
}

void ComponentSettings::ignore(std::initializer_list<const char*> keys) { m_known.insert(keys.begin(), keys.end()); }

void ComponentSettings::refuse(const std::string& what, const std::string& found, const std::string& expected) {
  if (!m_error) m_error = Error{ErrorCode::BadInput, what, m_where, found, expected, kTokenizerHint};
}

Error ComponentSettings::unknownType(const char* kind, const std::string& known) const {
  return Error{ErrorCode::BadInput, fmt::format("tokenizer has a {} that this program does not know", kind), m_where,
               m_type.empty() ? "no type" : shown(m_type), known, kTokenizerHint};
}

Result<void> ComponentSettings::done() {
  if (m_error) return *m_error;
  if (m_object->is_object())
    for (const auto& [key, value] : m_object->items())
      if (!m_known.contains(key))
        return Error{ErrorCode::BadInput, fmt::format("{} of the tokenizer has a setting that this program does not know", shown(m_type)),
                     m_where, shown(key), "", kTokenizerHint};
  return {};
}

Result<std::vector<const nlohmann::json*>> sequenceMembers(ComponentSettings& settings, const char* key) {
  constexpr size_t kMost = 64;
  std::vector<const nlohmann::json*> members;
  const nlohmann::json* list = settings.find(key);
  if (!list || !list->is_array() || list->size() > kMost)
    settings.refuse("sequence of the tokenizer cannot be read", list ? describeJson(*list) : "nothing",
                    fmt::format("a list \"{}\" of at most {} components", key, kMost));
  else
    for (const nlohmann::json& member : *list) members.push_back(&member);
  if (Result<void> done = settings.done(); !done) return done.error();
  return members;
}

}  // namespace rankscope
