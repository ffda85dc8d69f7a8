#pragma once
// Clipping of all gradients by their common Euclidean norm, as torch.nn.utils.clip_grad_norm_ (METHODS 0: after the
// last micro-batch, before a method preconditions). Called on the training thread.

#include <vector>

#include "core/optim/optimizer.h"

namespace rankscope {

// The global norm before clipping. Gradients are scaled in place when it exceeds maxNorm; maxNorm <= 0 only measures.
// A gradient that is not finite is an error that names the first such parameter; then nothing is scaled.
Result<double> clipGradients(const std::vector<OptimizedParameter>& parameters, double maxNorm);

}  // namespace rankscope
