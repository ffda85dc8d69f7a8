#include "kernels/four_bit_ops.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

NotBuilt checkQuant(const Case& golden, Findings& findings) {
  const at::Tensor source = golden.get("weight");
  const auto& meta = golden.meta();
  const bool twice = meta.value("double_quant", false);
  const auto block = static_cast<int64_t>(number(meta, "block"));
  // The producer names the format in its words and by its table of levels.
  const bool floating = golden.get("code_table")[0].item<float>() == 0;
  const auto weight = kernels::quantiseFourBit(source, floating ? kernels::four_bit::Format::FP4 : kernels::four_bit::Format::NF4, block, twice);
  Tolerance exact;
  exact.absolute = 1e-7;
  const float* levels = floating ? kernels::four_bit::kFloatLevels : kernels::four_bit::kNormalLevels;
  findings.close("levels", at::tensor(at::ArrayRef<float>(levels, kernels::four_bit::kLevels), at::kFloat),
                 golden.get("code_table"), exact);

  // A value on the rounding boundary may go to either side.
  const at::Tensor bytes = weight.packed.to(at::kLong);
  const at::Tensor codes = at::stack({bytes.div(16, "floor"), bytes.remainder(16)}, 1).flatten().narrow(0, 0, source.numel());
  const at::Tensor theirs = golden.get("codes").to(at::kLong).flatten();
  const auto different = codes.ne(theirs).sum().item<int64_t>();
  if (different > source.numel() / 1000)
    findings.fail(fmt::format("{} of {} codes differ, {} may", different, source.numel(), source.numel() / 1000));
  if (different == 0) findings.equal("packed", weight.packed, golden.get("packed").flatten());

  Tolerance close;
  close.absolute = golden.tolerance("dequant_atol", 1e-6);
  if (twice) {
    findings.close("map", kernels::dynamicMap(), golden.get("absmax_code"), exact);
    findings.close("offset", weight.offset, golden.get("offset"), close);
    findings.close("absmax2", weight.maximumScales, golden.get("absmax2"), close);
    findings.equal("absmax_u8", weight.maximumCodes, golden.get("absmax_u8"));
  } else {
    findings.close("absmax", weight.maxima, golden.get("absmax"), close);
  }
  // Where the codes agree, so must the values; and their codes must give their values.
  const at::Tensor ours = kernels::dequantiseFourBit(weight, at::kFloat).flatten();
  const at::Tensor same = codes.eq(theirs);
  findings.close("dequantised", ours.masked_select(same), golden.get("dequant").flatten().masked_select(same), close);
  auto read = weight;
  read.packed = golden.get("packed").flatten().contiguous();
  findings.close("their codes", kernels::dequantiseFourBit(read, at::kFloat), golden.get("dequant"), close);
  return std::nullopt;
}

}  // namespace rankscope::golden
