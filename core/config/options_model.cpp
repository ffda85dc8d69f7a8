// Options of the groups "run" and "model".
#include "core/config/option_groups.h"

namespace rankscope::options {

std::vector<OptionSpec> runOptions() {
  return {
      {.key = "name",
       .type = OptionType::Text,
       .title = "Name",
       .defaultValue = "",
       .emptyMeans = "made from method, rank, model and data",
       .help = "What the run is called in tables and plots. RUN on the command line may be this name.",
       .group = "run"},
      {.key = "seed",
       .type = OptionType::Integer,
       .title = "Seed",
       .defaultValue = 0,
       .min = 0,
       .max = 9007199254740991.0,
       .help =
           "Decides the start of the adapters, the order of the data, dropout and the split. The same seed on the same "
           "machine gives the same run, bit for bit.",
       .group = "run"},
      {.key = "notes",
       .type = OptionType::LongText,
       .title = "Notes",
       .defaultValue = "",
       .help = "Free text (Markdown) kept with the run.",
       .group = "run",
       .advanced = true},
  };
}

std::vector<OptionSpec> modelOptions() {
  return {
      {.key = "model.path",
       .type = OptionType::Path,
       .title = "Base model",
       .defaultValue = "",
       .help = "Folder with config.json, safetensors weights and the tokenizer. \"models:NAME\" is a folder among the "
               "user's models, \"starter:NAME\" one that comes with the program.",
       .group = "model"},
      {.key = "model.head",
       .type = OptionType::Choice,
       .title = "Head",
       .defaultValue = "auto",
       .choices = {{"auto", "By task", "The one that the task needs: the checkpoint's where it has it, else a new one"},
                   {"causal_lm", "Language model", "Predicts the next token"},
                   {"masked_lm", "Masked words", "Tells hidden tokens"},
                   {"token_span", "Answer span", "Start and end of an answer in a text"},
                   {"sequence_classification", "Classifier", "One vector per sequence to classes or a score"},
                   {"image_classification", "Image classifier", "One vector per image to classes"}},
       .help = "What sits on top of the base model.",
       .group = "model",
       .advanced = true},
      {.key = "model.random_init",
       .type = OptionType::Flag,
       .title = "Random weights",
       .defaultValue = false,
       .help =
           "Draw all weights from the seed instead of reading them: pre-training from scratch. Only config.json and "
           "the tokenizer are read from the folder.",
       .group = "model",
       .advanced = true},
  };
}

}  // namespace rankscope::options
