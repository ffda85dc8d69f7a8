#pragma once
// What a case found: every comparison, measured in units of its tolerance, and the worst of them.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

namespace rankscope::golden {

struct Tolerance {
  double absolute = 0;
  double relative = 0;  // to each expected value; with relativeToLargest, to the largest of the tensor
  bool relativeToLargest = false;
  // AdamW divides by √v, so an entry whose gradient is nearly 0 may take another sign elsewhere: a hundredth of the
  // entries may lie beyond (the manifest's own rule).
  bool quantile99 = false;
};

class Findings {
 public:
  void close(const std::string& what, const at::Tensor& got, const at::Tensor& expected, const Tolerance& tolerance);
  void close(const std::string& what, double got, double expected, const Tolerance& tolerance);
  void equal(const std::string& what, const at::Tensor& got, const at::Tensor& expected);
  void equal(const std::string& what, int64_t got, int64_t expected);
  void fail(const std::string& reason) { m_failures.push_back(reason); }

  bool passed() const { return m_failures.empty() && m_comparisons > 0; }
  int comparisons() const { return m_comparisons; }
  const std::vector<std::string>& failures() const { return m_failures; }
  // "worst 2.1e-06 of 2e-05 allowed at losses"
  std::string worst() const;

 private:
  std::vector<std::string> m_failures;
  int m_comparisons = 0;
  double m_worstShare = -1, m_worstError = 0, m_worstAllowed = 0;
  std::string m_worstWhat;
};

}  // namespace rankscope::golden
