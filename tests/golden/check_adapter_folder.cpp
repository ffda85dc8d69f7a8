#include "core/config/json_text.h"
#include "core/methods/peft_format.h"
#include "tests/golden/check.h"
#include "tests/golden/packing.h"

namespace rankscope::golden {

namespace {

// The training case whose end a PEFT folder holds has the folder's name, one or two folders up.
std::optional<Case> trainingCaseOf(const std::filesystem::path& folder) {
  const std::string name = folder.filename().string();
  std::filesystem::path above = folder.parent_path();
  for (int level = 0; level < 2; ++level, above = above.parent_path()) {
    std::error_code code;
    if (!std::filesystem::exists(above / (name + ".json"), code)) continue;
    auto opened = Case::open({name, "peft-train", above, {{"meta", name + ".json"}, {"file", name + ".safetensors"}}});
    if (!opened) throw ErrorException(opened.error());
    return std::move(opened).value();
  }
  return std::nullopt;
}

}  // namespace

NotBuilt checkAdapterFolder(const CaseEntry& entry, Findings& findings) {
  auto config = readJsonFile(entry.folder / "adapter_config.json");
  if (!config) throw ErrorException(config.error());
  const std::string type = text(*config, "peft_type");
  if (type != "LORA" && type != "ADALORA") return type;
  auto golden = trainingCaseOf(entry.folder);
  if (!golden) return "no training case of this name to compare with";
  GoldenModel opened = openModel(golden->modelFolder(), at::kFloat);
  if (opened.notBuilt) return opened.notBuilt;
  Model& model = *opened.model;
  auto method = loadAdapterFolder(entry.folder, model);
  if (!method) throw ErrorException(method.error());

  const int64_t steps = golden->get("losses").size(0) - 1;
  const std::string expected = fmt::format("logits{}", steps);
  const PaddedBatch padded = readBatch(*golden, "batch/", 0);
  const PackedBatch batch = pack(padded, model.head(), model.numLabels());
  const Tolerance tolerance{golden->tolerance("logits_atol", 5e-4), golden->tolerance("logits_rtol", 0)};
  const at::NoGradGuard noGrad;
  ForwardContext context;
  findings.close(expected, model.logits(batch, context), packedRows(golden->get(expected), padded), tolerance);

  // And back: the tensors that we would write are the ones that were read.
  auto source = WeightSource::open(entry.folder / "adapter_model.safetensors");
  if (!source) throw ErrorException(source.error());
  const auto ours = (*method)->adapterTensors();
  findings.equal("number of tensors", static_cast<int64_t>(ours.size()), static_cast<int64_t>(source->names().size()));
  for (const std::string& name : source->names()) {
    auto theirs = source->tensor(name);
    if (!theirs) throw ErrorException(theirs.error());
    auto found = ours.find(name);
    if (found == ours.end())
      findings.fail("not written back: " + name);
    else
      findings.equal(name, found->second, *theirs);
  }
  return std::nullopt;
}

}  // namespace rankscope::golden
