#pragma once
// A tokenizer whose ids can be told by eye, for tests of what is done with tokens. Words split at spaces; the id of a
// word is its length + 10, a line end is 5; <s> = 1, </s> = 2, [SEP]-like 3. Spans as the real ones.

#include <memory>

#include "core/text/tokenizer.h"

namespace rankscope {

// `pairs` gives BERT's layout (1 A 3 B 3 with types), else LLaMA's (1 A).
std::unique_ptr<Tokenizer> makeTestTokenizer(bool pairs);

}  // namespace rankscope
