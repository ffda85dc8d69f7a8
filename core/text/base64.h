#pragma once
// Base64 as tokenizer files use it (RFC 4648, with padding, without line ends). A free function, any thread.

#include <optional>
#include <string>
#include <string_view>

namespace rankscope {

// nullopt when the text is not base64.
std::optional<std::string> fromBase64(std::string_view text);

}  // namespace rankscope
