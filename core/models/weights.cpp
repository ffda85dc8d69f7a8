#include "core/models/weights.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>
#include <set>

#include "core/io/weight_source.h"

namespace rankscope {

namespace {

bool endsWith(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() && text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

std::string shapeText(const std::vector<int64_t>& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

at::ScalarType heldType(const ParameterSpec& spec, const ModelLoadOptions& options) {
  return spec.norm || options.keepFloat32 ? at::kFloat : options.dtype;
}

// One block of memory for the entries first … last of a stack, and the views that are the parameters.
std::vector<at::Tensor> allocate(const WeightPlan& plan, const ModelLoadOptions& options) {
  std::vector<at::Tensor> tensors;
  const auto& specs = plan.parameters;
  for (size_t i = 0; i < specs.size();) {
    size_t end = i + 1;
    if (!specs[i].stack.empty())
      while (end < specs.size() && specs[end].stack == specs[i].stack) ++end;
    int64_t total = 0;
    for (size_t k = i; k < end; ++k) total += c10::multiply_integers(specs[k].shape);
    const auto block = at::empty({total}, at::TensorOptions(heldType(specs[i], options)));
    int64_t offset = 0;
    for (size_t k = i; k < end; ++k) {
      const auto count = c10::multiply_integers(specs[k].shape);
      tensors.push_back(block.narrow(0, offset, count).view(specs[k].shape));
      offset += count;
    }
    i = end;
  }
  return tensors;
}

void draw(const ParameterSpec& spec, double range, at::Generator& generator, at::Tensor& into) {
  switch (spec.start) {
    case StartValue::Zeros: into.zero_(); return;
    case StartValue::Ones: into.fill_(1); return;
    case StartValue::Normal: break;
  }
  // Drawn in float32 whatever the held type, so that both compute types start from the same numbers.
  auto values = at::empty(into.sizes(), at::kFloat).normal_(0, range, generator);
  if (spec.zeroRow >= 0 && spec.zeroRow < values.size(0)) values.select(0, spec.zeroRow).zero_();
  into.copy_(values);
}

std::optional<std::string> nameInFile(const WeightSource& source, const WeightPlan& plan, const std::string& name) {
  std::vector<std::string> candidates{name};
  if (!plan.basePrefix.empty() && name.rfind(plan.basePrefix, 0) == 0)
    candidates.push_back(name.substr(plan.basePrefix.size()));
  const auto plain = candidates.size();
  for (const auto& [now, former] : plan.oldSuffixes)
    for (size_t i = 0; i < plain; ++i)
      if (endsWith(candidates[i], now))
        candidates.push_back(candidates[i].substr(0, candidates[i].size() - now.size()) + former);
  for (const auto& candidate : candidates)
    if (source.contains(candidate)) return candidate;
  return std::nullopt;
}

std::string listed(const std::vector<std::string>& items) {
  constexpr size_t kShown = 12;
  std::vector<std::string> head(items.begin(), items.begin() + static_cast<int64_t>(std::min(items.size(), kShown)));
  auto text = fmt::format("{}", fmt::join(head, "; "));
  if (items.size() > kShown) text += fmt::format("; and {} more", items.size() - kShown);
  return text;
}

bool ignored(const WeightPlan& plan, const std::string& name) {
  for (const auto& suffix : plan.ignoredSuffixes)
    if (endsWith(name, suffix)) return true;
  for (const auto& [alias, target] : plan.aliases)
    if (name == alias) return true;
  return false;
}

}  // namespace

Result<void> fillParameters(const std::filesystem::path& folder, const WeightPlan& plan,
                            const ModelLoadOptions& options, ParameterTable& table, LoadReport& report) {
  auto generator = at::detail::createCPUGenerator(options.seed);
  std::optional<WeightSource> source;
  if (!options.randomInit) {
    auto opened = WeightSource::open(folder);
    if (!opened) return opened.error();
    source = std::move(opened).value();
  }

  // Everything is checked before anything is allocated.
  std::vector<std::optional<std::string>> found(plan.parameters.size());
  std::vector<std::string> problems;
  std::set<std::string> used;
  for (size_t i = 0; source && i < plan.parameters.size(); ++i) {
    const auto& spec = plan.parameters[i];
    found[i] = nameInFile(*source, plan, spec.name);
    if (!found[i]) {
      if (!spec.isHead) problems.push_back(fmt::format("{} is missing", spec.name));
      continue;
    }
    used.insert(*found[i]);
    const auto* info = source->info(*found[i]);
    const std::vector<int64_t> shape(info->shape.begin(), info->shape.end());
    if (shape == spec.shape) continue;
    // A head made for another number of labels is drawn anew, as the published implementation can be told to.
    if (spec.isHead) {
      found[i].reset();
      continue;
    }
    problems.push_back(fmt::format("{} is {}, not {}", *found[i], shapeText(shape), shapeText(spec.shape)));
  }
  if (!problems.empty())
    return Error{ErrorCode::BadInput, fmt::format("{} tensors do not fit the model", problems.size()),
                 folder.string(), listed(problems),
                 "every parameter that config.json implies, in its shape",
                 "Check that config.json and the weights belong together and that the download is complete."};

  auto tensors = allocate(plan, options);
  for (size_t i = 0; i < plan.parameters.size(); ++i) {
    const auto& spec = plan.parameters[i];
    if (found[i]) {
      auto value = source->tensor(*found[i]);
      if (!value) return value.error();
      tensors[i].copy_(*value);
    } else {
      draw(spec, plan.initializerRange, generator, tensors[i]);
      if (source) report.newlyInitialised.push_back(spec.name);
    }
    table.add(spec.name, tensors[i]);
  }
  for (const auto& [alias, target] : plan.aliases) table.alias(alias, target);
  if (source)
    for (const auto& name : source->names())
      if (!used.count(name) && !ignored(plan, name)) report.unused.push_back(name);
  return {};
}

}  // namespace rankscope
