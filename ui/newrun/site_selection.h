#pragma once
// Which linear maps of a model a method adapts, and with which rank: the grid of layers × kinds that the user ticks, and
// its translation to and from method.target_modules, method.layers and method.rank_pattern. Names match as in PEFT: a
// target or pattern fits a site when it equals its name or is its last part(s) after a dot. A value type without Qt.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace rankscope::ui {

struct SiteInfo {
  std::string name, kind;
  int64_t layer = -1;  // −1: outside the blocks
  int64_t out = 0, in = 0;     // of its matrix
  std::string operation = "linear";  // or "convolution", "embedding"
  std::vector<int64_t> shape{};      // as its checkpoint has it; empty: out × in

  bool lookup() const { return operation == "embedding"; }
};

// The three options that say which sites train.
struct SiteChoice {
  std::vector<std::string> targetModules;  // empty: the family's default
  std::vector<int64_t> layers;             // empty: all
  std::map<std::string, int64_t> rankPattern;
  bool operator==(const SiteChoice&) const = default;
};

// "q_proj" or "model.layers.0.self_attn.q_proj" against a site's name.
bool targetMatches(const std::string& siteName, const std::string& target);

class SiteSelection {
 public:
  enum class Share { None, Some, All };

  void setSites(std::vector<SiteInfo> sites, std::vector<std::string> defaultTargets);
  const std::vector<SiteInfo>& sites() const { return m_sites; }
  const std::vector<std::string>& kinds() const { return m_kinds; }    // columns, in order of appearance
  const std::vector<int64_t>& layers() const { return m_layers; }      // rows, ascending; −1 first if present
  // Index of the site at (layer, kind), −1 when the model has none there. Kinds that occur several times outside the
  // blocks get a column each under their full name.
  int siteAt(size_t row, size_t column) const;

  bool selected(int site) const { return m_selected[static_cast<size_t>(site)]; }
  void setSelected(int site, bool on) { m_selected[static_cast<size_t>(site)] = on; }
  void setRow(size_t row, bool on);
  void setColumn(size_t column, bool on);
  void setAll(bool on);  // lookups, which few runs adapt, are ticked by themselves
  Share rowShare(size_t row) const;
  Share columnShare(size_t column) const;
  Share share() const;  // of all but lookups
  int selectedCount() const;

  // 0: the common rank.
  int64_t rankOf(int site) const { return m_ranks[static_cast<size_t>(site)]; }
  void setRank(int site, int64_t rank) { m_ranks[static_cast<size_t>(site)] = rank; }
  void setColumnRank(size_t column, int64_t rank);
  void setRowRank(size_t row, int64_t rank);
  // The common own rank of a column's or row's sites: 0 when none has one, −1 when they differ.
  int64_t columnRank(size_t column) const;
  int64_t rowRank(size_t row) const;
  // Largest rank that any selected site can carry (min(out, in)); 0 without sites.
  int64_t fullRank() const;

  void readChoice(const SiteChoice& choice);
  // The shortest way to say the same: kinds × layers where the selection is such a product, else full names.
  SiteChoice toChoice() const;

 private:
  bool isDefault() const;

  std::vector<SiteInfo> m_sites;
  std::vector<std::string> m_defaults;
  std::vector<std::string> m_kinds;
  std::vector<int64_t> m_layers;
  std::map<std::pair<size_t, size_t>, int> m_at;
  std::vector<bool> m_selected;
  std::vector<int64_t> m_ranks;
};

}  // namespace rankscope::ui
