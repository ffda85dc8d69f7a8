#include "core/config/method_kind.h"

#include <utility>

namespace rankscope {

namespace {

constexpr std::pair<const char*, MethodKind> kKinds[] = {{"full", MethodKind::Full},
                                                         {"bitfit", MethodKind::Biases},
                                                         {"houlsby", MethodKind::Inserted},
                                                         {"pfeiffer", MethodKind::Inserted},
                                                         {"parallel", MethodKind::Inserted},
                                                         {"llm_series", MethodKind::Inserted},
                                                         {"llm_parallel", MethodKind::Inserted},
                                                         {"prefix", MethodKind::Inserted},
                                                         {"loreft", MethodKind::Inserted},
                                                         {"direft", MethodKind::Inserted}};

}  // namespace

MethodKind methodKind(std::string_view method) {
  for (const auto& [name, kind] : kKinds)
    if (method == name) return kind;
  return MethodKind::LowRank;
}

const std::vector<std::string>& methodsWithoutFactors() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const auto& [name, kind] : kKinds) all.emplace_back(name);
    return all;
  }();
  return names;
}

bool hasRank(std::string_view method) {
  return methodKind(method) == MethodKind::LowRank || method == "loreft" || method == "direft";
}

}  // namespace rankscope
