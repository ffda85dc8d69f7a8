#include "core/methods/factor_files.h"

#include <ATen/ATen.h>

namespace rankscope {

std::string factorName(const SiteShape& site, char factor) {
  if (site.operation == SiteOperation::Embedding) return site.name + ".lora_embedding_" + factor;
  return site.name + ".lora_" + factor + ".weight";
}

at::Tensor factorInFile(const SiteShape& site, char factor, const at::Tensor& matrix) {
  if (site.operation != SiteOperation::Convolution) return matrix;
  return factor == 'A' ? site.parameterOf(matrix) : matrix.view({matrix.size(0), matrix.size(1), 1, 1});
}

at::Tensor magnitudeInFile(const SiteShape& site, const at::Tensor& magnitude) {
  return site.operation == SiteOperation::Convolution ? magnitude.view({1, magnitude.size(0), 1, 1}) : magnitude;
}

at::Tensor matrixFromFile(const std::string& name, const at::Tensor& tensor) {
  if (tensor.dim() != 4) return tensor;
  if (name.ends_with(".lora_magnitude_vector")) return tensor.flatten();
  return name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight") ? tensor.flatten(1) : tensor;
}

std::string factorSite(const std::string& name) {
  for (const std::string_view ending : {kFactorsA[0], kFactorsA[1], kFactorsB[0], kFactorsB[1], kMagnitude, kEntries})
    if (name.size() > ending.size() && name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  return {};
}

std::set<std::string> factorSites(const std::map<std::string, at::Tensor>& tensors) {
  std::set<std::string> sites;
  for (const auto& [name, tensor] : tensors)
    if (std::string site = factorSite(name); !site.empty()) sites.insert(std::move(site));
  return sites;
}

}  // namespace rankscope
