#pragma once
// GPT-2's alphabet: each byte has a printable character of its own, so that vocabularies of bytes are texts. Free
// functions, any thread.

#include <optional>
#include <string>
#include <string_view>

namespace rankscope {

// UTF-8 of the character that stands for a byte: "a" for 'a', "Ġ" for a blank.
std::string_view byteLevelCharacter(char byte);
std::string toByteLevel(std::string_view bytes);
// The bytes that a text of that alphabet stands for; nullopt when another character occurs.
std::optional<std::string> fromByteLevel(std::string_view text);

// The expression by which GPT-2 splits a text into words.
extern const char* const kGpt2Words;

}  // namespace rankscope
