#include "core/models/model.h"

#include "core/models/decode.h"

namespace rankscope {

namespace {

[[noreturn]] void notCausal(const Model& model) {
  throw ErrorException({ErrorCode::Usage, "this model does not generate text", "model", model.family(),
                        "a causal language model", "Choose a causal model with its language-model head."});
}

}  // namespace

std::unique_ptr<DecodeCache> Model::newDecodeCache(int64_t, int64_t) const { notCausal(*this); }

at::Tensor Model::decode(DecodeCache&, const std::vector<int64_t>&, const PackedBatch&) { notCausal(*this); }

}  // namespace rankscope
