#include "core/text/post_processor.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/config/json_text.h"
#include "core/config/text_shown.h"
#include "core/text/component_settings.h"
#include "core/text/vocabulary.h"

namespace rankscope {
namespace {

using Made = Result<PostProcessor>;
using Part = TokenTemplate::Part;

bool isId(const nlohmann::json& value) {
  return value.is_number_unsigned() && value.get<uint64_t>() <= static_cast<uint64_t>(kMaxTokenId);
}

// ["[SEP]", 102]
int32_t namedId(ComponentSettings& settings, const char* key) {
  const nlohmann::json* value = settings.find(key);
  if (value && value->is_array() && value->size() == 2 && isId((*value)[1])) return (*value)[1].get<int32_t>();
  settings.refuse(fmt::format("setting {} of the tokenizer has a wrong value", key), value ? describeJson(*value) : "nothing",
                  "a token and its id");
  return 0;
}

// One list of {"SpecialToken": {"id": "[CLS]", "type_id": 0}} and {"Sequence": {"id": "A", "type_id": 0}}.
std::vector<TokenTemplate::Item> itemsOf(ComponentSettings& settings, const char* key, const nlohmann::json& specials, size_t texts) {
  constexpr size_t kMost = 64;
  std::vector<TokenTemplate::Item> items;
  const nlohmann::json* list = settings.find(key);
  const auto refuse = [&](const nlohmann::json* what) {
    settings.refuse("template of the tokenizer cannot be used", fmt::format("{}: {}", key, what ? describeJson(*what) : "nothing"),
                    "special tokens with ids, and each text once");
    return std::vector<TokenTemplate::Item>();
  };
  if (!list || !list->is_array() || list->size() > kMost) return refuse(list);
  bool seen[2] = {false, false};
  for (const nlohmann::json& piece : *list) {
    if (!piece.is_object() || piece.size() != 1) return refuse(&piece);
    const std::string kind = piece.begin().key();
    const nlohmann::json& content = piece.begin().value();
    const auto id = content.is_object() ? content.find("id") : content.end();
    const auto type = content.is_object() ? content.find("type_id") : content.end();
    if (!content.is_object() || id == content.end() || !id->is_string() || type == content.end() || !type->is_number_unsigned() ||
        type->get<uint64_t>() > 255)
      return refuse(&piece);
    const std::string name = id->get<std::string>();
    const auto typeId = type->get<uint8_t>();
    if (kind == "Sequence" && (name == "A" || name == "B")) {
      bool& already = seen[name == "B" ? 1 : 0];
      if (already) return refuse(&piece);
      already = true;
      items.push_back({name == "A" ? Part::First : Part::Second, typeId, -1});
      continue;
    }
    const auto special = specials.is_object() ? specials.find(name) : specials.end();
    if (kind != "SpecialToken" || !specials.is_object() || special == specials.end() || !special->is_object()) return refuse(&piece);
    const auto ids = special->find("ids");
    if (ids == special->end() || !ids->is_array() || ids->size() > kMost) return refuse(&*special);
    for (const nlohmann::json& each : *ids) {
      if (!isId(each)) return refuse(&*special);
      items.push_back({Part::Special, typeId, each.get<int32_t>()});
    }
  }
  if (!seen[0] || seen[1] != (texts == 2)) return refuse(list);
  return items;
}

Made templateProcessing(ComponentSettings& settings) {
  PostProcessor result;
  const nlohmann::json* specials = settings.find("special_tokens");
  const nlohmann::json none = nlohmann::json::object();
  result.tokens.single = itemsOf(settings, "single", specials ? *specials : none, 1);
  result.tokens.pair = itemsOf(settings, "pair", specials ? *specials : none, 2);
  result.tokens.hasTypes = true;
  return result;
}

Made bert(ComponentSettings& settings) {
  PostProcessor result;
  const int32_t cls = namedId(settings, "cls"), sep = namedId(settings, "sep");
  result.tokens = TokenTemplate::bert(cls, sep);
  return result;
}

Made roberta(ComponentSettings& settings) {
  PostProcessor result;
  const int32_t cls = namedId(settings, "cls"), sep = namedId(settings, "sep");
  result.tokens = TokenTemplate::roberta(cls, sep);
  result.trimSpans = settings.flag("trim_offsets", true);
  result.prefixSpace = settings.flag("add_prefix_space", true);
  return result;
}

Made byteLevel(ComponentSettings& settings) {
  settings.ignore({"use_regex"});
  PostProcessor result;
  result.trimSpans = settings.flag("trim_offsets", true);
  result.prefixSpace = settings.flag("add_prefix_space", true);
  return result;
}

bool surrounds(const TokenTemplate& tokens) {
  return std::any_of(tokens.pair.begin(), tokens.pair.end(), [](const auto& item) { return item.part == Part::Special; });
}

Made sequence(ComponentSettings& settings) {
  const Result<std::vector<const nlohmann::json*>> list = sequenceMembers(settings, "processors");
  if (!list) return list.error();
  PostProcessor result;
  for (const nlohmann::json* json : *list) {
    const Made member = makePostProcessor(*json, settings.where());
    if (!member) return member.error();
    if (surrounds(member->tokens) || member->tokens.hasTypes) {
      if (surrounds(result.tokens)) settings.refuse("tokenizer puts special tokens around texts twice", shown(settings.type()));
      result.tokens = member->tokens;
    }
    if (member->trimSpans) {
      result.trimSpans = true;
      result.prefixSpace = member->prefixSpace;
    }
  }
  return result;
}

constexpr ComponentEntry<Made> kProcessors[] = {{"TemplateProcessing", templateProcessing},
                   {"BertProcessing", bert},
                   {"RobertaProcessing", roberta},
                   {"ByteLevel", byteLevel},
                   {"Sequence", sequence}};

}  // namespace

Made makePostProcessor(const nlohmann::json& json, const std::string& where) {
  ComponentSettings settings(json, where);
  return makeComponent(settings, settings.type(), kProcessors, "post-processor");
}

}  // namespace rankscope
