#pragma once
// The model of a run, told from its folder's headers without loading it: its sizes, its sites, how many parameters it has,
// which of them train, and what a method keeps beside them. For estimate.cpp. Any thread.

#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/methods/registry.h"
#include "core/models/registry.h"

namespace rankscope {

// Sizes that the memory of a pass depends on.
struct ModelSizes {
  int64_t hidden = 1, inner = 1, layers = 1, heads = 1, vocab = 1;
  int64_t keyValues = 1;  // columns of a layer's keys
};

struct RunModel {
  std::filesystem::path folder;
  nlohmann::json config;  // the model's config.json
  const ModelFamily* family = nullptr;
  HeadKind head = HeadKind::CausalLm;
  ModelSizes sizes;
  std::optional<ImagePass> image;  // of a family that looks at images: what one of the run's size needs
  MethodSettings settings;
  const MethodEntry* method = nullptr;
};
Result<RunModel> runModel(const RunConfig& config, const Places& places);

struct ParameterCounts {
  int64_t base = 0;               // without the head that trains
  int64_t total = 0;              // of the model with the run's head; without the factors
  std::vector<SiteShape> sites;   // in the order of the pass
  int64_t factors = 0, whole = 0; // trained: in factors, and in parameters of the model itself
  std::vector<int64_t> rankAt;    // of each of the sites, 0 where nothing is adapted
  std::vector<int64_t> keptAt;    // columns that each site keeps for backward besides
  int64_t movedByMethod = 0;      // of the factors
  int64_t state = 0;              // float32 values that the method keeps beside the optimizer's
  int64_t sought = 0, soughtWork = 0;  // float32 values while the start is sought: of all sites, and for the largest
  int64_t keptWeights = 0;        // weights that stay beside those that the method has changed
  size_t firstTrained = 0;        // the first block through which a gradient goes
  // Of the base: values kept in 4 bits, which are never in memory as they were in the file, and their memory.
  int64_t codedWeights = 0, codedBytes = 0;
  int64_t trainable() const { return factors + whole; }
};
// `classes` of the data; 0: not known.
Result<ParameterCounts> countParameters(const RunModel& model, const RunConfig& config, int64_t classes);

}  // namespace rankscope
