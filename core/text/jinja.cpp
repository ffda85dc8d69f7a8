#include "core/text/jinja.h"

#include "core/config/text_shown.h"
#include "core/text/jinja_nodes.h"

namespace rankscope {
namespace {
Error failed(const jinja::Failure& failure) {
  return {ErrorCode::BadInput,
          "a chat template is written in a way that is not known here",
          failure.line > 0 ? fmt::format("chat template, line {}", failure.line) : "chat template",
          failure.what,
          "",
          "Name the template with data.chat_template, or set it to none."};
}
}  // namespace

Result<JinjaTemplate> JinjaTemplate::parse(std::string_view text) {
  try {
    if (text.size() > jinja::kMaxTemplateBytes) throw jinja::Failure{fmt::format("{} bytes", text.size()), 0};
    if (!isValidUtf8(text)) throw jinja::Failure{"text that is not UTF-8", 0};
    JinjaTemplate result;
    result.m_root = std::make_shared<jinja::Node>(jinja::parseTemplate(text));
    return result;
  } catch (const jinja::Failure& failure) {
    return failed(failure);
  }
}

Result<JinjaOutput> JinjaTemplate::render(const nlohmann::json& variables) const {
  try {
    return JinjaOutput{jinja::renderTemplate(*m_root, variables), false};
  } catch (const jinja::Refusal& refusal) {
    return JinjaOutput{refusal.message, true};
  } catch (const jinja::Failure& failure) {
    return failed(failure);
  }
}

}  // namespace rankscope
