#include "core/methods/site_selection.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <regex>

#include "core/methods/registry.h"

namespace rankscope {

namespace {

constexpr size_t kMaxPattern = 1000;  // std::regex recurses over the pattern

bool hasRegexCharacters(const std::string& text) { return text.find_first_of("*+?()[]{}|^$\\") != std::string::npos; }

std::string joined(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

// What a person can choose from: the kinds of sites, each once, in order.
std::string siteKinds(const Model& model) {
  std::vector<std::string> kinds;
  for (const LinearSite* site : model.sites())
    if (std::find(kinds.begin(), kinds.end(), site->kind) == kinds.end()) kinds.push_back(site->kind);
  return joined(kinds);
}

bool isHead(const Model& model, const LinearSite& site) {
  // PEFT leaves out the output embedding of a language model and the classifier of a classification model.
  if (site.name == "lm_head" || endsInModule(site.name, "lm_head")) return true;
  for (const std::string& name : model.headParameters())
    if (name.rfind(site.name + ".", 0) == 0) return true;
  return false;
}

bool parseIndex(std::string_view text, int64_t& value) {
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc() && end == text.data() + text.size() && value >= 0 && !text.empty();
}

}  // namespace

bool endsInModule(const std::string& name, const std::string& target) {
  if (name == target) return true;
  return name.size() > target.size() + 1 && name.compare(name.size() - target.size(), target.size(), target) == 0 &&
         name[name.size() - target.size() - 1] == '.';
}

Result<TargetMatcher> TargetMatcher::make(const std::vector<std::string>& targets) {
  TargetMatcher matcher;
  for (const std::string& target : targets)
    if (target.empty() || target.size() > kMaxPattern)
      return Error{ErrorCode::Usage,
                   "A target module has an unusable name",
                   "method.target_modules",
                   target.empty() ? "an empty name" : fmt::format("{} characters", target.size()),
                   fmt::format("1 … {} characters", kMaxPattern),
                   "Remove it, or write a site's name such as q_proj."};
  if (targets.size() == 1 && targets.front() == "all-linear") {
    matcher.m_allLinear = true;
    return matcher;
  }
  if (targets.size() == 1 && hasRegexCharacters(targets.front())) {
    try {
      const std::regex check(targets.front());
    } catch (const std::regex_error& e) {
      return Error{ErrorCode::Usage,
                   "The target module is not a valid regular expression",
                   "method.target_modules",
                   targets.front(),
                   "an ECMAScript regular expression that matches a site's whole name",
                   fmt::format("Correct it ({}), for instance: .*\\.(q|v)_proj", e.what())};
    }
    matcher.m_pattern = targets.front();
    return matcher;
  }
  matcher.m_names = targets;
  return matcher;
}

bool TargetMatcher::matches(const std::string& siteName) const {
  if (m_allLinear) return true;
  if (!m_pattern.empty()) return std::regex_match(siteName, std::regex(m_pattern));
  return std::any_of(m_names.begin(), m_names.end(),
                     [&](const std::string& target) { return endsInModule(siteName, target); });
}

bool TargetMatcher::chooses(const SiteShape& site) const {
  return m_allLinear ? site.operation == SiteOperation::Linear : matches(site.name);
}

Result<LayerFilter> LayerFilter::make(const std::vector<std::string>& layers) {
  LayerFilter filter;
  for (const std::string& text : layers) {
    Range range{0, 0};
    const size_t dash = text.find('-');
    bool good = false;
    if (dash == std::string::npos) {
      good = parseIndex(text, range.first);
      range.last = range.first;
    } else if (dash + 1 == text.size()) {
      good = parseIndex(std::string_view(text).substr(0, dash), range.first);
      range.last = std::numeric_limits<int64_t>::max();
    } else {
      good = parseIndex(std::string_view(text).substr(0, dash), range.first) &&
             parseIndex(std::string_view(text).substr(dash + 1), range.last) && range.first <= range.last;
    }
    if (!good)
      return Error{ErrorCode::Usage, "A layer is not a number or a range",
                   "method.layers",  text,
                   "3, 0-5 or 8-",   "Count layers from 0, for instance 0-5 for the first six."};
    filter.m_ranges.push_back(range);
  }
  return filter;
}

bool LayerFilter::contains(int64_t layer) const {
  return m_ranges.empty() || std::any_of(m_ranges.begin(), m_ranges.end(),
                                         [&](const Range& r) { return layer >= r.first && layer <= r.last; });
}

bool patternMatches(const std::string& pattern, const std::string& siteName) {
  if (pattern.empty() || pattern.size() > kMaxPattern) return false;
  if (!hasRegexCharacters(pattern)) return endsInModule(siteName, pattern);
  try {
    if (pattern.front() == '^') return std::regex_search(siteName, std::regex(pattern));
    return std::regex_match(siteName, std::regex("(.*\\.)?(" + pattern + ")"));
  } catch (const std::regex_error&) {
    return false;
  }
}

Result<std::vector<LinearSite*>> selectSites(const Model& model, const MethodSettings& settings) {
  auto targets = TargetMatcher::make(settings.targetModules);
  if (!targets) return targets.error();
  auto layers = LayerFilter::make(settings.layersToTransform);
  if (!layers) return layers.error();

  const bool onlyHeads = std::all_of(model.sites().begin(), model.sites().end(),
                                     [&](const LinearSite* site) {
                                       return site->operation != SiteOperation::Linear || isHead(model, *site);
                                     });
  std::vector<LinearSite*> chosen;
  bool matchedSomewhere = false, matchedHead = false;
  for (LinearSite* site : model.sites()) {
    if (!targets->chooses(*site)) continue;
    if (isHead(model, *site)) {
      const std::vector<std::string> head = model.headParameters();
      const bool headTrains = std::any_of(head.begin(), head.end(),
                                          [&](const std::string& n) { return n.rfind(site->name + ".", 0) == 0; });
      // A head that trains whole takes no adapter beside it; the output embedding of a language model may be named. Where
      // the classifier is the only linear map (residual networks), is named and came with the checkpoint, the adapter takes
      // the place of its training.
      const auto& drawn = model.loadReport().newlyInitialised;
      const bool fresh = std::find(drawn.begin(), drawn.end(), site->name + ".weight") != drawn.end();
      if (targets->allLinear() || (headTrains && (fresh || !onlyHeads))) {
        matchedHead = true;
        continue;
      }
    }
    matchedSomewhere = true;
    if (layers->contains(site->layer)) chosen.push_back(site);
  }
  if (!chosen.empty()) return chosen;
  if (matchedSomewhere)
    return Error{ErrorCode::Usage,
                 "No site lies in the chosen layers",
                 "method.layers",
                 joined(settings.layersToTransform),
                 fmt::format("layers 0 … {}", model.numLayers() - 1),
                 "Choose layers that the model has."};
  if (matchedHead)
    return Error{ErrorCode::Usage,        "The target modules name only the task head, which trains whole",
                 "method.target_modules", joined(settings.targetModules),
                 siteKinds(model),
                 onlyHeads ? "Name convolutions, or set method.name to full." : "Choose sites of the model's body."};
  return Error{
      ErrorCode::Usage,        "No site of the model matches the target modules",
      "method.target_modules", settings.targetModules.empty() ? "an empty list" : joined(settings.targetModules),
      siteKinds(model),        onlyHeads ? "Choose from these." : "Choose from these, or all-linear."};
}

}  // namespace rankscope
