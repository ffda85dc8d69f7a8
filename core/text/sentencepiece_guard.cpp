// Bounds check of a SentencePiece model before the library sees it; see checkSentencePieceModel in sentencepiece.h.

#include <fmt/format.h>

#include <optional>
#include <vector>

#include "core/text/chars_map.h"
#include "core/text/sentencepiece.h"
#include "core/text/tokenizer_files.h"

namespace rankscope {
namespace {

Error bad(const std::string& where, const char* what) {
  return Error{ErrorCode::BadInput, "not a usable SentencePiece model", where, what, "",
               "Fetch tokenizer.model again."};
}

// Protocol-buffer wire format: varint, 64 bit, length-delimited, 32 bit.
struct WireReader {
  std::string_view bytes;
  bool broken = false;

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (bytes.empty()) break;
      const auto byte = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    broken = true;
    return 0;
  }
  std::string_view take(uint64_t count) {
    if (count > bytes.size()) {
      broken = true;
      return {};
    }
    const std::string_view part = bytes.substr(0, count);
    bytes.remove_prefix(count);
    return part;
  }
  // Next field; `payload` is set for length-delimited ones.
  bool next(uint64_t& field, std::string_view& payload) {
    payload = {};
    if (bytes.empty()) return false;
    const uint64_t tag = varint();
    field = tag >> 3;
    switch (tag & 7) {
      case 0: varint(); break;
      case 1: take(8); break;
      case 2: payload = take(varint()); break;
      case 5: take(4); break;
      default: broken = true;
    }
    if (field == 0) broken = true;
    return !broken;
  }
};

}  // namespace

Result<SentencePieceFacts> checkSentencePieceModel(std::string_view bytes, const std::string& where) {
  WireReader model{bytes};
  uint64_t field = 0;
  std::string_view payload;
  int64_t pieces = 0;
  SentencePieceFacts facts;
  while (model.next(field, payload)) {
    if (field == 1) {
      if (++pieces > kMaxTokenId) return bad(where, "it has too many pieces");
      WireReader piece{payload};
      std::string_view inner;
      uint64_t innerField = 0;
      bool named = false;
      while (piece.next(innerField, inner)) {
        if (innerField != 1) continue;
        named = named || !inner.empty();
        // The library's search tree ends a piece there and throws.
        if (inner.find('\0') != std::string_view::npos) return bad(where, "it has a piece with a null character");
      }
      if (piece.broken || !named) return bad(where, "it has a piece without text");
    } else if (field == 3 || field == 5) {  // normalizer_spec, denormalizer_spec
      WireReader spec{payload};
      std::string_view inner;
      uint64_t innerField = 0;
      while (spec.next(innerField, inner))
        if (innerField == 2 && !inner.empty()) {
          facts.changesText = true;
          if (field == 3) facts.charsMap = std::string(inner);
          if (const std::optional<const char*> problem = problemOfCharsMap(inner)) return bad(where, *problem);
        }
      if (spec.broken) return bad(where, "its normaliser is damaged");
    }
  }
  if (model.broken) return bad(where, "the file is damaged or of another kind");
  if (pieces == 0) return bad(where, "it has no pieces");
  return facts;
}

}  // namespace rankscope
