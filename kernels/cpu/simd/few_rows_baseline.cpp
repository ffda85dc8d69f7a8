#define RS_FEW_ROWS fewRowsBaseline
#include "kernels/cpu/simd/few_rows.inl"
