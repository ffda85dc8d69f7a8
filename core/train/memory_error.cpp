#include "core/train/memory_error.h"

#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <new>
#include <string>

#include "core/config/method_kind.h"
#include "core/train/process_memory.h"

namespace rankscope {
namespace {

std::string megabytes(int64_t bytes) { return fmt::format("{} MB", bytes / 1'000'000); }

// What would make the largest parts smaller, for this config.
std::string remedies(const RunConfig& config, const std::optional<RunEstimate>& estimate) {
  std::string text;
  const auto say = [&text](const std::string& what) { text += (text.empty() ? "" : "; ") + what; };
  const MemoryEstimate none, &memory = estimate ? estimate->memory : none;
  const int64_t passing = memory.activations + memory.logits;
  const int64_t trained = memory.adapter + memory.gradients + memory.optimizer;
  const bool full = config.str("method.name") == "full";
  const int64_t batch = config.integer("train.batch_size");
  if (!estimate || passing >= trained || !full) {
    if (batch > 1)
      say(fmt::format("lower train.batch_size from {} (and raise train.accumulation by the same factor)", batch));
    say(fmt::format("lower data.max_length from {}", config.integer("data.max_length")));
    if (!config.flag("train.gradient_checkpointing")) say("turn train.gradient_checkpointing on");
  }
  if (full) {
    say("train an adapter (method.name = lora) instead of every weight");
    if (config.str("optim.name") == "adamw") say("use optim.name = sgd, which keeps no second moments");
  } else if (hasRank(config.str("method.name")) && config.integer("method.rank") > 1 && (trained > passing / 8 || config.integer("method.rank") >= 64)) {
    say(fmt::format("lower method.rank from {}", config.integer("method.rank")));
  }
  if (memory.optimizer - memory.pageable > memory.total / 4 && !config.flag("optim.paged") &&
      applies(*findOption("optim.paged"), config))
    say("let the moments be paged out (optim.paged)");
  if (config.str("train.compute_dtype") == "fp32") say("compute in bf16 (train.compute_dtype)");
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text + ".";
}

}  // namespace

bool isOutOfMemory(const std::exception& problem) {
  if (dynamic_cast<const std::bad_alloc*>(&problem) || dynamic_cast<const c10::OutOfMemoryError*>(&problem)) return true;
  const std::string text = problem.what();
  return text.find("can't allocate memory") != std::string::npos || text.find("out of memory") != std::string::npos;
}

Error outOfMemoryError(const RunConfig& config, const std::optional<RunEstimate>& estimate, int64_t step) {
  const ProcessMemory used = readProcessMemory();
  return {ErrorCode::Training,
          "memory ran out",
          fmt::format("step {}", step + 1),
          fmt::format("{} in use at most, {} still to be had", megabytes(used.peak), megabytes(availableMemory())),
          estimate ? "room for about " + memoryText(estimate->memory) : "room for one training pass",
          remedies(config, estimate) + " Checkpoints written before are intact."};
}

std::optional<std::string> memoryWarning(const RunConfig& config, const RunEstimate& estimate) {
  const int64_t wanted = estimate.memory.total - estimate.memory.pageable - readProcessMemory().resident;
  if (estimate.memory.available <= 0 || wanted <= estimate.memory.available) return std::nullopt;
  return fmt::format("the run will need about {}, and only {} more can be had here. {}", memoryText(estimate.memory),
                     megabytes(estimate.memory.available), remedies(config, estimate));
}

}  // namespace rankscope
