#pragma once
// A conversation in one cell of a table: JSON, a list of {"role", "content"} or of ShareGPT's {"from", "value"}. Free
// functions, any thread.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/text/chat_template.h"

namespace rankscope {

// A list whose elements are all turns: kept whole as one cell instead of a column per element.
bool isConversation(const nlohmann::json& value);
// The same of a cell's text, by its beginning.
bool looksLikeConversation(std::string_view cell);
// The turns, or why they cannot be used.
std::variant<std::vector<ChatTurn>, std::string> readConversation(const std::string& cell);

}  // namespace rankscope
