#pragma once
// Fields of the helper's answers, read defensively: a missing or odd one gives an empty value, never an exception. Any
// thread.

#include <QString>
#include <QStringList>

#include <nlohmann/json.hpp>

namespace rankscope::ui::answer {

using Json = nlohmann::json;

inline const Json& member(const Json& object, const char* key) {
  static const Json nothing;
  if (!object.is_object()) return nothing;
  const auto it = object.find(key);
  return it == object.end() ? nothing : *it;
}

inline QString text(const Json& object, const char* key) {
  const auto& value = member(object, key);
  if (value.is_string()) return QString::fromStdString(value.get<std::string>());
  return value.is_null() || value.is_object() || value.is_array() ? QString() : QString::fromStdString(value.dump());
}

inline double number(const Json& object, const char* key) {
  const auto& value = member(object, key);
  return value.is_number() ? value.get<double>() : 0;
}

inline qint64 whole(const Json& object, const char* key) { return static_cast<qint64>(number(object, key)); }

inline bool flag(const Json& object, const char* key) {
  const auto& value = member(object, key);
  return value.is_boolean() && value.get<bool>();
}

inline const Json& items(const Json& value) {
  static const Json none = Json::array();
  return value.is_array() ? value : none;
}

inline QStringList texts(const Json& object, const char* key) {
  QStringList list;
  for (const Json& item : items(member(object, key)))
    if (item.is_string()) list << QString::fromStdString(item.get<std::string>());
  return list;
}

}  // namespace rankscope::ui::answer
