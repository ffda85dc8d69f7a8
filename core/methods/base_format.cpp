#include "core/methods/base_format.h"

#include "core/methods/method_options.h"

namespace rankscope {

Result<BaseFormat> baseFormatOf(const MethodSettings& settings) {
  BaseFormat format;
  const std::string name = partNames(settings).base;
  if (name == "plain") return format;
  if (name != "nf4" && name != "fp4")
    return Error{ErrorCode::Usage, "There is no such format of base weights", "method.base", name, "plain, nf4, fp4",
                 "Choose one of these."};
  format.fourBit = true;
  format.code = name == "nf4" ? kernels::four_bit::Format::NF4 : kernels::four_bit::Format::FP4;
  auto block = countOption(settings, "quant_block", format.block, 32);
  if (!block) return block.error();
  if (*block > 4096 || (*block & (*block - 1)) != 0)
    return Error{ErrorCode::Usage, "The block of 4-bit weights is not a power of two", "method.quant_block",
                 std::to_string(*block), "32, 64, … 4096", "Choose 64, as QLoRA does."};
  format.block = *block;
  auto doubled = flagOption(settings, "double_quant", format.doubleQuantised);
  if (!doubled) return doubled.error();
  format.doubleQuantised = *doubled;
  auto sites = choiceOption(settings, "quant_sites", "blocks", {"blocks", "adapted"});
  if (!sites) return sites.error();
  format.adaptedOnly = *sites == "adapted";
  return format;
}

bool isCoded(const BaseFormat& format, const SiteShape& site, bool adapted) {
  return format.fourBit && site.operation == SiteOperation::Linear && site.layer >= 0 && (adapted || !format.adaptedOnly);
}

// A float32 maximum a block; under double quantisation a byte, with a float32 a group of them and one for their mean.
int64_t codedBytes(const BaseFormat& format, int64_t values) {
  const auto groupsOf = [](int64_t count, int64_t size) { return (count + size - 1) / size; };
  const int64_t blocks = groupsOf(values, format.block);
  const int64_t scales = groupsOf(blocks, kernels::four_bit::kScaleBlock);
  return groupsOf(values, 2) + (format.doubleQuantised ? blocks + 4 * scales + 4 : 4 * blocks);
}

void keepInFourBits(const BaseFormat& format, Model& model, LinearSite& site, const at::Tensor& weight) {
  const at::NoGradGuard noGrad;
  const bool wide = weight.scalar_type() != at::kFloat && weight.scalar_type() != at::kBFloat16;
  const at::Tensor values = (wide ? weight.to(at::kFloat) : weight.detach()).contiguous();
  if (!at::isfinite(values.abs().max()).item<bool>())
    throw ErrorException({ErrorCode::BadInput, "A weight that is not finite cannot be kept in 4 bits", site.name,
                          "infinite values or none at all", "finite values",
                          "Fetch the model again, or set method.base to plain."});
  model.codeSite(site, kernels::quantiseFourBit(values, format.code, format.block, format.doubleQuantised));
}

}  // namespace rankscope
