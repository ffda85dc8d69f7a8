#include "core/io/gguf_parts.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "core/config/text_shown.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
constexpr uint32_t kMaxParts = 4096;

Error bad(const fs::path& where, std::string what, std::string found, std::string expected, std::string hint) {
  return Error{ErrorCode::BadInput, std::move(what), where.string(), std::move(found), std::move(expected), std::move(hint)};
}

std::optional<uint32_t> fiveDigits(std::string_view text) {
  uint32_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.size() != 5 || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Result<GgufPart> openPart(const fs::path& path) {
  Result<std::shared_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file) return file.error();
  Result<GgufTable> table = parseGguf((*file)->bytes(), path.string());
  if (!table) return table.error();
  return GgufPart{std::move(*file), std::move(*table)};
}

}  // namespace

std::optional<GgufPartName> ggufPartName(const fs::path& file) {
  constexpr std::string_view kEnding = ".gguf", kOf = "-of-";
  const std::string name = file.filename().string();
  const size_t tail = 1 + 5 + kOf.size() + 5 + kEnding.size();  // "-00001-of-00003.gguf"
  if (name.size() <= tail || !name.ends_with(kEnding)) return std::nullopt;
  const std::string_view end = std::string_view(name).substr(name.size() - tail);
  const std::optional<uint32_t> number = fiveDigits(end.substr(1, 5)), count = fiveDigits(end.substr(6 + kOf.size(), 5));
  if (end[0] != '-' || end.substr(6, kOf.size()) != kOf || !number || !count || *number < 1 || *number > *count)
    return std::nullopt;
  return GgufPartName{name.substr(0, name.size() - tail), *number, *count};
}

Result<std::vector<GgufPart>> openGgufParts(const fs::path& path) {
  std::vector<GgufPart> parts;
  Result<GgufPart> first = openPart(path);
  if (!first) return first.error();
  const int64_t count = first->table.integer("split.count").value_or(0);
  const std::optional<int64_t> total = first->table.integer("split.tensors.count");
  const int64_t number = first->table.integer("split.no").value_or(0);
  parts.push_back(std::move(*first));
  if (count <= 1) return parts;
  const std::optional<GgufPartName> name = ggufPartName(path);
  if (!name || name->count != count || name->number != number + 1 || count > kMaxParts)
    return bad(path, "file is a part of a GGUF model, but is not named as one",
               fmt::format("part {} of {}", number + 1, count), "name-00001-of-00003.gguf and so on",
               "Give the parts their names again, or join them with llama.cpp's `gguf-split --merge`.");
  if (name->number != 1)
    return bad(path, "file is not the first part of its model", fmt::format("part {} of {}", name->number, count), "part 1",
               "Name the first part; all of them must lie in one folder.");
  std::set<std::string> names;
  for (uint32_t i = 1; i <= name->count; ++i) {
    if (i > 1) {
      const fs::path next = path.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", name->stem, i, name->count);
      std::error_code code;
      if (!fs::is_regular_file(next, code))
        return bad(next, "a part of the model is missing", "", fmt::format("{} parts", count),
                   "Fetch the missing file into the same folder.");
      Result<GgufPart> part = openPart(next);
      if (!part) return part.error();
      if (part->table.integer("split.count") != count || part->table.integer("split.no") != static_cast<int64_t>(i) - 1)
        return bad(next, "file is a part of another model", "", fmt::format("part {} of {}", i, count),
                   "Fetch this part again.");
      parts.push_back(std::move(*part));
    }
    for (const GgufTensor& tensor : parts.back().table.tensors) {
      if (!names.insert(tensor.name).second)
        return bad(path, "two parts hold the same tensor", shown(tensor.name, 200), "each tensor once", "Fetch the model again.");
      if (i > 1 && tensor.name == "rope_freqs.weight")
        return bad(path, "rotary factors lie outside of the first part", "", "",
                   "Join the parts with llama.cpp's `gguf-split --merge`.");
    }
  }
  if (total && static_cast<size_t>(*total) != names.size())
    return bad(path, "the parts do not hold all tensors", fmt::format("{}", names.size()), fmt::format("{}", *total),
               "Fetch the model again.");
  return parts;
}

GgufTable wholeTable(const std::vector<GgufPart>& parts) {
  GgufTable whole = parts.front().table;
  for (size_t i = 1; i < parts.size(); ++i)
    whole.tensors.insert(whole.tensors.end(), parts[i].table.tensors.begin(), parts[i].table.tensors.end());
  return whole;
}

}  // namespace rankscope
