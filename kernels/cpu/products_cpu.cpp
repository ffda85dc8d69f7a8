// Linear maps with low-rank terms on the CPU. In bfloat16 the low-rank term is one more segment of the same product: its
// sum is rounded once, and the frozen part's result is not read again. Weights are packed for each call: with hundreds
// of rows that costs a percent, and saves holding them twice.

#include "kernels/cpu/four_bit_cpu.h"
#include <torch/library.h>
#include "kernels/cpu/frozen_panels.h"
#include "kernels/cpu/packed_products.h"
#include "kernels/cpu/simd/few_rows.h"
#include "kernels/generic/generic.h"

namespace rankscope::kernels::cpu {

namespace {

using op::OptionalTensor;
using simd::Bf16;

// Below this many rows packing the weight would dominate, also inside a matrix library.
constexpr int64_t kFewRows = 16;

enum Slot : size_t { kLeft, kRight, kLowLeft, kLowRight, kFactors, kPairPanels, kBlockB, kLowProduct };
static_assert(kLowProduct < FrozenPanels::kSlot);

bool packedInput(const at::Tensor& x, int64_t outs) {
  return simd::available() && x.scalar_type() == at::kBFloat16 && x.dim() == 2 && x.size(0) >= kFewRows &&
         x.is_contiguous() && x.size(1) % 2 == 0 && outs % 2 == 0;
}

bool packedPath(const at::Tensor& x, const at::Tensor& weight) {
  return packedInput(x, weight.size(0)) && weight.scalar_type() == at::kBFloat16 && weight.is_contiguous();
}

const Bf16* bits(const at::Tensor& t) { return static_cast<const Bf16*>(t.data_ptr()); }
Bf16* mutableBits(const at::Tensor& t) { return static_cast<Bf16*>(t.data_ptr()); }

// Where the pieces of the low-rank term lie.
struct Low {
  int64_t ranks = 0;                  // Σ r
  std::vector<int64_t> rank, column;  // of each pair, and its first column in u
};

Low lowOf(at::TensorList a) {
  Low low;
  for (const auto& t : a) {
    low.rank.push_back(t.size(0));
    low.column.push_back(low.ranks);
    low.ranks += t.size(0);
  }
  return low;
}

void checkArgs(const at::Tensor& x, int64_t outs, int64_t in, const op::LowRankArgs& args) {
  TORCH_CHECK(x.dim() == 2 && x.size(1) == in, "linear: x ", x.sizes(), " for a weight of ", outs, " x ", in);
  TORCH_CHECK(args.b.size() == args.a.size() && args.rows.size() == 2 * args.a.size() &&
                  args.scalings.size() == args.a.size(),
              "linear: every low-rank pair needs its rows and its scaling");
  for (size_t i = 0; i < args.a.size(); ++i) {
    const auto begin = args.rows[2 * i], end = args.rows[2 * i + 1];
    TORCH_CHECK(args.a[i].dim() == 2 && args.b[i].dim() == 2 && args.a[i].size(1) == x.size(1) &&
                    args.b[i].size(1) == args.a[i].size(0) && args.a[i].size(0) > 0 && begin >= 0 &&
                    end <= outs && args.b[i].size(0) == end - begin,
                "linear: pair ", i, " is A ", args.a[i].sizes(), ", B ", args.b[i].sizes(), " for rows ", begin, " to ",
                end);
    TORCH_CHECK(args.a[i].scalar_type() == at::kFloat && args.b[i].scalar_type() == at::kFloat,
                "linear: low-rank factors are float32");
  }
}

// All A, one below the other, in bfloat16.
const Bf16* stackedA(const op::LowRankArgs& args, int64_t in, const Low& low, Workspace& workspace) {
  auto* out = workspace.slot<Bf16>(kFactors, low.ranks * in);
  for (size_t i = 0; i < args.a.size(); ++i)
    simd::toBf16(args.a[i].contiguous().data_ptr<float>(), args.a[i].numel(), 1, out + low.column[i] * in);
  return out;
}

// [out, Σ r] with s · B of each pair in its rows and columns, zero elsewhere.
const Bf16* blockB(const op::LowRankArgs& args, int64_t outs, const Low& low, Workspace& workspace) {
  auto* block = workspace.slot<Bf16>(kBlockB, outs * low.ranks);
  const bool whole = args.a.size() == 1 && args.rows[1] - args.rows[0] == outs;
  if (!whole) std::fill_n(block, outs * low.ranks, Bf16{0});
  for (size_t i = 0; i < args.b.size(); ++i) {
    const auto b = args.b[i].contiguous();
    const auto rank = low.rank[i];
    for (int64_t row = 0; row < b.size(0); ++row)
      simd::toBf16(b.data_ptr<float>() + row * rank, rank, static_cast<float>(args.scalings[i]),
                   block + (args.rows[2 * i] + row) * low.ranks + low.column[i]);
  }
  return block;
}

std::tuple<at::Tensor, at::Tensor> packedForward(const at::Tensor& x, const FrozenPanels& weight,
                                                 const OptionalTensor& bias, const op::LowRankArgs& args) {
  const auto rows = x.size(0), in = x.size(1), outs = weight.outs();
  const auto low = lowOf(args.a);
  auto& workspace = Workspace::ofThisThread();
  auto* left = workspace.slot<Bf16>(kLeft, simd::packedLeftSize(rows, in));
  auto* right = workspace.slot<Bf16>(kRight, simd::packedRightSize(outs, in));
  auto y = at::empty({rows, outs}, x.options());
  auto u = at::empty({low.ranks > 0 ? rows : 0, low.ranks}, x.options());
  Bf16 *lowLeft = nullptr, *lowRight = nullptr, *aPanels = nullptr;
  // Dropout stands before A only.
  const auto input = low.ranks > 0 && args.mask.p > 0 ? op::dropout(x, args.mask) : x;
  const Bf16* dropped = input.is_same(x) ? nullptr : bits(input);
  if (low.ranks > 0) {
    lowLeft = workspace.slot<Bf16>(kLowLeft, simd::packedLeftSize(rows, std::max(low.ranks, dropped ? in : 0)));
    lowRight = workspace.slot<Bf16>(kLowRight, simd::packedRightSize(outs, low.ranks));
    aPanels = workspace.slot<Bf16>(kPairPanels, simd::packedRightSize(low.ranks, in));
    simd::packRightTransposed(stackedA(args, in, low, workspace), in, low.ranks, in, 0, simd::panelsOf(low.ranks),
                              aPanels);
    simd::packRightTransposed(blockB(args, outs, low, workspace), low.ranks, outs, low.ranks, 0, simd::panelsOf(outs),
                              lowRight);
  }
  const auto shares = static_cast<int64_t>(at::get_num_threads());
  at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
    for (auto s = first; s < last; ++s) {
      const auto tiles = simd::tilesOf(rows), panels = simd::panelsOf(outs);
      const auto begin = tiles * s / shares, end = tiles * (s + 1) / shares;
      simd::packLeft(bits(x), in, rows, in, begin, end, left);
      weight.packForward(panels * s / shares, panels * (s + 1) / shares, right);
      if (low.ranks == 0) continue;
      const Bf16* from = left;
      if (dropped) {
        simd::packLeft(dropped, in, rows, in, begin, end, lowLeft);
        from = lowLeft;
      }
      simd::Segment segment{from, aPanels, in};
      simd::multiply(&segment, 1, rows, low.ranks, begin, end, 0, simd::panelsOf(low.ranks),
                     {mutableBits(u), low.ranks, simd::Target::Half});
    }
  });
  const float* offset = nullptr;
  at::Tensor biasFloat;
  if (bias) {
    biasFloat = bias->to(at::kFloat).contiguous();
    offset = biasFloat.data_ptr<float>();
  }
  simd::Segment segments[2] = {{left, right, in}, {lowLeft, lowRight, low.ranks}};
  if (low.ranks > 0)
    overShares(simd::tilesOf(rows), [&](int64_t begin, int64_t end) {
      simd::packLeft(bits(u), low.ranks, rows, low.ranks, begin, end, lowLeft);
    });
  multiplyAll(segments, low.ranks > 0 ? 2 : 1, rows, outs, {mutableBits(y), outs, simd::Target::Half, offset});
  return {y, u};
}

std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> packedBackward(const at::Tensor& gradY,
                                                                           const at::Tensor& x,
                                                                           const FrozenPanels& weight,
                                                                           const at::Tensor& u,
                                                                           const op::LowRankArgs& args, bool needX) {
  const auto rows = gradY.size(0), outs = weight.outs(), in = weight.in();
  const auto low = lowOf(args.a);
  auto& workspace = Workspace::ofThisThread();
  auto* left = workspace.slot<Bf16>(kLeft, simd::packedLeftSize(rows, outs));
  auto* right = needX ? workspace.slot<Bf16>(kRight, simd::packedRightSize(in, outs)) : nullptr;
  auto gradX = at::empty({needX ? rows : 0, in}, gradY.options());
  const auto shares = static_cast<int64_t>(at::get_num_threads());

  // v = s · gradY B, one block of columns per pair.
  Bf16 *v = nullptr, *bPanels = nullptr, *lowLeft = nullptr, *lowRight = nullptr;
  int64_t bSize = 0;
  std::vector<int64_t> bAt;
  if (low.ranks > 0) {
    v = workspace.slot<Bf16>(kLowProduct, rows * low.ranks);
    const auto* block = blockB(args, outs, low, workspace);
    for (size_t i = 0; i < args.b.size(); ++i) {
      bAt.push_back(bSize);
      bSize += simd::packedRightSize(low.rank[i], args.b[i].size(0));
    }
    bPanels = workspace.slot<Bf16>(kPairPanels, bSize);
    for (size_t i = 0; i < args.b.size(); ++i)
      simd::packRight(block + args.rows[2 * i] * low.ranks + low.column[i], low.ranks, low.rank[i],
                      args.b[i].size(0), 0, simd::panelsOf(low.rank[i]), bPanels + bAt[i]);
    lowLeft = workspace.slot<Bf16>(kLowLeft, std::max(simd::packedLeftSize(rows, low.ranks),
                                                      simd::packedLeftSize(low.ranks, rows)));
    lowRight = workspace.slot<Bf16>(kLowRight, simd::packedRightSize(in, low.ranks));
    if (needX)
      simd::packRight(stackedA(args, in, low, workspace), in, in, low.ranks, 0, simd::panelsOf(in), lowRight);
  }
  at::parallel_for(0, shares, 1, [&](int64_t first, int64_t last) {
    for (auto s = first; s < last; ++s) {
      const auto tiles = simd::tilesOf(rows), panels = simd::panelsOf(in);
      const auto begin = tiles * s / shares, end = tiles * (s + 1) / shares;
      simd::packLeft(bits(gradY), outs, rows, outs, begin, end, left);
      if (needX)
        weight.packBackward(panels * s / shares, panels * (s + 1) / shares, right);
      for (size_t i = 0; i < args.b.size(); ++i) {
        // The tiles' pairs that belong to this pair's rows of the weight.
        simd::Segment segment{left + args.rows[2 * i] * simd::kTileRows, bPanels + bAt[i], args.b[i].size(0), outs};
        simd::multiply(&segment, 1, rows, low.rank[i], begin, end, 0, simd::panelsOf(low.rank[i]),
                       {v + low.column[i], low.ranks, simd::Target::Half});
      }
    }
  });

  std::vector<at::Tensor> gradB;
  auto gradA = at::empty({low.ranks, in}, gradY.options().dtype(at::kFloat));
  if (needX) {
    const bool together = low.ranks > 0 && args.mask.p <= 0;
    if (together)
      overShares(simd::tilesOf(rows), [&](int64_t begin, int64_t end) {
        simd::packLeft(v, low.ranks, rows, low.ranks, begin, end, lowLeft);
      });
    const simd::Segment segments[2] = {{left, right, outs}, {lowLeft, lowRight, low.ranks}};
    multiplyAll(segments, together ? 2 : 1, rows, in, {mutableBits(gradX), in, simd::Target::Half});
    if (low.ranks > 0 && !together) {
      auto through = at::empty_like(gradX);
      simd::packLeft(v, low.ranks, rows, low.ranks, 0, simd::tilesOf(rows), lowLeft);
      multiplyAll(segments + 1, 1, rows, in, {mutableBits(through), in, simd::Target::Half});
      gradX.add_(op::dropout(through, args.mask));
    }
  }
  if (low.ranks == 0) return {gradX, gradA, gradB};

  // gradA = vᵀ x and gradBᵀ = uᵀ gradY: few rows, sums over all tokens, a thread per run of panels.
  const auto input = args.mask.p > 0 ? op::dropout(x, args.mask) : x;
  right = workspace.slot<Bf16>(kRight, std::max(simd::packedRightSize(in, rows), simd::packedRightSize(outs, rows)));
  simd::packLeftTransposed(v, low.ranks, low.ranks, rows, 0, simd::tilesOf(low.ranks), lowLeft);
  overShares(simd::panelsOf(in), [&](int64_t begin, int64_t end) {
    simd::packRight(bits(input), in, in, rows, begin, end, right);
    const simd::Segment segment{lowLeft, right, rows};
    simd::multiply(&segment, 1, low.ranks, in, 0, simd::tilesOf(low.ranks), begin, end,
                   {gradA.data_ptr<float>(), in, simd::Target::Float});
  });
  for (size_t i = 0; i < args.b.size(); ++i) {
    const auto rank = low.rank[i], width = args.b[i].size(0);
    simd::packLeftTransposed(bits(u) + low.column[i], low.ranks, rank, rows, 0, simd::tilesOf(rank), lowLeft);
    auto* sums = workspace.slot<float>(kFactors, rank * width);
    auto grad = at::empty({width, rank}, gradA.options());
    auto* out = grad.data_ptr<float>();
    overShares(simd::panelsOf(width), [&](int64_t begin, int64_t end) {
      simd::packRight(bits(gradY) + args.rows[2 * i], outs, width, rows, begin, end, right);
      const simd::Segment segment{lowLeft, right, rows};
      simd::multiply(&segment, 1, rank, width, 0, simd::tilesOf(rank), begin, end,
                     {sums, width, simd::Target::Float, nullptr, static_cast<float>(args.scalings[i])});
      for (auto n = begin * simd::kPanelColumns; n < std::min(end * simd::kPanelColumns, width); ++n)
        for (int64_t r = 0; r < rank; ++r) out[n * rank + r] = sums[r * width + n];
    });
    gradB.push_back(std::move(grad));
  }
  return {gradX, gradA, gradB};
}

bool fewRowsPath(const at::Tensor& x, const at::Tensor& weight) {
  return x.scalar_type() == at::kFloat && weight.scalar_type() == at::kFloat && x.size(0) < kFewRows &&
         weight.is_contiguous();
}

std::tuple<at::Tensor, at::Tensor> fewRowsForward(const at::Tensor& x, const at::Tensor& weight,
                                                  const OptionalTensor& bias, const op::LowRankArgs& args) {
  static const auto product = simd::fewRows(simd::bestIsa());
  const auto rows = x.size(0), in = x.size(1), outs = weight.size(0);
  const auto held = x.contiguous();
  auto y = at::empty({rows, outs}, x.options());
  const auto *from = held.data_ptr<float>(), *by = weight.data_ptr<float>();
  auto* to = y.data_ptr<float>();
  overShares(outs, [&](int64_t begin, int64_t end) { product(from, rows, in, by, begin, end, outs, to); });
  if (bias) y.add_(bias->to(at::kFloat));
  const auto u = generic::addLowRank(y, x, args);
  return {y, u};
}

FrozenPanels panelsOf(const at::Tensor& weight) { return {bits(weight), weight.size(0), weight.size(1)}; }
FrozenPanels panelsOf(const std::vector<FourBitWeight>& weights) {
  std::vector<FrozenPanels::Coded> coded;
  for (const FourBitWeight& weight : weights) coded.push_back({viewOf(weight), weight.out});
  return {std::move(coded), op::rowsOf(weights), weights.front().in};
}

// A pair of numbers never straddles two parts of the weight.
bool evenRows(at::IntArrayRef rows) {
  return std::all_of(rows.begin(), rows.end(), [](int64_t row) { return row % 2 == 0; });
}

std::tuple<at::Tensor, at::Tensor> lowRankLinear(const at::Tensor& x, const at::Tensor& weight,
                                                 const OptionalTensor& bias, at::TensorList a, at::TensorList b,
                                                 at::IntArrayRef rows, at::ArrayRef<double> scalings, double p,
                                                 int64_t seed, int64_t place) {
  const op::LowRankArgs args{a, b, rows, scalings, {p, seed, place}};
  TORCH_CHECK(weight.dim() == 2, "linear: weight ", weight.sizes());
  checkArgs(x, weight.size(0), weight.size(1), args);
  if (packedPath(x, weight)) return packedForward(x, panelsOf(weight), bias, args);
  return fewRowsPath(x, weight) ? fewRowsForward(x, weight, bias, args) : generic::lowRankLinear(x, weight, bias, args);
}

std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> lowRankLinearBackward(
    const at::Tensor& gradY, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& u, at::TensorList a,
    at::TensorList b, at::IntArrayRef rows, at::ArrayRef<double> scalings, double p, int64_t seed, int64_t place,
    bool needX) {
  const op::LowRankArgs args{a, b, rows, scalings, {p, seed, place}};
  TORCH_CHECK(gradY.dim() == 2 && gradY.size(1) == weight.size(0), "linear backward: gradient ", gradY.sizes());
  return evenRows(rows) && packedPath(gradY, weight)
             ? packedBackward(gradY, x, panelsOf(weight), u, args, needX)
             : generic::lowRankLinearBackward(gradY, x, weight, u, args, needX);
}

// With few rows, in float32, or without the instructions, the weight is given back whole for the length of the call.
std::tuple<at::Tensor, at::Tensor> fourBitLinear(const at::Tensor& x, at::TensorList parts, at::IntArrayRef shape,
                                                 const OptionalTensor& bias, at::TensorList a, at::TensorList b,
                                                 at::IntArrayRef rows, at::ArrayRef<double> scalings, double p,
                                                 int64_t seed, int64_t place) {
  const op::LowRankArgs args{a, b, rows, scalings, {p, seed, place}};
  const auto weights = op::fourBitOfParts(parts, shape);
  checkArgs(x, op::rowsOf(weights), weights.front().in, args);
  if (packedInput(x, op::rowsOf(weights))) return packedForward(x, panelsOf(weights), bias, args);
  return generic::lowRankLinear(x, op::dequantised(weights, x.scalar_type()), bias, args);
}

std::tuple<at::Tensor, at::Tensor, std::vector<at::Tensor>> fourBitLinearBackward(
    const at::Tensor& gradY, const at::Tensor& x, at::TensorList parts, at::IntArrayRef shape, const at::Tensor& u,
    at::TensorList a, at::TensorList b, at::IntArrayRef rows, at::ArrayRef<double> scalings, double p, int64_t seed,
    int64_t place, bool needX) {
  const op::LowRankArgs args{a, b, rows, scalings, {p, seed, place}};
  const auto weights = op::fourBitOfParts(parts, shape);
  const auto outs = op::rowsOf(weights);
  TORCH_CHECK(gradY.dim() == 2 && gradY.size(1) == outs, "linear backward: gradient ", gradY.sizes());
  if (evenRows(rows) && packedInput(gradY, outs)) return packedBackward(gradY, x, panelsOf(weights), u, args, needX);
  return generic::lowRankLinearBackward(gradY, x, op::dequantised(weights, gradY.scalar_type()), u, args, needX);
}

at::Tensor weightGradient(const at::Tensor& gradY, const at::Tensor& x) {
  if (!simd::available() || gradY.scalar_type() != at::kBFloat16 || x.scalar_type() != at::kBFloat16 ||
      gradY.dim() != 2 || gradY.size(0) < kFewRows || !gradY.is_contiguous() || !x.is_contiguous())
    return generic::weightGradient(gradY, x);
  const auto rows = gradY.size(0), outs = gradY.size(1), in = x.size(1);
  auto& workspace = Workspace::ofThisThread();
  auto* left = workspace.slot<Bf16>(kLeft, simd::packedLeftSize(outs, rows));
  auto* right = workspace.slot<Bf16>(kRight, simd::packedRightSize(in, rows));
  auto grad = at::empty({outs, in}, x.options().dtype(at::kFloat));
  overShares(simd::tilesOf(outs), [&](int64_t begin, int64_t end) {
    simd::packLeftTransposed(bits(gradY), outs, outs, rows, begin, end, left);
  });
  overShares(simd::panelsOf(in), [&](int64_t begin, int64_t end) {
    simd::packRight(bits(x), in, in, rows, begin, end, right);
  });
  const simd::Segment segment{left, right, rows};
  multiplyAll(&segment, 1, outs, in, {grad.data_ptr<float>(), in, simd::Target::Float});
  return grad;
}

}  // namespace

void registerProducts(torch::Library& m) {
  m.impl("low_rank_linear", lowRankLinear);
  m.impl("low_rank_linear_backward", lowRankLinearBackward);
  m.impl("four_bit_linear", fourBitLinear);
  m.impl("four_bit_linear_backward", fourBitLinearBackward);
  m.impl("weight_gradient", weightGradient);
}

}  // namespace rankscope::kernels::cpu
