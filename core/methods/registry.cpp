#include "core/methods/registry.h"

#include "core/methods/full.h"
#include "core/methods/lora.h"
#include "core/methods/reflora.h"
#include "core/methods/reflora_s.h"

namespace rankscope {

namespace {

int64_t countLowRank(int64_t out, int64_t in, bool, int64_t rank) { return rank * (out + in); }
int64_t countFull(int64_t out, int64_t in, bool hasBias, int64_t) { return out * in + (hasBias ? out : 0); }
double noScale(int64_t, double) { return 1.0; }

}  // namespace

// THE list of methods.
const std::vector<MethodEntry>& methodEntries() {
  static const std::vector<MethodEntry> entries{
      {"full", "Full fine-tuning", "every parameter, AdamW", false, makeFull, countFull, noScale},
      {"lora", "LoRA", "Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022", true, makeLora,
       countLowRank, loraScaling},
      {"rora", "RoRA",
       "Liu et al., RoRA: Efficient Fine-Tuning of LLM with Reliability Optimization for Rank Adaptation, 2025", true,
       makeRora, countLowRank, roraScaling},
      {"reflora", "RefLoRA",
       "Zhang et al., RefLoRA: Refactored Low-Rank Adaptation for Efficient Fine-Tuning, NeurIPS 2025", true,
       makeRefLora, countLowRank, loraScaling},
      {"reflora_s", "RefLoRA-S", "Zhang et al., RefLoRA, NeurIPS 2025 (scalar form)", true, makeRefLoraS, countLowRank,
       loraScaling},
  };
  return entries;
}

Result<const MethodEntry*> findMethod(const std::string& name) {
  std::string names;
  for (const MethodEntry& entry : methodEntries()) {
    if (entry.name == name) return &entry;
    names += (names.empty() ? "" : ", ") + entry.name;
  }
  return Error{ErrorCode::Usage, "There is no such method", "method.name", name, names, "Choose one of these names."};
}

Result<std::unique_ptr<Method>> makeMethod(MethodSettings settings) {
  auto entry = findMethod(settings.name);
  if (!entry) return entry.error();
  return (*entry)->make(std::move(settings));
}

}  // namespace rankscope
