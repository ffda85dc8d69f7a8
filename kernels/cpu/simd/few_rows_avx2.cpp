#define RS_FEW_ROWS fewRowsAvx2
#include "kernels/cpu/simd/few_rows.inl"
