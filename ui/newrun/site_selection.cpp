#include "ui/newrun/site_selection.h"

#include <algorithm>
#include <set>

namespace rankscope::ui {
namespace {

constexpr const char* kAllLinear = "all-linear";

// "all-linear" leaves the task head to the task, and what is no plain matrix alone.
bool isAllLinear(const SiteInfo& site) {
  static const std::set<std::string> heads{"lm_head", "score", "classifier", "classifier.1", "fc", "linear"};
  return site.operation == "linear" && !(site.layer < 0 && heads.contains(site.kind));
}

}  // namespace

bool targetMatches(const std::string& siteName, const std::string& target) {
  if (siteName == target) return true;
  return siteName.size() > target.size() + 1 && siteName.ends_with(target) &&
         siteName[siteName.size() - target.size() - 1] == '.';
}

void SiteSelection::setSites(std::vector<SiteInfo> sites, std::vector<std::string> defaultTargets) {
  m_sites = std::move(sites);
  m_defaults = std::move(defaultTargets);
  m_kinds.clear();
  m_layers.clear();
  m_at.clear();
  m_selected.assign(m_sites.size(), false);
  m_ranks.assign(m_sites.size(), 0);

  // Within one layer a last name part may occur twice (BERT: attention.output.dense and output.dense); such kinds are
  // told apart by as many trailing parts as it takes.
  const auto trailing = [](const std::string& name, size_t parts) {
    size_t at = name.size();
    for (size_t i = 0; i < parts && at != std::string::npos && at > 0; ++i) at = name.rfind('.', at - 1);
    return at == std::string::npos || at == 0 ? name : name.substr(at + 1);
  };
  const auto hasLayerNumber = [](const std::string& label) { return label[0] >= '0' && label[0] <= '9'; };
  std::vector<std::string> column(m_sites.size());
  // "downsample.0": a number alone names nothing.
  for (size_t i = 0; i < m_sites.size(); ++i) {
    column[i] = trailing(m_sites[i].name, 1);
    for (size_t parts = 2; parts <= 3 && hasLayerNumber(column[i]); ++parts) column[i] = trailing(m_sites[i].name, parts);
  }
  for (size_t parts = 2; parts <= 6; ++parts) {
    std::map<std::pair<int64_t, std::string>, int> seen;
    for (size_t i = 0; i < m_sites.size(); ++i) ++seen[{m_sites[i].layer, column[i]}];
    std::set<std::string> clashing;
    for (const auto& [key, count] : seen) {
      if (count > 1) clashing.insert(key.second);
    }
    if (clashing.empty()) break;
    for (size_t i = 0; i < m_sites.size(); ++i) {
      if (!clashing.contains(column[i])) continue;
      auto longer = trailing(m_sites[i].name, parts);
      if (!hasLayerNumber(longer)) column[i] = std::move(longer);  // a kind is the same in every layer
    }
  }
  std::set<int64_t> layers;
  for (const auto& site : m_sites) layers.insert(site.layer);
  m_layers.assign(layers.begin(), layers.end());
  for (size_t i = 0; i < m_sites.size(); ++i) {
    auto at = std::find(m_kinds.begin(), m_kinds.end(), column[i]);
    if (at == m_kinds.end()) at = m_kinds.insert(m_kinds.end(), column[i]);
    const auto row = std::lower_bound(m_layers.begin(), m_layers.end(), m_sites[i].layer) - m_layers.begin();
    m_at[{static_cast<size_t>(row), static_cast<size_t>(at - m_kinds.begin())}] = static_cast<int>(i);
  }
}

int SiteSelection::siteAt(size_t row, size_t column) const {
  const auto it = m_at.find({row, column});
  return it == m_at.end() ? -1 : it->second;
}

void SiteSelection::setRow(size_t row, bool on) {
  for (size_t c = 0; c < m_kinds.size(); ++c) {
    if (const int site = siteAt(row, c); site >= 0) setSelected(site, on);
  }
}

void SiteSelection::setColumn(size_t column, bool on) {
  for (size_t r = 0; r < m_layers.size(); ++r) {
    if (const int site = siteAt(r, column); site >= 0) setSelected(site, on);
  }
}

void SiteSelection::setAll(bool on) {
  for (size_t i = 0; i < m_sites.size(); ++i) m_selected[i] = on && !m_sites[i].lookup();
}

namespace {

SiteSelection::Share shareOf(int chosen, int present) {
  if (chosen == 0) return SiteSelection::Share::None;
  return chosen == present ? SiteSelection::Share::All : SiteSelection::Share::Some;
}

}  // namespace

SiteSelection::Share SiteSelection::rowShare(size_t row) const {
  int present = 0, chosen = 0;
  for (size_t c = 0; c < m_kinds.size(); ++c) {
    if (const int site = siteAt(row, c); site >= 0) ++present, chosen += selected(site) ? 1 : 0;
  }
  return shareOf(chosen, present);
}

SiteSelection::Share SiteSelection::columnShare(size_t column) const {
  int present = 0, chosen = 0;
  for (size_t r = 0; r < m_layers.size(); ++r) {
    if (const int site = siteAt(r, column); site >= 0) ++present, chosen += selected(site) ? 1 : 0;
  }
  return shareOf(chosen, present);
}

int SiteSelection::selectedCount() const {
  return static_cast<int>(std::count(m_selected.begin(), m_selected.end(), true));
}

SiteSelection::Share SiteSelection::share() const {
  int present = 0, chosen = 0;
  for (size_t i = 0; i < m_sites.size(); ++i)
    if (!m_sites[i].lookup()) ++present, chosen += m_selected[i] ? 1 : 0;
  const Share of = shareOf(chosen, present);
  return of == Share::None && selectedCount() > 0 ? Share::Some : of;
}

void SiteSelection::setColumnRank(size_t column, int64_t rank) {
  for (size_t r = 0; r < m_layers.size(); ++r) {
    if (const int site = siteAt(r, column); site >= 0) setRank(site, rank);
  }
}

void SiteSelection::setRowRank(size_t row, int64_t rank) {
  for (size_t c = 0; c < m_kinds.size(); ++c) {
    if (const int site = siteAt(row, c); site >= 0) setRank(site, rank);
  }
}

int64_t SiteSelection::columnRank(size_t column) const {
  std::set<int64_t> ranks;
  for (size_t r = 0; r < m_layers.size(); ++r) {
    if (const int site = siteAt(r, column); site >= 0) ranks.insert(rankOf(site));
  }
  return ranks.empty() ? 0 : ranks.size() == 1 ? *ranks.begin() : -1;
}

int64_t SiteSelection::rowRank(size_t row) const {
  std::set<int64_t> ranks;
  for (size_t c = 0; c < m_kinds.size(); ++c) {
    if (const int site = siteAt(row, c); site >= 0) ranks.insert(rankOf(site));
  }
  return ranks.empty() ? 0 : ranks.size() == 1 ? *ranks.begin() : -1;
}

int64_t SiteSelection::fullRank() const {
  int64_t full = 0;
  for (size_t i = 0; i < m_sites.size(); ++i) {
    if (m_selected[i]) full = std::max(full, std::min(m_sites[i].out, m_sites[i].in));
  }
  return full;
}

void SiteSelection::readChoice(const SiteChoice& choice) {
  const auto& targets = choice.targetModules.empty() ? m_defaults : choice.targetModules;
  for (size_t i = 0; i < m_sites.size(); ++i) {
    const auto& site = m_sites[i];
    bool on = std::any_of(targets.begin(), targets.end(), [&](const std::string& t) {
      return t == kAllLinear ? isAllLinear(site) : targetMatches(site.name, t);
    });
    if (on && !choice.layers.empty()) {
      on = std::find(choice.layers.begin(), choice.layers.end(), site.layer) != choice.layers.end();
    }
    m_selected[i] = on;
    // The most specific pattern wins.
    size_t length = 0;
    m_ranks[i] = 0;
    for (const auto& [pattern, rank] : choice.rankPattern) {
      if (pattern.size() > length && targetMatches(site.name, pattern)) {
        length = pattern.size();
        m_ranks[i] = rank;
      }
    }
  }
}

bool SiteSelection::isDefault() const {
  for (size_t i = 0; i < m_sites.size(); ++i) {
    const bool on = std::any_of(m_defaults.begin(), m_defaults.end(),
                                [&](const std::string& t) { return targetMatches(m_sites[i].name, t); });
    if (on != m_selected[i]) return false;
  }
  return true;
}

SiteChoice SiteSelection::toChoice() const {
  SiteChoice choice;
  if (!isDefault()) {
    // A product kinds × layers? Then every ticked kind has the same set of ticked layers among the layers it exists in.
    std::set<int64_t> layers;
    std::vector<size_t> columns;
    bool outside = false;
    for (size_t c = 0; c < m_kinds.size(); ++c) {
      if (columnShare(c) == Share::None) continue;
      columns.push_back(c);
      for (size_t r = 0; r < m_layers.size(); ++r) {
        const int site = siteAt(r, c);
        if (site < 0 || !selected(site)) continue;
        outside = outside || m_layers[r] < 0;
        layers.insert(m_layers[r]);
      }
    }
    bool product = true;
    const bool allLayers = std::all_of(columns.begin(), columns.end(),
                                       [this](size_t c) { return columnShare(c) == Share::All; });
    if (!allLayers) {
      product = !outside;  // method.layers leaves out whatever has no layer number
      for (size_t c : columns) {
        for (size_t r = 0; r < m_layers.size() && product; ++r) {
          const int site = siteAt(r, c);
          if (site >= 0 && selected(site) != layers.contains(m_layers[r])) product = false;
        }
      }
    }
    // A kind's name may also fit sites of another column ("dense" fits "output.dense"): then only full names are exact.
    if (product) {
      for (size_t i = 0; i < m_sites.size() && product; ++i) {
        const bool fits = std::any_of(columns.begin(), columns.end(), [&](size_t c) {
          return targetMatches(m_sites[i].name, m_kinds[c]) && (allLayers || layers.contains(m_sites[i].layer));
        });
        product = fits == m_selected[i];
      }
    }
    if (product && !columns.empty()) {
      for (size_t c : columns) choice.targetModules.push_back(m_kinds[c]);
      if (!allLayers) choice.layers.assign(layers.begin(), layers.end());
    } else {
      for (size_t i = 0; i < m_sites.size(); ++i) {
        if (m_selected[i]) choice.targetModules.push_back(m_sites[i].name);
      }
    }
  }
  for (size_t c = 0; c < m_kinds.size(); ++c) {
    const int64_t common = columnRank(c);
    if (common > 0) {
      const bool exact = std::none_of(m_sites.begin(), m_sites.end(), [&](const SiteInfo& site) {
        const auto i = static_cast<size_t>(&site - m_sites.data());
        return targetMatches(site.name, m_kinds[c]) && m_ranks[i] != common;
      });
      if (exact) {
        choice.rankPattern[m_kinds[c]] = common;
        continue;
      }
    }
    for (size_t r = 0; r < m_layers.size(); ++r) {
      const int site = siteAt(r, c);
      if (site >= 0 && rankOf(site) > 0) choice.rankPattern[m_sites[static_cast<size_t>(site)].name] = rankOf(site);
    }
  }
  return choice;
}

}  // namespace rankscope::ui
