#define RS_FEW_ROWS fewRowsAvx512
#include "kernels/cpu/simd/few_rows.inl"
