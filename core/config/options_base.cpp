// Options of what frozen base weights are kept in, in the group "method".
#include "core/config/option_groups.h"

namespace rankscope::options {

std::vector<OptionSpec> baseOptions() {
  const AppliesWhen fourBit{"method.base", {"nf4", "fp4"}};
  return {
      {.key = "method.base",
       .type = OptionType::Choice,
       .title = "Base weights",
       .defaultValue = "auto",
       .choices = {{"auto", "The method's own", "4 bits with QLoRA, otherwise as they are loaded"},
                   {"plain", "As loaded", "In the precision of the computation"},
                   {"nf4", "NF4", "4 bits a value, on the quantiles of a normal distribution"},
                   {"fp4", "FP4", "4 bits a value: sign, two bits of exponent, one of mantissa"}},
       .appliesTo = {lowRank()},
       .help = "What the frozen weights below the adapters are kept in. 4 bits need about a quarter of bfloat16's memory; "
               "the model begins as the one that the rounded weights make.",
       .paper = "QLoRA (Dettmers et al. 2023), section 3",
       .group = "method",
       .advanced = true},
      {.key = "method.double_quant",
       .type = OptionType::Flag,
       .title = "Double quantisation",
       .defaultValue = true,
       .appliesTo = {fourBit},
       .help = "The blocks' maxima are kept in 8 bits as well: 4.13 bits a value instead of 4.5.",
       .paper = "QLoRA (Dettmers et al. 2023), section 3",
       .group = "method",
       .advanced = true},
      {.key = "method.quant_block",
       .type = OptionType::Integer,
       .title = "Block of 4-bit weights",
       .unit = "values",
       .defaultValue = 64,
       .min = 32,
       .max = 4096,
       .appliesTo = {fourBit},
       .help = "Values that share a maximum, a power of two. Smaller blocks follow the weights more closely and take more "
               "memory.",
       .paper = "QLoRA (Dettmers et al. 2023), section 3",
       .group = "method",
       .advanced = true},
      {.key = "method.quant_sites",
       .type = OptionType::Choice,
       .title = "Matrices in 4 bits",
       .defaultValue = "blocks",
       .choices = {{"blocks", "All in the layers", "Every linear map of the model's layers, adapted or not"},
                   {"adapted", "Adapted ones", "Those that carry an adapter"}},
       .appliesTo = {fourBit},
       .help = "Embeddings, norms and heads are never kept in 4 bits.",
       .group = "method",
       .advanced = true},
  };
}

}  // namespace rankscope::options
