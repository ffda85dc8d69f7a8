#pragma once
// What a method is, told by its name: which options apply, what is saved, what can be merged. Read by the option table,
// by the store and the views, and by core/methods/registry.cpp, whose list tests/arch holds against this one. No torch.

#include <string>
#include <string_view>
#include <vector>

namespace rankscope {

enum class MethodKind {
  Full,      // weights of the model train; the whole model is saved
  Biases,    // biases of the model train; they alone are saved
  LowRank,   // factors at the model's matrices (core/config/method_parts.h)
  Inserted,  // modules that the model did not have: adapters, prefixes, edits of hidden states
};

// LowRank for a name that is none of the others'.
MethodKind methodKind(std::string_view method);
// Names of all methods of the other kinds than low-rank.
const std::vector<std::string>& methodsWithoutFactors();
// Whether method.rank is among the method's options: low-rank methods, and edits of hidden states.
bool hasRank(std::string_view method);

}  // namespace rankscope
