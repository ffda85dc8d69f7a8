#include "core/models/weight_probe.h"

#include <algorithm>

#include "core/models/config_reader.h"

namespace rankscope {
namespace {

thread_local HeadersOnly* innermost = nullptr;

}  // namespace

HeadersOnly::HeadersOnly() : m_outer(innermost) { innermost = this; }
HeadersOnly::~HeadersOnly() { innermost = m_outer; }
HeadersOnly* HeadersOnly::current() { return innermost; }

Result<WeightFit> probeWeights(const std::filesystem::path& folder, const nlohmann::json& config,
                               const ModelFamily& family, HeadKind head) {
  ModelLoadOptions options;
  options.head = head;
  options.numLabels = std::max<int64_t>(2, classCountOf(config));
  HeadersOnly probe;
  const Result<std::unique_ptr<Model>> loaded = family.load(folder, config, options);
  if (probe.looked) return std::move(probe.fit);
  if (!loaded) return loaded.error();
  return WeightFit();  // a family that loads without fillParameters: it did load
}

}  // namespace rankscope
