#include "core/methods/rules/reflora.h"
#include "kernels/reflora_ops.h"
#include "tests/golden/check.h"

namespace rankscope::golden {

NotBuilt checkRefactor(const Case& golden, Findings& findings) {
  Tolerance tolerance;
  tolerance.relative = golden.tolerance("rtol", 1e-3);
  tolerance.absolute = golden.tolerance("atol", 0);
  tolerance.relativeToLargest = true;

  std::vector<at::Tensor> a, b;
  while (golden.has(fmt::format("p{}/A", a.size()))) {
    const size_t i = a.size();
    a.push_back(golden.get(fmt::format("p{}/A", i)));
    b.push_back(golden.get(fmt::format("p{}/B", i)));
  }
  if (a.empty()) malformed("the case holds no pair", "nothing", "p0/A and p0/B");
  const auto metric = kernels::refloraMetric(a, b, refloraEpsilon(a.front().scalar_type()));
  for (size_t i = 0; i < a.size(); ++i) {
    const std::string pair = fmt::format("p{}/", i);
    if (golden.has(pair + "S")) findings.close(pair + "S", metric.s[i], golden.get(pair + "S"), tolerance);
    if (golden.has(pair + "Sinv"))
      findings.close(pair + "Sinv", metric.sInverse[i], golden.get(pair + "Sinv"), tolerance);
    const auto [newA, newB] = refloraRefactor(a[i], b[i]);
    findings.close(pair + "B A after", newB.mm(newA), b[i].mm(a[i]), tolerance);
    findings.close(pair + "A A^T against B^T B", newA.mm(newA.t()), newB.t().mm(newB), tolerance);
    // Unique up to an orthogonal factor on the rank axis, so the Gram matrices over the outer axes are compared.
    if (golden.has(pair + "A_refactored")) {
      const at::Tensor theirs = golden.get(pair + "A_refactored");
      findings.close(pair + "A^T A after", newA.t().mm(newA), theirs.t().mm(theirs), tolerance);
    }
    if (golden.has(pair + "B_refactored")) {
      const at::Tensor theirs = golden.get(pair + "B_refactored");
      findings.close(pair + "B B^T after", newB.mm(newB.t()), theirs.mm(theirs.t()), tolerance);
    }
  }
  return std::nullopt;
}

}  // namespace rankscope::golden
