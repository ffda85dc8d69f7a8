#pragma once
// Byte-pair encoding (Sennrich et al. 2016): characters are merged pair by pair, the pair of the lowest rank first and of
// equals the leftmost. Long pieces use a heap, so that their time is n log n. Immutable but for remembered answers, any
// thread.

#include <atomic>
#include <memory>

#include "core/text/subword_model.h"

namespace rankscope {

struct BpeMerge {
  int32_t left, right, joined;
};

struct BpeOptions {
  std::string unknown;          // the piece for characters that the vocabulary lacks; "": they are left out
  std::string prefix, suffix;   // of pieces that go on a word, that end one
  bool fuseUnknown = false;     // unknown neighbours are one token
  bool byteFallback = false;    // unknown characters as <0x..> bytes, where all are in the vocabulary
  bool ignoreMerges = false;    // a piece that is a token needs no merges
};

// Open addressing from a pair of ids to the rank of its merge and what comes out.
class PairTable {
 public:
  struct Merge {
    uint32_t rank = UINT32_MAX;
    int32_t joined = -1;
  };
  explicit PairTable(const std::vector<BpeMerge>& merges);
  Merge find(int32_t left, int32_t right) const {
    const uint64_t key = keyOf(left, right);
    for (size_t slot = hashOf(key);; ++slot) {
      const Slot& candidate = m_slots[slot & m_mask];
      if (candidate.key == key) return candidate.merge;
      if (candidate.key == kEmpty) return {};
    }
  }

 private:
  static constexpr uint64_t kEmpty = UINT64_MAX;
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };
  static uint64_t keyOf(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  static size_t hashOf(uint64_t key) {
    key *= 0x9E3779B97F4A7C15u;
    return key ^ key >> 29;
  }
  std::vector<Slot> m_slots;
  size_t m_mask = 0;
};

class BpeModel : public SubwordModel {
 public:
  // merges in the order of their ranks; all ids are in the vocabulary.
  BpeModel(Vocabulary vocabulary, const std::vector<BpeMerge>& merges, BpeOptions options);
  void encode(std::string_view piece, std::vector<PieceToken>& out) const override;

 private:
  struct Symbol {
    int32_t id;
    uint32_t begin, end;
  };
  void split(std::string_view piece, std::vector<Symbol>& symbols) const;
  void merge(std::vector<Symbol>& symbols) const;
  void mergeLong(std::vector<Symbol>& symbols) const;
  bool isWhole(int32_t id, std::string_view piece) const;

  PairTable m_pairs;
  BpeOptions m_options;
  std::vector<int32_t> m_bytes;       // of byte fall-back, else empty
  std::vector<int32_t> m_characters;  // ids of the first code points, -1 where there is none
  // Whether merging a piece that is in the vocabulary ends at that piece: 0 not asked yet, 1 yes, 2 no.
  std::unique_ptr<std::atomic<uint8_t>[]> m_whole;
};

Result<std::unique_ptr<SubwordModel>> makeBpeModel(ComponentSettings& settings);
// Pairs of pieces by name into ids; `where` names the list in errors.
Result<std::vector<BpeMerge>> mergesByName(const std::vector<std::pair<std::string, std::string>>& names, const Vocabulary& vocabulary,
                                           const std::string& prefix, const std::string& where);

}  // namespace rankscope
