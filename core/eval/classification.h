#pragma once
// Metrics of classification, as scikit-learn defines them (METRICS.md section 9). Labels and predictions are class
// indices of equal count; empty or unequal input is an error. Free functions, any thread.

#include <cstdint>
#include <span>

#include "core/config/result.h"

namespace rankscope {

Result<double> accuracy(std::span<const int32_t> labels, std::span<const int32_t> predicted);
// 2TP / (2TP + FP + FN) of class `positive`; 0 when the class appears in neither.
Result<double> binaryF1(std::span<const int32_t> labels, std::span<const int32_t> predicted, int32_t positive = 1);
// Plain mean of the F1 of every class in labels or predictions.
Result<double> macroF1(std::span<const int32_t> labels, std::span<const int32_t> predicted);
// Matthews correlation, multi-class form (Gorodkin 2004, R_K); 0 when either side holds one class only.
Result<double> matthews(std::span<const int32_t> labels, std::span<const int32_t> predicted);

}  // namespace rankscope
