#pragma once
// The part of Jinja that chat templates are written in, so that a model's own template can be asked what it makes of a
// conversation. Text of strangers: size, nesting, work and output are bounded, and what is not known is an error, never
// passed over. White space is handled as transformers asks for (trim_blocks, lstrip_blocks). A parsed template is a
// value; const use from any thread.

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "core/config/result.h"

namespace rankscope {

namespace jinja {
struct Node;
}

struct JinjaOutput {
  std::string text;
  bool refused = false;  // the template called raise_exception; `text` is what it said
};

class JinjaTemplate {
 public:
  // The error names the construct that is not known here and its line.
  static Result<JinjaTemplate> parse(std::string_view text);
  // `variables` is an object. Names that are not in it are undefined.
  Result<JinjaOutput> render(const nlohmann::json& variables) const;

 private:
  std::shared_ptr<const jinja::Node> m_root;
};

}  // namespace rankscope
