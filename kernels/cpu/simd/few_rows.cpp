#include "kernels/cpu/simd/few_rows.h"

namespace rankscope::kernels::simd {

FewRows fewRowsBaseline();
FewRows fewRowsAvx2();
FewRows fewRowsAvx512();

FewRows fewRows(Isa isa) {
  return isa == Isa::Avx512 ? fewRowsAvx512() : isa == Isa::Avx2 ? fewRowsAvx2() : fewRowsBaseline();
}

}  // namespace rankscope::kernels::simd
