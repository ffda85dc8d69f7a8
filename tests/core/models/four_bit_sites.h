#pragma once
// A checkpoint loaded with the matrices of its blocks left in the file, which are then kept in 4 bits: held against the
// same model of the values that the 4 bits stand for.

#include <ATen/ATen.h>
#include <QString>

#include "core/models/registry.h"
#include "kernels/four_bit_ops.h"

namespace rankscope::testing {

// What is wrong; empty: nothing.
inline QString fourBitSitesProblem(const std::filesystem::path& folder, const ModelLoadOptions& options, const PackedBatch& batch) {
  const at::NoGradGuard noGrad;
  ForwardContext context;
  auto dense = loadModel(folder, options);
  if (!dense) return QString::fromStdString(dense.error().message());
  ModelLoadOptions inFile = options;
  for (const LinearSite* site : (*dense)->sites())
    if (site->layer >= 0) inFile.leftInFile.insert(site->name + ".weight");
  auto coded = loadModel(folder, inFile);
  if (!coded) return QString::fromStdString(coded.error().message());
  const at::Tensor before = (*dense)->logits(batch, context);
  const int64_t count = (*dense)->parameterCount();
  for (size_t i = 0; i < (*dense)->sites().size(); ++i) {
    LinearSite &site = *(*coded)->sites()[i], &twin = *(*dense)->sites()[i];
    const QString name = QString::fromStdString(site.name);
    if (site.layer < 0) continue;
    if (!(*coded)->parameters().isView(site.name + ".weight")) return name + " was not left in its file";
    if (!at::equal(site.weight.to(twin.weight.scalar_type()), twin.weight)) return name + " is not what the file holds";
    const auto weight = kernels::quantiseFourBit(twin.weight.to(at::kFloat).contiguous(), kernels::four_bit::Format::NF4, 64, true);
    (*coded)->codeSite(site, weight);
    (*dense)->replaceSiteWeight(twin, kernels::dequantiseFourBit(weight, twin.weight.scalar_type()));
    if ((*coded)->parameters().contains(site.name + ".weight")) return name + " is still a parameter";
  }
  (*coded)->rebind();
  (*dense)->rebind();
  const at::Tensor expected = (*dense)->logits(batch, context), got = (*coded)->logits(batch, context);
  const auto size = expected.abs().max().item<double>();
  if (at::equal(expected, before)) return QStringLiteral("4 bits change nothing");
  if ((expected - got).abs().max().item<double>() > 1e-4 * (1 + size)) return QStringLiteral("4-bit sites compute something else");
  if ((*coded)->parameterCount() != count) return QStringLiteral("parameters are counted otherwise");
  for (LinearSite* site : (*coded)->sites())
    if (site->coded.defined()) (*coded)->replaceSiteWeight(*site, site->denseWeight());
  (*coded)->rebind();
  if (!at::allclose((*coded)->logits(batch, context), expected, 1e-5, 1e-5 * (1 + size))) return QStringLiteral("dense again, it computes something else");
  return {};
}

}  // namespace rankscope::testing
