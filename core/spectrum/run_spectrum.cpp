#include "core/spectrum/run_spectrum.h"

#include <chrono>
#include <cmath>
#include <ctime>
#include <map>
#include <optional>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/config/limits.h"
#include "core/io/weight_source.h"
#include "core/models/registry.h"

namespace rankscope {
namespace {

const std::string kPeftPrefix = "base_model.model.";

// A site's name carries its family's base prefix; a checkpoint of the bare base model does not ("bert.encoder…", "encoder…").
std::optional<std::string> findWeight(const WeightSource& source, const std::string& site) {
  const std::string name = site + ".weight";
  if (source.contains(name)) return name;
  if (const size_t dot = name.find('.'); dot != std::string::npos && source.contains(name.substr(dot + 1)))
    return name.substr(dot + 1);
  return std::nullopt;
}

// PEFT's pattern rule: the key equals the site's name or is its tail after a dot.
template <typename T>
T byPattern(const nlohmann::json& config, const char* patterns, const std::string& site, T otherwise) {
  if (const auto found = config.find(patterns); found != config.end() && found->is_object())
    for (const auto& [key, value] : found->items())
      if (site == key || (site.size() > key.size() && site.ends_with(key) && site[site.size() - key.size() - 1] == '.'))
        return value.template get<T>();
  return otherwise;
}

std::string shapeText(const at::Tensor& tensor) {
  std::string text;
  for (const int64_t size : tensor.sizes()) text += (text.empty() ? "" : " × ") + std::to_string(size);
  return text;
}

struct Factors {
  at::Tensor A, B;
  at::Tensor magnitude;  // DoRA's
  double scaling = 1;
};

Result<std::map<std::string, Factors>> readAdapter(const std::filesystem::path& folder) {
  const std::filesystem::path configFile = folder / "adapter_config.json";
  const auto text = readFileBounded(configFile, limits::kConfigBytes);
  if (!text) return text.error();
  const auto config = parseJson(*text, pathText(configFile));
  if (!config) return config.error();
  const auto source = WeightSource::open(folder / "adapter_model.safetensors");
  if (!source) return source.error();
  std::map<std::string, Factors> factors;
  try {
    const bool dora = config->value("use_dora", false);
    const bool adaLora = config->value("peft_type", std::string()) == "ADALORA";
    const auto r = config->at(adaLora ? "init_r" : "r").get<int64_t>();
    const auto alpha = config->at("lora_alpha").get<double>();
    const bool rootScaling = config->value("use_rslora", false);
    for (const std::string& name : source->names()) {
      // AdaLoRA's factors have no module around them.
      const std::string ending = adaLora ? "" : ".weight";
      if (!name.starts_with(kPeftPrefix)) continue;
      const bool lookup = name.ends_with(".lora_embedding_A");
      const std::string tail = lookup ? ".lora_embedding_A" : ".lora_A" + ending;
      if (!name.ends_with(tail)) continue;
      const std::string site = name.substr(kPeftPrefix.size(), name.size() - kPeftPrefix.size() - tail.size());
      auto A = source->tensor(name, at::kDouble);
      if (!A) return A.error();
      auto B = source->tensor(kPeftPrefix + site + (lookup ? ".lora_embedding_B" : ".lora_B" + ending), at::kDouble);
      if (!B) return B.error();
      for (at::Tensor* kernels : {&*A, &*B})  // of a convolution
        if (kernels->dim() == 4) *kernels = kernels->flatten(1);
      if (A->dim() != 2 || B->dim() != 2 || B->size(1) != A->size(0))
        return Error{ErrorCode::BadInput, "the factors of an adapter do not fit each other", site,
                     fmt::format("A of {} dimensions, B of {}", A->dim(), B->dim()), "A [r, in] and B [out, r]",
                     "Save the adapter again."};
      if (adaLora) {
        if (A->size(0) == 0) continue;  // every rank of this site was pruned
        const auto entries = source->tensor(kPeftPrefix + site + ".lora_E", at::kDouble);
        if (!entries) return entries.error();
        if (entries->dim() != 2 || entries->size(0) != A->size(0) || entries->size(1) != 1)
          return Error{ErrorCode::BadInput, "an adapter's E does not fit its factors", site, shapeText(*entries),
                       fmt::format("{} × 1", A->size(0)), "Save the adapter again."};
        factors[site] = {*A * *entries, *B, {}, alpha / (static_cast<double>(r) + 1e-5)};
        continue;
      }
      const auto siteRank = byPattern<int64_t>(*config, "rank_pattern", site, r);
      const auto siteAlpha = byPattern<double>(*config, "alpha_pattern", site, alpha);
      const auto rank = static_cast<double>(siteRank);
      Factors& read = factors[site] = {*A, *B, {}, siteAlpha / (rootScaling ? std::sqrt(rank) : rank)};
      if (!dora) continue;
      auto magnitude = source->tensor(kPeftPrefix + site + ".lora_magnitude_vector", at::kDouble);
      if (!magnitude) return magnitude.error();
      if (magnitude->dim() == 4) *magnitude = magnitude->flatten();
      if (magnitude->dim() != 1 || magnitude->size(0) != B->size(0))
        return Error{ErrorCode::BadInput, "an adapter's magnitudes do not fit its factors", site,
                     shapeText(*magnitude), std::to_string(B->size(0)), "Save the adapter again."};
      read.magnitude = *magnitude;
    }
  } catch (const nlohmann::json::exception& problem) {
    return Error{ErrorCode::BadInput, "adapter_config.json cannot be used", pathText(configFile), problem.what(),
                 "PEFT's keys r and lora_alpha", "Save the adapter again, or repair the file."};
  }
  return factors;
}

// The weight as [out, in], whichever way its checkpoint lays it out.
Result<at::Tensor> readWeight(const WeightSource& source, const std::string& name, const SiteShape& shape) {
  auto weight = source.tensor(name);
  if (weight && weight->dim() == static_cast<int64_t>(shape.parameterShape().size()))
    return shape.matrixOf(*weight).contiguous();
  return weight;
}

struct Work {
  SiteShape shape;
  std::string baseName;
};

}  // namespace

Result<RunSpectrum> computeRunSpectrum(const RunSpectrumRequest& request,
                                       const std::function<bool(int64_t, int64_t, const std::string&)>& progress) {
  const auto started = std::chrono::steady_clock::now();
  const auto config = readModelConfig(request.baseModel);
  if (!config) return config.error();
  const auto family = findModelFamily(config->value("model_type", std::string()));
  if (!family) return family.error();
  const auto shapes = (*family)->siteShapes(*config);
  if (!shapes) return shapes.error();
  const auto base = WeightSource::open(request.baseModel);
  if (!base) return base.error();

  std::error_code ignored;
  const bool isAdapter = std::filesystem::exists(request.update / "adapter_config.json", ignored);
  std::map<std::string, Factors> factors;
  std::optional<WeightSource> tuned;
  if (isAdapter) {
    auto read = readAdapter(request.update);
    if (!read) return read.error();
    factors = std::move(*read);
  } else {
    auto opened = WeightSource::open(request.update);
    if (!opened) return opened.error();
    tuned.emplace(std::move(*opened));
  }

  std::vector<Work> works;
  for (const SiteShape& shape : *shapes) {
    const auto name = findWeight(*base, shape.name);
    const bool touched = isAdapter ? factors.count(shape.name) != 0 : findWeight(*tuned, shape.name).has_value();
    if (name && touched) works.push_back({shape, *name});
  }
  if (works.empty())
    return Error{ErrorCode::BadInput, "no matrix of the base model is changed by this update", pathText(request.update),
                 fmt::format("{} linear sites in {}", shapes->size(), pathText(request.baseModel)),
                 "an adapter or model of the same architecture", "Give the base model that the run was trained on."};

  RunSpectrum result;
  result.step = request.step;
  result.k = request.settings.k;
  for (size_t i = 0; i < works.size(); ++i) {
    const SiteShape& shape = works[i].shape;
    if (!progress(static_cast<int64_t>(i), static_cast<int64_t>(works.size()), shape.name))
      return Error{ErrorCode::Interrupted, "the spectrum was cancelled", shape.name, "", "", "Start it again when wanted."};
    const auto before = readWeight(*base, works[i].baseName, shape);
    if (!before) return before.error();
    const BaseSvd svd = cachedBaseSvd(*before, request.cache);
    SiteSpectrum site;
    if (isAdapter) {
      const Factors& pair = factors.at(shape.name);
      if (pair.A.size(1) != before->size(1) || pair.B.size(0) != before->size(0))
        return Error{ErrorCode::BadInput, "the adapter does not fit the base model", shape.name,
                     fmt::format("B A of shape [{}, {}]", pair.B.size(0), pair.A.size(1)),
                     fmt::format("[{}, {}]", before->size(0), before->size(1)),
                     "Give the base model that the run was trained on."};
      site = pair.magnitude.defined()
                 ? doraSpectrum(svd, *before, pair.A, pair.B, pair.scaling, pair.magnitude, request.settings)
                 : lowRankSpectrum(svd, pair.A, pair.B, pair.scaling, request.settings);
    } else {
      const auto after = readWeight(*tuned, *findWeight(*tuned, shape.name), shape);
      if (!after) return after.error();
      if (after->sizes() != before->sizes())
        return Error{ErrorCode::BadInput, "the trained model does not fit the base model", shape.name,
                     shapeText(*after),
                     shapeText(*before),
                     "Give the base model that the run was trained on."};
      site = fullSpectrum(svd, *before, *after, request.settings);
    }
    site.site = shape.name;
    site.kind = shape.kind;
    site.layer = shape.layer;
    result.sites.push_back(std::move(site));
  }
  progress(static_cast<int64_t>(works.size()), static_cast<int64_t>(works.size()), "");
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  result.created = fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
  return result;
}

}  // namespace rankscope
