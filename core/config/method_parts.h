#pragma once
// A low-rank method is made of a site form (what a site computes from its factors), a start (their first values), a
// training rule (what happens around the optimizer's step), a scaling and a format of the base weights. A named method is a preset of these; options
// may choose others where they go together. Here are the presets and what does not combine, with the reason: read by the
// option table, by validation and by core/methods, which builds the parts. No torch.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/config/result.h"

namespace rankscope {

class RunConfig;

struct MethodParts {
  std::string form;     // method.form: plain, dora, svd
  std::string start;    // method.init: kaiming, gaussian, …
  std::string rule;     // method.rule: plain, reflora, …
  std::string scaling;  // method.scaling: rank, root_rank
  std::string base = "plain";  // method.base: plain, nf4, fp4
};

// Null for a method that is not low-rank (full, …).
const MethodParts* presetParts(std::string_view method);

// The methods that a comparison takes unless others are named.
const std::vector<std::string>& usualTwins();

// One part by its option's key ("method.rule"); null for other keys.
std::string MethodParts::*partOfKey(std::string_view key);

// The preset's parts with those that `chosen` names ("" and "auto" leave the preset's).
MethodParts combineParts(const MethodParts& preset, const MethodParts& chosen);

// The method's parts under the options of a config; empty for a method that is not low-rank.
std::optional<MethodParts> partsOf(const RunConfig& config);

// Factor on the update B A: α/r, or α/√r.
double updateScale(const MethodParts& parts, int64_t rank, double alpha);
// The same in words.
const char* updateScaleText(const MethodParts& parts);

// Why the parts do not go together, at the key to change; empty when they do.
std::optional<Error> partsProblem(const MethodParts& parts);

}  // namespace rankscope
