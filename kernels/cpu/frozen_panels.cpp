#include "kernels/cpu/frozen_panels.h"

#include "kernels/cpu/simd/four_bit.h"

namespace rankscope::kernels::cpu {

using simd::kPanelColumns;

void FrozenPanels::packForward(int64_t begin, int64_t end, simd::Bf16* out) const {
  if (m_plain) return simd::packRightTransposed(m_plain, m_in, m_outs, m_in, begin, end, out);
  auto* values = Workspace::ofThisThread().slot<simd::Bf16>(kSlot, kPanelColumns * m_in);
  const int64_t panelSize = kPanelColumns * simd::pairsOf(m_in) * 2;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * kPanelColumns, rows = std::min(kPanelColumns, m_outs - first);
    int64_t top = 0;  // of a weight, in rows of the stack
    for (const Coded& weight : m_coded) {
      const int64_t from = std::max(first, top), to = std::min(first + rows, top + weight.rows);
      if (from < to)
        simd::dequantiseRange(weight.values, (from - top) * m_in, (to - top) * m_in, values + (from - first) * m_in);
      top += weight.rows;
    }
    simd::packRightTransposed(values, m_in, rows, m_in, 0, 1, out + panel * panelSize);
  }
}

void FrozenPanels::packBackward(int64_t begin, int64_t end, simd::Bf16* out) const {
  if (m_plain) return simd::packRight(m_plain, m_in, m_in, m_outs, begin, end, out);
  auto* values = Workspace::ofThisThread().slot<simd::Bf16>(kSlot, kPanelColumns * m_outs);
  const int64_t panelSize = kPanelColumns * simd::pairsOf(m_outs) * 2;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * kPanelColumns, columns = std::min(kPanelColumns, m_in - first);
    auto* to = values;
    for (const Coded& weight : m_coded)
      for (int64_t row = 0; row < weight.rows; ++row, to += kPanelColumns)
        simd::dequantiseRange(weight.values, row * m_in + first, row * m_in + first + columns, to);
    simd::packRight(values, kPanelColumns, columns, m_outs, 0, 1, out + panel * panelSize);
  }
}

}  // namespace rankscope::kernels::cpu
