#pragma once
// How people call a model or a data file that an option names by path ("starter:model", "/data/mrpc/train.tsv"): one rule
// for run names, the store's columns and the pickers. Pure functions.

#include <string>

namespace rankscope {

// "models:all-MiniLM-L6-v2" -> "all-MiniLM-L6-v2"; where the folder's own name says nothing ("…/stories260K/hf",
// "starter:model"), the one above it.
std::string shortModelName(const std::string& named);

// Without the ending: "starter:data/reviews_train.jsonl" -> "reviews_train"; "mrpc/train.tsv" -> "mrpc".
std::string shortDataName(const std::string& named);

}  // namespace rankscope
