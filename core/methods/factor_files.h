#pragma once
// How PEFT's files name and shape the factors of a site. A and B are matrices [r, in] and [out, r] everywhere else;
// convolutions keep them as kernels [r, channels, k, k] and [out, r, 1, 1], embeddings under names of their own. Values,
// any thread.

#include <ATen/core/Tensor.h>

#include <string>

#include "core/models/linear_site.h"

namespace rankscope {

// "<site>.lora_A.weight", or "<site>.lora_embedding_A"; `factor` is 'A' or 'B'.
std::string factorName(const SiteShape& site, char factor);
at::Tensor factorInFile(const SiteShape& site, char factor, const at::Tensor& matrix);
// DoRA's magnitudes [out]: [1, out, 1, 1] for a convolution.
at::Tensor magnitudeInFile(const SiteShape& site, const at::Tensor& magnitude);
// What a file holds under such a name, as a matrix or vector; other tensors as they are.
at::Tensor matrixFromFile(const std::string& name, const at::Tensor& tensor);

}  // namespace rankscope
