#pragma once
// Foreign text made fit for a message: control characters and broken UTF-8 escaped, long text cut in the middle of
// nothing (whole characters only), in quotes. Free functions, any thread.

#include <string>
#include <string_view>

namespace rankscope {

std::string shown(std::string_view text, size_t maxBytes = 60);
// True when the bytes are well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF).
bool isValidUtf8(std::string_view text);
// Length of the well-formed character at `at`, 0 when the bytes there are broken.
size_t utf8Length(std::string_view text, size_t at);

}  // namespace rankscope
