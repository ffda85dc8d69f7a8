#define RS_TABLE_NAME rowTableAvx512
#include "kernels/cpu/simd/row_kernels.inl"
