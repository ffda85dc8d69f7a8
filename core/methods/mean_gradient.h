#pragma once
// The mean gradient of the loss with respect to the weights of some sites, over batches of the training data, without a
// step (LoRA-GA; METHODS 13). No weight is made to require a gradient: an adapter on each site sees the site's input x and,
// in backward, the gradient g of its output, and adds gᵀ x to a float32 accumulator. The accumulators are all that is held,
// whatever the precision of the weights; sites in 4 bits work as well. Training thread.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/methods/start_support.h"
#include "core/models/model.h"

namespace rankscope {

// [out, in] for each site, in their order; the sites carry no adapter before and after. Nothing else of the model changes;
// without dropout. Errors: Interrupted, or Training where a loss or a gradient is not finite.
Result<std::vector<at::Tensor>> meanGradients(Model& model, const std::vector<LinearSite*>& sites,
                                              const StartSupport& support);

// The error of an attach() that was left.
Error startInterrupted();

}  // namespace rankscope
