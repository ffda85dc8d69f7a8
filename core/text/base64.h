#pragma once
// Base64 as tokenizer files use it (RFC 4648, with padding, without line ends). Free functions, any thread.

#include <optional>
#include <string>
#include <string_view>

namespace rankscope {

// nullopt when the text is not base64.
std::optional<std::string> fromBase64(std::string_view text);
std::string toBase64(std::string_view bytes);

}  // namespace rankscope
