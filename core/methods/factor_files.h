#pragma once
// How PEFT's files name and shape the factors of a site. A and B are matrices [r, in] and [out, r] everywhere else;
// convolutions keep them as kernels [r, channels, k, k] and [out, r, 1, 1], embeddings under names of their own. Values,
// any thread.

#include <ATen/core/Tensor.h>

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "core/models/linear_site.h"

namespace rankscope {

// "<site>.lora_A.weight", or "<site>.lora_embedding_A"; `factor` is 'A' or 'B'.
std::string factorName(const SiteShape& site, char factor);
at::Tensor factorInFile(const SiteShape& site, char factor, const at::Tensor& matrix);
// DoRA's magnitudes [out]: [1, out, 1, 1] for a convolution.
at::Tensor magnitudeInFile(const SiteShape& site, const at::Tensor& magnitude);
// What a file holds under such a name, as a matrix or vector; other tensors as they are.
at::Tensor matrixFromFile(const std::string& name, const at::Tensor& tensor);

// Endings of the names in files, of linear sites and convolutions, and of embeddings.
inline constexpr std::string_view kFactorsA[] = {".lora_A.weight", ".lora_embedding_A"};
inline constexpr std::string_view kFactorsB[] = {".lora_B.weight", ".lora_embedding_B"};
inline constexpr std::string_view kMagnitude = ".lora_magnitude_vector", kEntries = ".lora_E";

// The site that a tensor of an adapter belongs to; "" for heads, biases and saved modules.
std::string factorSite(const std::string& name);
std::set<std::string> factorSites(const std::map<std::string, at::Tensor>& tensors);

// What a map of an adapter's tensors (or shapes) has as a factor of a site; nullptr where it has none.
template <typename Value>
const Value* factorOf(const std::map<std::string, Value>& tensors, const std::string& site,
                      const std::string_view (&endings)[2]) {
  for (const std::string_view ending : endings)
    if (const auto found = tensors.find(site + std::string(ending)); found != tensors.end()) return &found->second;
  return nullptr;
}

}  // namespace rankscope
