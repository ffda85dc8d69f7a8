#include "core/data/masking.h"

#include "core/data/batch_plan.h"

namespace rankscope {
namespace {

double uniform(SplitMix64& draws) { return static_cast<double>(draws.next() >> 11) * 0x1.0p-53; }

}  // namespace

Result<TokenMasking> TokenMasking::make(const Tokenizer& tokenizer, double share, uint64_t seed) {
  TokenMasking masking;
  masking.share = share;
  masking.seed = seed;
  masking.maskId = tokenizer.special().mask;
  if (masking.maskId < 0)
    return Error{ErrorCode::Usage, "the model's tokenizer has no mask token", "data.task", "masked_lm",
                 "an encoder's tokenizer, such as BERT's or RoBERTa's", "Choose another base model, or the task causal_lm."};
  for (int32_t id = 0; id < tokenizer.vocabSize(); ++id)
    if (!tokenizer.isSpecial(id) && !tokenizer.idToPiece(id).empty()) masking.words.push_back(id);
  return masking;
}

MaskedExample maskExample(const ExampleView& example, const TokenMasking& masking, uint64_t draw, uint64_t number) {
  // Each part is mixed before the next is added, so that neighbouring draws and examples are unrelated.
  SplitMix64 draws(SplitMix64(SplitMix64(SplitMix64(masking.seed).next() + draw).next() + number).next());
  MaskedExample masked;
  masked.ids.assign(example.ids.begin(), example.ids.end());
  masked.labels.assign(example.length(), kIgnoreLabel);
  std::vector<size_t> open;
  const auto hide = [&](size_t place) {
    masked.labels[place] = example.ids[place];
    const double what = uniform(draws);
    if (what < 0.8) masked.ids[place] = masking.maskId;
    else if (what < 0.9 && !masking.words.empty()) masked.ids[place] = masking.words[draws.below(masking.words.size())];
  };
  bool any = false;
  for (size_t i = 0; i < example.length(); ++i) {
    if (example.lossMask.empty() || !example.lossMask[i]) continue;
    open.push_back(i);
    if (uniform(draws) >= masking.share) continue;
    hide(i);
    any = true;
  }
  if (!any && !open.empty()) hide(open[draws.below(open.size())]);
  return masked;
}

}  // namespace rankscope
