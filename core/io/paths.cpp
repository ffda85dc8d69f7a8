#include "core/io/paths.h"

#include "core/config/text_shown.h"

namespace rankscope {

Result<std::filesystem::path> joinInside(const std::filesystem::path& folder, const std::string& name,
                                         const std::string& where) {
  const std::filesystem::path part(name);
  bool inside = !name.empty() && name.find('\0') == std::string::npos && part.is_relative() &&
                name.find('\\') == std::string::npos;
  for (const std::filesystem::path& step : part) inside = inside && step != ".." && step != ".";
  if (!inside)
    return Error{ErrorCode::BadInput, "a file name leaves its folder", where, shown(name),
                 "the plain name of a file in the same folder", "Do not use this file; fetch it again from its source."};
  return folder / part;
}

}  // namespace rankscope
