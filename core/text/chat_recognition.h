#pragma once
// Which named template a model's own (Jinja) chat template is. Both are given the same conversations; it is recognised
// when they make the same text of every one of them, and not otherwise. Free functions, any thread.

#include <filesystem>
#include <optional>
#include <string>

#include "core/config/result.h"
#include "core/text/chat_template.h"

namespace rankscope {

// The template's source in a model's folder: chat_template.jinja, else "chat_template" of tokenizer_config.json (of a
// list the one named "default"), else the GGUF file's. nullopt: the folder has none.
Result<std::optional<std::string>> readChatTemplateSource(const std::filesystem::path& folder);

// The template with the model's own default system text; the error says where the nearest one differs.
Result<ChatTemplate> recogniseChatTemplate(const std::string& source, const ChatTemplateList& known);

// What data.chat_template asks for: "none", "auto" (that of the folder; nullopt when it has none, an error when it is not
// recognised) or a name.
Result<std::optional<ChatTemplate>> chatTemplateFor(const std::string& wanted, const std::filesystem::path& modelFolder,
                                                    const std::filesystem::path& templateFolder);

}  // namespace rankscope
