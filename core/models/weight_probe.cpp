#include "core/models/weight_probe.h"

namespace rankscope {
namespace {

thread_local HeadersOnly* innermost = nullptr;

// Classes that the checkpoint's config names; a head of that size is the checkpoint's own.
int64_t labelsOf(const nlohmann::json& config) {
  if (const auto names = config.find("id2label"); names != config.end() && names->is_object() && !names->empty())
    return static_cast<int64_t>(names->size());
  const auto count = config.find("num_labels");
  return count != config.end() && count->is_number_integer() && *count > 0 ? count->get<int64_t>() : 2;
}

}  // namespace

HeadersOnly::HeadersOnly() : m_outer(innermost) { innermost = this; }
HeadersOnly::~HeadersOnly() { innermost = m_outer; }
HeadersOnly* HeadersOnly::current() { return innermost; }

Result<WeightFit> probeWeights(const std::filesystem::path& folder, const nlohmann::json& config,
                               const ModelFamily& family, HeadKind head) {
  ModelLoadOptions options;
  options.head = head;
  options.numLabels = labelsOf(config);
  HeadersOnly probe;
  const Result<std::unique_ptr<Model>> loaded = family.load(folder, config, options);
  if (probe.looked) return std::move(probe.fit);
  if (!loaded) return loaded.error();
  return WeightFit();  // a family that loads without fillParameters: it did load
}

}  // namespace rankscope
