#include "core/models/weights.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
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

// One block of memory for the entries first … last of a stack, and the views that are the parameters; undefined for those
// that stay in the file.
std::vector<at::Tensor> allocate(const WeightPlan& plan, const ModelLoadOptions& options, const std::vector<bool>& staysInFile) {
  std::vector<at::Tensor> tensors;
  const auto& specs = plan.parameters;
  for (size_t i = 0; i < specs.size();) {
    size_t end = i + 1;
    if (!specs[i].stack.empty())
      while (end < specs.size() && specs[end].stack == specs[i].stack) ++end;
    int64_t total = 0;
    for (size_t k = i; k < end; ++k)
      if (!staysInFile[k]) total += c10::multiply_integers(specs[k].shape);
    const auto block = at::empty(
        {total}, at::TensorOptions(heldType(specs[i], options)).device(options.shapesOnly ? at::kMeta : at::kCPU));
    int64_t offset = 0;
    for (size_t k = i; k < end; ++k) {
      if (staysInFile[k]) {
        tensors.emplace_back();
        continue;
      }
      const auto count = c10::multiply_integers(specs[k].shape);
      const auto part = block.narrow(0, offset, count);
      const auto& shape = specs[k].shape;
      tensors.push_back(specs[k].transposed ? part.view({shape[1], shape[0]}).t() : part.view(shape));
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
  auto values = at::empty(into.sizes(), at::kFloat).normal_(0, range * spec.spread, generator);
  if (spec.zeroRow >= 0 && spec.zeroRow < values.size(0)) values.select(0, spec.zeroRow).zero_();
  into.copy_(values);
}

// The names under which a checkpoint may hold a parameter: as it is, without the family's base prefix, in a former
// spelling, and each of them inside `wrapper` (a program around the model: "0.auto_model.", "encoder.").
std::vector<std::string> possibleNames(const WeightPlan& plan, const std::string& name, const std::string& wrapper) {
  std::vector<std::string> candidates{name};
  if (!plan.basePrefix.empty() && name.rfind(plan.basePrefix, 0) == 0)
    candidates.push_back(name.substr(plan.basePrefix.size()));
  const auto plain = candidates.size();
  for (const auto& [now, former] : plan.oldSuffixes)
    for (size_t i = 0; i < plain; ++i)
      if (endsWith(candidates[i], now))
        candidates.push_back(candidates[i].substr(0, candidates[i].size() - now.size()) + former);
  if (!wrapper.empty())
    for (size_t i = candidates.size(); i-- > 0;) candidates.push_back(wrapper + candidates[i]);
  return candidates;
}

std::optional<std::string> nameInFile(const WeightSource& source, const WeightPlan& plan, const std::string& name,
                                      const std::string& wrapper) {
  for (const auto& candidate : possibleNames(plan, name, wrapper))
    if (source.contains(candidate)) return candidate;
  return std::nullopt;
}

// What stands before the names of a checkpoint in which the body's first parameter has no name of its own: everything
// before the only name that ends like it. Empty when the names fit as they are, or none or several do.
std::string wrapperOf(const WeightSource& source, const WeightPlan& plan) {
  const auto first = std::find_if(plan.parameters.begin(), plan.parameters.end(), [](const auto& spec) { return !spec.isHead; });
  if (first == plan.parameters.end() || nameInFile(source, plan, first->name, "")) return {};
  for (const auto& candidate : possibleNames(plan, first->name, "")) {
    std::vector<std::string> wrappers;
    for (const auto& name : source.names())
      if (endsWith(name, "." + candidate)) wrappers.push_back(name.substr(0, name.size() - candidate.size()));
    // A short name ("conv1.weight") ends others too; the wrapper is then the one that holds everything.
    if (wrappers.size() > 1)
      std::erase_if(wrappers, [&](const std::string& wrapper) {
        return !std::all_of(plan.parameters.begin(), plan.parameters.end(), [&](const ParameterSpec& spec) {
          return spec.isHead || nameInFile(source, plan, spec.name, wrapper);
        });
      });
    if (wrappers.size() == 1) return wrappers.front();
  }
  return {};
}

std::string listed(const char* title, const std::vector<std::string>& items) {
  if (items.empty()) return {};
  constexpr size_t kShown = 8;
  std::vector<std::string> head(items.begin(), items.begin() + static_cast<int64_t>(std::min(items.size(), kShown)));
  auto text = fmt::format("{}", fmt::join(head, "; "));
  if (items.size() > kShown) text += fmt::format("; and {} more", items.size() - kShown);
  return fmt::format("{} {}: {}. ", items.size(), title, text);
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
                            const ModelLoadOptions& options, ParameterTable& table, LoadReport& report,
                            ParameterTable* buffers) {
  auto generator = at::detail::createCPUGenerator(options.seed);
  std::shared_ptr<const WeightSource> source;
  if (!options.randomInit) {
    auto opened = WeightSource::open(folder);
    if (!opened) return opened.error();
    source = std::make_shared<const WeightSource>(std::move(opened).value());
  }

  // Everything is checked before anything is allocated, and all that does not fit is told at once.
  std::vector<std::optional<std::string>> found(plan.parameters.size());
  std::vector<std::string>&missing = report.missing, &misshapen = report.misshapen;
  std::set<std::string> used;
  const std::string wrapper = source ? wrapperOf(*source, plan) : std::string();
  for (size_t i = 0; source && i < plan.parameters.size(); ++i) {
    const auto& spec = plan.parameters[i];
    found[i] = nameInFile(*source, plan, spec.name, wrapper);
    if (!found[i]) {
      if (!spec.isHead) missing.push_back(fmt::format("{} {}", spec.name, shapeText(spec.shape)));
      continue;
    }
    used.insert(*found[i]);
    const auto* info = source->info(*found[i]);
    if (info->shape == spec.shape) continue;
    // A head made for another number of labels is drawn anew, as the published implementation can be told to.
    if (spec.isHead) {
      found[i].reset();
      continue;
    }
    misshapen.push_back(fmt::format("{} is {}, not {}", *found[i], shapeText(info->shape), shapeText(spec.shape)));
  }
  if (source)
    for (const auto& name : source->names())
      if (!used.count(name) && !ignored(plan, name)) report.unused.push_back(name);
  if (!report.fits() && !(options.shapesOnly && options.reportMisfits)) {
    std::vector<std::string> unexpected;
    for (const auto& name : report.unused) unexpected.push_back(fmt::format("{} {}", name, shapeText(source->info(name)->shape)));
    auto text = listed("missing", missing) + listed("misshapen", misshapen) + listed("not expected", unexpected);
    text.resize(text.size() - 2);
    return Error{ErrorCode::BadInput, fmt::format("{} tensors do not fit the model", missing.size() + misshapen.size()),
                 folder.string(), text, "every parameter that config.json implies, in its shape",
                 "Check that config.json and the weights belong together and that the download is complete."};
  }

  for (size_t i = 0; source && i < plan.parameters.size(); ++i)
    if (!found[i] && plan.parameters[i].isHead) report.newlyInitialised.push_back(plan.parameters[i].name);

  std::vector<bool> staysInFile(plan.parameters.size());
  for (size_t i = 0; i < plan.parameters.size(); ++i)
    staysInFile[i] = found[i] && options.leftInFile.count(plan.parameters[i].name) > 0;
  auto tensors = allocate(plan, options, staysInFile);
  for (size_t i = 0; i < plan.parameters.size(); ++i) {
    const auto& spec = plan.parameters[i];
    if (options.shapesOnly) {
      // Nothing is read or drawn.
    } else if (found[i]) {
      auto value = source->tensor(*found[i]);
      if (!value) return value.error();
      if (staysInFile[i]) {
        table.addView(spec.name, *value, [source, name = *found[i]] { source->release(name); });
        continue;
      }
      tensors[i].copy_(*value);
      source->release(*found[i]);  // else the whole file would be resident beside its copy
    } else {
      draw(spec, plan.initializerRange, generator, tensors[i]);
    }
    (spec.buffer ? *buffers : table).add(spec.name, tensors[i]);
  }
  for (const auto& [alias, target] : plan.aliases) table.alias(alias, target);
  return {};
}

}  // namespace rankscope
