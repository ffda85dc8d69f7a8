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
    simd::dequantiseRange(m_coded, first * m_in, (first + rows) * m_in, values);
    simd::packRightTransposed(values, m_in, rows, m_in, 0, 1, out + panel * panelSize);
  }
}

void FrozenPanels::packBackward(int64_t begin, int64_t end, simd::Bf16* out) const {
  if (m_plain) return simd::packRight(m_plain, m_in, m_in, m_outs, begin, end, out);
  auto* values = Workspace::ofThisThread().slot<simd::Bf16>(kSlot, kPanelColumns * m_outs);
  const int64_t panelSize = kPanelColumns * simd::pairsOf(m_outs) * 2;
  for (int64_t panel = begin; panel < end; ++panel) {
    const int64_t first = panel * kPanelColumns, columns = std::min(kPanelColumns, m_in - first);
    for (int64_t row = 0; row < m_outs; ++row)
      simd::dequantiseRange(m_coded, row * m_in + first, row * m_in + first + columns, values + row * kPanelColumns);
    simd::packRight(values, kPanelColumns, columns, m_outs, 0, 1, out + panel * panelSize);
  }
}

}  // namespace rankscope::kernels::cpu
