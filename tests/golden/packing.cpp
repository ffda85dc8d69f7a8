#include "tests/golden/packing.h"

namespace rankscope::golden {

PaddedBatch readBatch(const Case& golden, const std::string& prefix, int64_t index) {
  auto part = [&](const std::string& name) -> at::Tensor {
    if (!golden.has(prefix + name)) {
      if (name == "input_ids") malformed("the case lacks a tensor", "nothing", prefix + name);
      return {};
    }
    const at::Tensor whole = golden.get(prefix + name);
    if (index < 0) return whole;
    if (whole.dim() < 2 || index >= whole.size(0))
      malformed("too few batches in " + prefix + name, "fewer", "one more");
    return whole[index];
  };
  PaddedBatch batch;
  if (golden.has(prefix + "pixel_values")) {
    batch.pixels = part("pixel_values");
    batch.labels = part("labels");
    return batch;
  }
  batch.ids = part("input_ids");
  if (batch.ids.dim() != 2 || batch.ids.scalar_type() != at::kLong)
    malformed("input_ids is not a matrix of int64", c10::str(batch.ids.sizes()), "[sequences, tokens]");
  batch.mask = part("attention_mask");
  if (!batch.mask.defined()) batch.mask = at::ones_like(batch.ids);
  batch.labels = part("labels");
  batch.tokenTypes = part("token_type_ids");
  batch.positions = part("position_ids");
  for (const at::Tensor* t : {&batch.mask, &batch.tokenTypes, &batch.positions})
    if (t->defined() && t->sizes() != batch.ids.sizes())
      malformed("a companion of input_ids has another shape", c10::str(t->sizes()), c10::str(batch.ids.sizes()));
  return batch;
}

at::Tensor packedRows(const at::Tensor& padded, const PaddedBatch& batch) {
  if (batch.pixels.defined() || padded.dim() < 2 || padded.size(0) != batch.ids.size(0) || padded.size(1) != batch.ids.size(1)) return padded;
  return padded.flatten(0, 1).index_select(0, at::nonzero(batch.mask.reshape(-1)).squeeze(1));
}

PackedBatch pack(const PaddedBatch& batch, HeadKind head, int64_t numLabels) {
  PackedBatch out;
  if (batch.pixels.defined()) {
    out.pixels = batch.pixels;
    out.labels = batch.labels;
    for (int64_t i = 0; i <= batch.pixels.size(0); ++i) out.starts.push_back(i);
    return out;
  }
  const int64_t sequences = batch.ids.size(0), length = batch.ids.size(1);
  out.starts.push_back(0);
  const at::Tensor lengths = batch.mask.ne(0).sum(1);
  for (int64_t s = 0; s < sequences; ++s) {
    const auto tokens = lengths[s].item<int64_t>();
    if (tokens == 0) malformed("a sequence has no token", "a mask of zeros", "at least one token");
    out.starts.push_back(out.starts.back() + tokens);
  }
  out.inputIds = packedRows(batch.ids, batch);
  // Hugging Face counts positions by column, also over padding, unless they are given.
  out.positionIds = packedRows(
      batch.positions.defined() ? batch.positions : at::arange(length, at::kLong).expand({sequences, length}), batch);
  if (batch.tokenTypes.defined()) out.tokenTypeIds = packedRows(batch.tokenTypes, batch);
  if (!batch.labels.defined()) return out;

  if (head == HeadKind::CausalLm) {
    if (batch.labels.sizes() != batch.ids.sizes())
      malformed("labels of a language model", c10::str(batch.labels.sizes()), c10::str(batch.ids.sizes()));
    at::Tensor shifted = at::full_like(batch.labels, -100);
    shifted.slice(1, 0, length - 1).copy_(batch.labels.slice(1, 1, length));
    if (shifted.ne(-100).logical_and(batch.mask.eq(0)).any().item<bool>())
      malformed("a label follows a token that the mask leaves out", "such a label", "-100 there");
    out.labels = packedRows(shifted, batch);
  } else if (head == HeadKind::MaskedLm) {
    if (batch.labels.sizes() != batch.ids.sizes())
      malformed("labels of a masked language model", c10::str(batch.labels.sizes()), c10::str(batch.ids.sizes()));
    out.labels = packedRows(batch.labels, batch);
  } else if (head == HeadKind::TokenSpan) {
    if (batch.labels.dim() != 2 || batch.labels.size(0) != sequences || batch.labels.size(1) != 2)
      malformed("labels of answer spans", c10::str(batch.labels.sizes()), "a start and an end for each sequence");
    out.labels = batch.labels.to(at::kLong);
  } else {
    if (batch.labels.dim() != 1 || batch.labels.size(0) != sequences)
      malformed("labels of a classifier", c10::str(batch.labels.sizes()), "one a sequence");
    out.labels = numLabels == 1 ? batch.labels.to(at::kFloat) : batch.labels.to(at::kLong);
  }
  return out;
}

}  // namespace rankscope::golden
