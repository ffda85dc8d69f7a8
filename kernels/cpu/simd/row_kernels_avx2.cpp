#define RS_TABLE_NAME rowTableAvx2
#include "kernels/cpu/simd/row_kernels.inl"
