// LoRA-GA's start from a given gradient, by the authors' code. Its singular vectors share a free sign, and its base weight
// is compared with the start's own product taken out.
#include "core/methods/starts/lora_ga.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

NotBuilt checkStart(const Case& golden, Findings& findings) {
  const auto& meta = golden.meta();
  if (!meta.contains("stable_gamma")) return "a start from something else than gradients";
  const auto rank = static_cast<int64_t>(number(meta, "r"));
  const double scaling = number(meta, "alpha") / static_cast<double>(rank);
  const Tolerance tolerance{golden.tolerance("abs_atol", 2e-4), 0};
  for (const char* direction : {"ArB2r", "A2rBr", "ArBr"}) {
    const std::string at = std::string(direction) + "/";
    if (!golden.has(at + "grad")) continue;
    LoraGaForm form;
    form.direction = direction;
    form.gamma = number(meta, "stable_gamma");
    const Triplets triplets = leadingTriplets(golden.get(at + "grad"), 2 * rank, 0, 0, "");
    const LoraGaFactors factors = loraGaFactors(triplets, rank, scaling, {}, form);
    const at::Tensor theirA = golden.get(at + "A"), theirB = golden.get(at + "B");
    const at::Tensor signA = (factors.a * theirA).sum(1, true).sign(), signB = (factors.b * theirB).sum(0, true).sign();
    findings.close(at + "A", factors.a * signA, theirA, tolerance);
    findings.close(at + "B", factors.b * signB, theirB, tolerance);
    const at::Tensor rest = golden.get(at + "W") - scaling * theirB.mm(theirA);
    findings.close(at + "W_after", rest, golden.get(at + "W_after"), tolerance);
    const at::Tensor product = (factors.b * signB).mm(factors.a * signA);
    findings.close(at + "W_after by our factors", golden.get(at + "W") - scaling * product, golden.get(at + "W_after"),
                   tolerance);
  }
  return std::nullopt;
}

}  // namespace rankscope::golden
