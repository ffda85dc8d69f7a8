#include "core/config/short_names.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

namespace rankscope {
namespace {

std::string withoutSlashes(std::string named) {
  while (named.size() > 1 && named.back() == '/') named.pop_back();
  return named;
}

std::string lastPart(const std::string& named) {
  const size_t cut = named.find_last_of("/:");
  return cut == std::string::npos ? named : named.substr(cut + 1);
}

// What stands before the last part, without its separator; empty where there is nothing.
std::string above(const std::string& named) {
  const size_t cut = named.find_last_of("/:");
  return cut == std::string::npos ? std::string() : withoutSlashes(named.substr(0, cut));
}

bool isOneOf(const std::string& name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::string shortModelName(const std::string& path) {
  const std::string named = withoutSlashes(path);
  const std::string name = lastPart(named);
  if (!isOneOf(name, {"hf", "model"})) return name;
  const std::string folder = lastPart(above(named));
  return folder.empty() ? name : folder;
}

std::string shortDataName(const std::string& path) {
  const std::string named = withoutSlashes(path);
  std::string name = lastPart(named);
  if (const size_t dot = name.rfind('.'); dot != std::string::npos && dot > 0) name.resize(dot);
  if (!isOneOf(name, {"train", "training", "data", "train_data"}) || named.find('/') == std::string::npos) return name;
  const std::string folder = lastPart(above(named));
  return folder.empty() ? name : folder;
}

}  // namespace rankscope
