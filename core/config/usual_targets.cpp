#include "core/config/usual_targets.h"

#include <algorithm>

#include "core/config/method_kind.h"

namespace rankscope {

std::vector<std::string> usualTargets(std::string_view method, const std::vector<std::string>& familys,
                                      const std::vector<TargetSite>& sites) {
  if (methodKind(method) != MethodKind::Inserted) return familys;
  std::vector<std::string> targets;
  for (const TargetSite& site : sites) {
    if (site.layer < 0 || site.in == site.out || site.name.find("att") != std::string_view::npos) continue;
    std::string target(site.kind == "dense" || site.kind == "c_proj" ? site.name : site.kind);
    if (std::find(targets.begin(), targets.end(), target) == targets.end()) targets.push_back(std::move(target));
  }
  return targets;
}

}  // namespace rankscope
