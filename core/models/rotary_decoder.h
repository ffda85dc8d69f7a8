#pragma once
// The decoder that LLaMA, Mistral, Qwen2 and Qwen3 are: RMSNorm, rotary positions, grouped-query attention, SwiGLU.
// What tells them apart is read from config.json by each family (llama.cpp, mistral.cpp, qwen.cpp) and stands in
// DecoderSizes; parameters carry the names of the checkpoints, which are the same for all.

#include <filesystem>
#include <memory>
#include <vector>

#include "core/models/config_reader.h"
#include "core/models/model.h"
#include "core/models/rope.h"

namespace rankscope {

struct DecoderSizes {
  const char* family = "llama";
  int64_t vocab = 0, hidden = 0, inner = 0, layers = 0, heads = 0, kvHeads = 0, headDim = 0, maxPositions = 0;
  double eps = 1e-6, initializerRange = 0.02, attentionDropout = 0;
  bool tied = false;
  bool inputBias = false, outputBias = false, mlpBias = false;  // of q, k, v; of o; of the feed-forward layers
  bool queryKeyNorm = false;                                    // an RMSNorm over each head's queries and keys
  std::vector<int64_t> windows;                                 // per layer, keys that a query sees; 0: all before it
  int64_t padId = -1;
  RopeSettings rope;
};

// What config.json means where it is silent.
struct DecoderDefaults {
  const char* family;
  int64_t vocab, inner, kvHeads, headDim, maxPositions;  // kvHeads 0: as many as heads; headDim 0: hidden / heads
};

// All that the families have in common; biases, norms and windows are the family's to read.
DecoderSizes readDecoderSizes(const ConfigReader& config, const DecoderDefaults& defaults);
// Windows by config.json's `layer_types`; without that entry every layer from `firstSliding` on has `window`.
std::vector<int64_t> readWindows(const ConfigReader& config, int64_t layers, int64_t window, int64_t firstSliding);

std::vector<SiteShape> decoderSiteShapes(const DecoderSizes& sizes);
std::unique_ptr<Model> loadDecoder(const std::filesystem::path& folder, const nlohmann::json& config,
                                   const DecoderSizes& sizes, const ModelLoadOptions& options);

}  // namespace rankscope
