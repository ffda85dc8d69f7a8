#define RS_TABLE_NAME rowTableBaseline
#include "kernels/cpu/simd/row_kernels.inl"
