#pragma once
// A model case of the reference folder: its model directory, inputs as packed batches, and expected tensors.

#include <ATen/ATen.h>
#include <QtTest/QtTest>

#include <cstdlib>
#include <filesystem>

#include "core/config/json_text.h"
#include "core/io/safetensors.h"
#include "core/models/registry.h"

namespace rankscope::testing {

inline std::filesystem::path sharedFolder() {
  const char* place = std::getenv("RANKSCOPE_SHARED");
  return place ? place : "";
}

struct GoldenCase {
  std::filesystem::path folder;
  std::shared_ptr<const SafetensorsFile> file;
  nlohmann::json meta;

  explicit GoldenCase(const std::string& name) : folder(sharedFolder() / "reference/golden/models" / name) {
    auto opened = SafetensorsFile::open(folder / "io.safetensors");
    if (!opened) qFatal("%s", opened.error().message().c_str());
    file = *opened;
    auto json = readJsonFile(folder / "io.json");
    if (!json) qFatal("%s", json.error().message().c_str());
    meta = *json;
  }
  at::Tensor get(const std::string& name) const {
    auto tensor = file->tensor(name);
    if (!tensor) qFatal("%s", tensor.error().message().c_str());
    return tensor->clone();
  }
  double tolerance(const char* key) const { return meta["tolerance"][key].get<double>(); }
};

// [S, L] with 0/1 mask -> the rows where the mask is 1, sequence after sequence.
inline at::Tensor packRows(const at::Tensor& padded, const at::Tensor& mask) {
  return padded.flatten(0, 1).index_select(0, at::nonzero(mask.reshape(-1)).squeeze(1));
}

inline PackedBatch packBatch(const at::Tensor& ids, const at::Tensor& mask) {
  PackedBatch batch;
  batch.starts = {0};
  std::vector<at::Tensor> positions;
  for (int64_t s = 0; s < ids.size(0); ++s) {
    const auto length = mask.select(0, s).sum().item<int64_t>();
    batch.starts.push_back(batch.starts.back() + length);
    positions.push_back(at::arange(length, at::kLong));
  }
  batch.inputIds = packRows(ids, mask);
  batch.positionIds = at::cat(positions);
  return batch;
}

// labels[t] of the padded row are for token t; packed labels name the token to predict from t.
inline at::Tensor shiftedLabels(const at::Tensor& labels, const at::Tensor& mask) {
  const auto shifted = at::full_like(labels, -100);
  shifted.narrow(1, 0, labels.size(1) - 1).copy_(labels.narrow(1, 1, labels.size(1) - 1));
  return packRows(shifted, mask);
}

inline double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace rankscope::testing
