#include "core/text/chat_recognition.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/files.h"
#include "core/config/text_shown.h"
#include "core/io/gguf_model.h"
#include "core/io/shard_index.h"
#include "core/text/jinja.h"
#include "core/text/tokenizer_files.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
constexpr size_t kMaxSourceBytes = 256u << 10;
const ChatTokens kProbeTokens{"<probe-bos>", "<probe-eos>"};

using Conversation = std::vector<ChatTurn>;

// Every place where templates differ: with and without a system text, first and later turns, white space at the edges,
// line ends within, an assistant's thoughts.
const std::vector<Conversation>& probes() {
  using enum ChatRole;
  static const std::vector<Conversation> list = {
      {{User, "What is a rank?"}},
      {{User, "One"}, {Assistant, "Two"}},
      {{System, "Be brief."}, {User, "Hello"}},
      {{System, "Be brief."}, {User, "Hello"}, {Assistant, "Hi."}, {User, "And?"}},
      {{User, "a"}, {Assistant, "b"}, {User, "c"}, {Assistant, "d"}, {User, "e"}},
      {{User, "  padded\n"}, {Assistant, "\n padded too \n\n"}, {User, " more "}, {Assistant, " end "}},
      {{System, " \nkept?\n\n"}, {User, " x\ny "}, {Assistant, " z"}, {User, "w"}, {Assistant, "v"}},
      {{User, "Why?"}, {Assistant, "<think>\nwell\n</think>\n\nSo."}, {User, "Sure?"}, {Assistant, "<think>hm</think>\nYes."}},
  };
  return list;
}

struct Outcome {
  std::string text;
  bool refused = false;
  bool operator==(const Outcome&) const = default;
};

Outcome named(const ChatTemplate& known, const Conversation& turns, bool generation) {
  Result<RenderedChat> rendered = known.render(turns, generation, kProbeTokens);
  if (!rendered) return {"", true};
  return {rendered->text, false};
}

Result<Outcome> own(const JinjaTemplate& source, const Conversation& turns, bool generation) {
  json messages = json::array();
  for (const ChatTurn& turn : turns) messages.push_back({{"role", chatRoleName(turn.role)}, {"content", turn.text}});
  Result<JinjaOutput> rendered = source.render({{"messages", messages}, {"add_generation_prompt", generation},
                                                {"tools", nullptr}, {"documents", nullptr},
                                                {"bos_token", kProbeTokens.bos}, {"eos_token", kProbeTokens.eos}});
  if (!rendered) return rendered.error();
  return Outcome{rendered->refused ? std::string() : rendered->text, rendered->refused};
}

// The model's outcomes without and with the request to begin an answer (where a question stands last).
struct Outcomes {
  Outcome plain, asking;
  bool asks = false;
};

bool matches(const ChatTemplate& known, const std::vector<Outcomes>& outcomes, std::string* difference) {
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const Conversation& turns = probes()[i];
    const Outcome asking = named(known, turns, true);
    // A template that always begins an answer pays no heed to the request; what it makes of turns is the same.
    const bool plain = outcomes[i].plain == named(known, turns, false) || outcomes[i].plain == asking;
    if (plain && (!outcomes[i].asks || outcomes[i].asking == asking)) continue;
    if (difference) {
      const Outcome& theirs = plain ? outcomes[i].asking : outcomes[i].plain;
      const Outcome ours = plain ? asking : named(known, turns, false);
      const auto at = std::mismatch(theirs.text.begin(), theirs.text.end(), ours.text.begin(), ours.text.end()).first;
      const auto from = static_cast<size_t>(std::max<std::ptrdiff_t>(0, at - theirs.text.begin() - 12));
      *difference = theirs.refused ? "it refuses the conversation" : shown(theirs.text.substr(from), 60);
    }
    return false;
  }
  return true;
}

// The text that the model puts where no system text is given, read off the named template's frame around it.
std::optional<std::string> inferredSystem(ChatTemplate known, const Outcome& plain) {
  if (!known.takesSystem() || plain.refused) return std::nullopt;
  const std::string mark = "<probe-system>";
  known.defaultSystem = mark;
  const Outcome framed = named(known, probes()[0], false);
  const size_t at = framed.text.find(mark);
  if (at == std::string::npos) return std::nullopt;
  const std::string before = framed.text.substr(0, at), after = framed.text.substr(at + mark.size());
  if (plain.text.size() < before.size() + after.size() || !plain.text.starts_with(before)) return std::nullopt;
  const size_t end = plain.text.rfind(after);
  if (end == std::string::npos || end < before.size()) return std::nullopt;
  return plain.text.substr(before.size(), end - before.size());
}

Error notRecognised(std::string found, const ChatTemplateList& known) {
  std::string names;
  for (const ChatTemplate& each : known.templates) names += (names.empty() ? "" : ", ") + each.name;
  return {ErrorCode::BadInput, "the model's chat template is none of the named ones", "chat template", std::move(found), names,
          "Name the template that the model was taught with (data.chat_template), or set it to none."};
}

}  // namespace

Result<std::optional<std::string>> readChatTemplateSource(const fs::path& folder) {
  std::error_code code;
  if (fs::is_regular_file(folder / "chat_template.jinja", code)) {
    Result<std::string> text = readFileBounded(folder / "chat_template.jinja", kMaxSourceBytes);
    if (!text) return text.error();
    return std::optional(std::move(*text));
  }
  if (!fs::is_regular_file(folder / "tokenizer_config.json", code)) {
    const Result<WeightFiles> weights = findWeightFiles(folder);
    if (!weights || weights->files.front().extension() != ".gguf") return std::optional<std::string>();
    Result<std::string> text = readGgufChatTemplate(weights->files.front());
    if (!text) return text.error();
    return text->empty() ? std::nullopt : std::optional(std::move(*text));
  }
  Result<TokenizerConfig> config = TokenizerConfig::read(folder);
  if (!config) return config.error();
  const auto bad = [&](const std::string& found) {
    return Error{ErrorCode::BadInput, "the model's chat template cannot be told", pathText(folder / "tokenizer_config.json"), found,
                 "a text, or a list with one named \"default\"", "Name the template with data.chat_template, or set it to none."};
  };
  const auto entry = config->json.find("chat_template");
  if (entry == config->json.end() || entry->is_null()) return std::optional<std::string>();
  if (entry->is_string()) return std::optional(entry->get<std::string>());
  if (!entry->is_array()) return bad("something else");
  for (const json& each : *entry)
    if (each.is_object() && each.value("name", json()) == "default" && each.value("template", json()).is_string())
      return std::optional(each["template"].get<std::string>());
  return bad("a list without a default");
}

Result<ChatTemplate> recogniseChatTemplate(const std::string& source, const ChatTemplateList& known) {
  Result<JinjaTemplate> parsed = JinjaTemplate::parse(source);
  if (!parsed) return parsed.error();
  std::vector<Outcomes> outcomes;
  for (const Conversation& turns : probes()) {
    Outcomes both;
    Result<Outcome> plain = own(*parsed, turns, false);
    if (!plain) return plain.error();
    both.plain = std::move(*plain);
    both.asks = turns.back().role == ChatRole::User;
    if (both.asks) {
      Result<Outcome> asking = own(*parsed, turns, true);
      if (!asking) return asking.error();
      both.asking = std::move(*asking);
    }
    outcomes.push_back(std::move(both));
  }
  for (const ChatTemplate& each : known.templates) {
    if (matches(each, outcomes, nullptr)) return each;
    ChatTemplate other = each;
    other.defaultSystem.reset();
    if (matches(other, outcomes, nullptr)) return other;
    other.defaultSystem = inferredSystem(each, outcomes[0].plain);
    if (other.defaultSystem && matches(other, outcomes, nullptr)) return other;
  }
  // The nearest: the one that agrees longest on the first conversation with a system text.
  const ChatTemplate* nearest = nullptr;
  std::ptrdiff_t longest = 0;
  for (const ChatTemplate& each : known.templates) {
    const std::string& theirs = outcomes[3].plain.text;
    const std::string ours = named(each, probes()[3], false).text;
    const std::ptrdiff_t same = std::mismatch(theirs.begin(), theirs.end(), ours.begin(), ours.end()).first - theirs.begin();
    if (same > longest) {
      longest = same;
      nearest = &each;
    }
  }
  std::string difference;
  if (nearest) matches(*nearest, outcomes, &difference);
  return notRecognised(nearest ? fmt::format("begins as {}, but writes {}", nearest->title, difference) : shown(outcomes[0].plain.text, 80),
                       known);
}

Result<std::optional<ChatTemplate>> chatTemplateFor(const std::string& wanted, const fs::path& modelFolder,
                                                    const fs::path& templateFolder) {
  if (wanted == "none") return std::optional<ChatTemplate>();
  const auto missing = [&](const ChatTemplateList& list) -> Error {
    if (!list.problems.empty()) return list.problems.front();
    return {ErrorCode::Usage, "no chat template of this name", "data.chat_template", shown(wanted), pathText(templateFolder),
            "Choose auto, none or the name of a file there."};
  };
  if (wanted != "auto") {
    const ChatTemplateList known = loadChatTemplates(templateFolder);
    const ChatTemplate* found = known.find(wanted);
    if (!found) return missing(known);
    return std::optional(*found);
  }
  Result<std::optional<std::string>> source = readChatTemplateSource(modelFolder);
  if (!source) return source.error();
  if (!*source) return std::optional<ChatTemplate>();
  const ChatTemplateList known = loadChatTemplates(templateFolder);
  if (known.templates.empty()) return missing(known);
  Result<ChatTemplate> found = recogniseChatTemplate(**source, known);
  if (!found) {
    Error error = found.error();
    error.where = pathText(modelFolder) + ": " + error.where;
    return error;
  }
  return std::optional(std::move(*found));
}

}  // namespace rankscope
