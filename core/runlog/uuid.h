#pragma once
// Random identifiers (RFC 4122, version 4) in lower case, from the kernel's random source.

#include <string>
#include <string_view>

namespace rankscope {

std::string newUuid();
// Exactly 8-4-4-4-12 hexadecimal digits.
bool isUuid(std::string_view text);

}  // namespace rankscope
