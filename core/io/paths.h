#pragma once
// Names that come from files are joined to a folder only when they stay inside it. Free functions, any thread.

#include <filesystem>
#include <string>

#include "core/config/result.h"

namespace rankscope {

// folder/name, refused when the name is absolute, has a ".." part, a NUL byte, or is empty. `where` names the file that
// holds the name.
Result<std::filesystem::path> joinInside(const std::filesystem::path& folder, const std::string& name,
                                         const std::string& where);

}  // namespace rankscope
