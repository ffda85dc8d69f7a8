#include "core/methods/gguf_adapter.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "core/io/gguf_model.h"
#include "core/io/gguf_writer.h"
#include "core/io/mapped_file.h"
#include "core/io/weight_source.h"

namespace rankscope {
namespace {

Error cannot(std::string what, std::string where, std::string found, std::string expected, std::string hint) {
  return Error{ErrorCode::Usage, std::move(what),     std::move(where),
               std::move(found), std::move(expected), std::move(hint)};
}

constexpr const char* kMergeInstead =
    "Merge the run and convert the merged model with llama.cpp's convert_hf_to_gguf.py.";

// GGUF's name of the architecture for a model family; Mistral's files carry LLaMA's.
const GgufFamily* familyOf(const std::string& modelType) {
  if (modelType == "mistral") return findGgufFamily("llama");
  for (const char* name : {"llama", "qwen2", "qwen3"})
    if (const GgufFamily* family = findGgufFamily(name); family && modelType == family->modelType) return family;
  return nullptr;
}

std::string bytesOf(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().to(at::kCPU, at::kFloat).contiguous();
  return std::string(static_cast<const char*>(flat.const_data_ptr()),
                     static_cast<size_t>(flat.numel()) * sizeof(float));
}

int64_t headSizeOf(const Model& model) {
  const auto given = model.config().find("head_dim");
  if (given != model.config().end() && given->is_number_integer() && *given > 0) return given->get<int64_t>();
  return model.hiddenSize() / std::max<int64_t>(1, model.config().value("num_attention_heads", int64_t{1}));
}

// Rows of B as the file's projection has them: rotary halves interleaved.
at::Tensor interleaved(const at::Tensor& rows, int64_t headSize) {
  at::Tensor order = at::empty({rows.size(0)}, at::kLong);
  int64_t* position = order.mutable_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows.size(0); ++row) position[interleavedRow(row, headSize)] = row;
  return rows.index_select(0, order);
}

// And back.
at::Tensor inHalves(const at::Tensor& rows, int64_t headSize) {
  at::Tensor order = at::empty({rows.size(0)}, at::kLong);
  int64_t* position = order.mutable_data_ptr<int64_t>();
  for (int64_t row = 0; row < rows.size(0); ++row) position[row] = interleavedRow(row, headSize);
  return rows.index_select(0, order);
}

bool isRotary(const std::string& kind) { return kind == "q_proj" || kind == "k_proj"; }

}  // namespace

Result<GgufAdapterReport> writeGgufAdapter(const std::filesystem::path& file, const Method& method, const Model& model,
                                           const std::string& name) {
  const at::NoGradGuard noGrad;
  const GgufFamily* family = familyOf(model.family());
  if (!family)
    return cannot("llama.cpp's adapter layout is not written for this model family", "model.path", model.family(),
                  "llama, mistral, qwen2 or qwen3", kMergeInstead);
  const std::vector<FactorPair> pairs = method.factorPairs();
  if (pairs.empty())
    return cannot("the run has no adapter to export", "method.name", method.settings().name, "a low-rank method",
                  kMergeInstead);
  if (std::any_of(pairs.begin(), pairs.end(), [](const FactorPair& pair) { return pair.magnitude.defined(); }))
    return cannot("llama.cpp's adapter layout holds factors only", "method.form", "dora",
                  "a method without magnitudes of rows", kMergeInstead);
  if (const size_t trained = method.trainable().size(); trained != 2 * pairs.size())
    return cannot("llama.cpp's adapter layout holds factors only", "method",
                  fmt::format("{} other tensors train", trained - 2 * pairs.size()), "no head, biases or saved modules",
                  kMergeInstead);
  const int64_t headSize = headSizeOf(model);

  GgufWriter writer;
  writer.text("general.architecture", family->architecture);
  writer.text("general.type", "adapter");
  writer.text("general.name", name);
  writer.number("general.file_type", 0);  // all float32
  writer.text("adapter.type", "lora");
  const double alpha = method.settings().alpha;
  // llama.cpp scales by alpha / rank, and takes alpha 0 as "scale 1".
  const bool keepsAlpha = alpha != 0;
  writer.real("adapter.lora.alpha", keepsAlpha ? static_cast<float>(alpha) : 0.f);
  GgufAdapterReport report;
  for (const FactorPair& pair : pairs) {
    const bool linear = pair.site->operation == SiteOperation::Linear;  // embeddings have other names and sides there
    const std::string there = linear ? ggufNameOfModel(pair.site->name + ".weight") : "";
    if (there.empty())
      return cannot("a site of the adapter has no name in GGUF", pair.site->name, "", "sites of the decoder's blocks",
                    kMergeInstead);
    at::Tensor a = pair.A.detach().to(at::kFloat), b = pair.B.detach().to(at::kFloat);
    if (pair.startA.defined()) {  // B A − startB startA
      a = at::cat({a, pair.startA.to(at::kFloat)}, 0);
      b = at::cat({b, -pair.startB.to(at::kFloat)}, 1);
    }
    const double theirs =
        keepsAlpha ? static_cast<double>(static_cast<float>(alpha)) / static_cast<double>(a.size(0)) : 1.0;
    const double factor = pair.scaling / theirs;
    if (factor != 1) b = b * factor;
    if (family->interleavedRotary && isRotary(pair.site->kind)) b = interleaved(b, headSize);
    writer.floats(there + ".lora_a", a.sizes().vec(), bytesOf(a));
    writer.floats(there + ".lora_b", b.sizes().vec(), bytesOf(b));
    ++report.sites;
  }
  Result<uint64_t> written = writer.write(file);
  if (!written) return written.error();
  report.bytes = *written;
  return report;
}

Result<GgufAdapterReport> applyGgufAdapter(const std::filesystem::path& file, Model& model) {
  const at::NoGradGuard noGrad;
  const GgufFamily* family = familyOf(model.family());
  if (!family)
    return cannot("llama.cpp's adapter layout is not read for this model family", "model.path", model.family(),
                  "llama, mistral, qwen2 or qwen3", kMergeInstead);
  double alpha = 0;
  {
    Result<std::shared_ptr<MappedFile>> mapped = MappedFile::open(file);
    if (!mapped) return mapped.error();
    Result<GgufTable> table = parseGguf((*mapped)->bytes(), file.string());
    if (!table) return table.error();
    alpha = table->real("adapter.lora.alpha").value_or(0);
  }
  Result<WeightSource> source = WeightSource::open(file);
  if (!source) return source.error();
  const int64_t headSize = headSizeOf(model);
  GgufAdapterReport report;
  for (LinearSite* site : model.sites()) {
    const std::string there = ggufNameOfModel(site->name + ".weight");
    if (site->operation != SiteOperation::Linear || there.empty() || !source->contains(there + ".lora_a")) continue;
    Result<at::Tensor> a = source->tensor(there + ".lora_a", at::kFloat);
    if (!a) return a.error();
    Result<at::Tensor> b = source->tensor(there + ".lora_b", at::kFloat);
    if (!b) return b.error();
    const double scale = alpha != 0 ? alpha / static_cast<double>(a->size(0)) : 1.0;
    at::Tensor delta = at::matmul(*b, *a) * scale;
    if (family->interleavedRotary && isRotary(site->kind)) delta = inHalves(delta, headSize);
    model.replaceSiteWeight(*site, (site->denseWeight().to(at::kFloat) + delta).to(model.computeDtype()));
    ++report.sites;
  }
  model.rebind();
  if (2 * static_cast<size_t>(report.sites) != source->names().size())
    return cannot("the adapter's file has tensors without a site in the model", file.string(),
                  fmt::format("{} tensors", source->names().size()), fmt::format("{}", 2 * report.sites),
                  "Check that this is the model the adapter was made for.");
  return report;
}

}  // namespace rankscope
