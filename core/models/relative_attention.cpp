#include "core/models/relative_attention.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <torch/csrc/autograd/custom_function.h>

#include "core/models/layers.h"
#include "kernels/ops.h"

namespace rankscope {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The tables as [heads, R, D] in the type of the sums, shared by all sequences of a call.
struct Tables {
  at::Tensor keys, queries, bias;  // bias [heads, R]
};

at::Tensor byHead(const at::Tensor& table, const RelativeSpec& spec, at::ScalarType type) {
  if (!table.defined()) return {};
  return table.to(type).reshape({table.size(0), spec.heads, spec.headDim}).transpose(0, 1).contiguous();
}

// One sequence at work: queries, keys and values [heads, L, D], and the row of each pair.
struct Sequence {
  at::Tensor q, k, v;
  at::Tensor forward, backward;  // index[i][j] and its transpose, [heads, L, L]
  int64_t begin = 0, length = 0;
  uint64_t seed = 0;
};

Sequence sequenceAt(const at::Tensor& qkv, const std::vector<int64_t>& starts, size_t s, const at::Tensor& index,
                    const RelativeSpec& spec, at::ScalarType type) {
  Sequence one;
  one.begin = starts[s];
  one.length = starts[s + 1] - starts[s];
  const auto parts = qkv.narrow(0, one.begin, one.length)
                         .to(type)
                         .reshape({one.length, 3, spec.heads, spec.headDim})
                         .permute({1, 2, 0, 3});
  one.q = parts[0].contiguous();
  one.k = parts[1].contiguous();
  one.v = parts[2].contiguous();
  const auto own = index.narrow(0, 0, one.length).narrow(1, 0, one.length);
  one.forward = own.unsqueeze(0).expand({spec.heads, one.length, one.length});
  one.backward = own.t().unsqueeze(0).expand({spec.heads, one.length, one.length});
  one.seed = kernels::dropoutSeed(spec.seed, static_cast<int64_t>(s), 0);  // masks differ between sequences
  return one;
}

at::Tensor probabilities(const Sequence& one, const Tables& tables, const RelativeSpec& spec) {
  auto scores = at::matmul(one.q, one.k.transpose(1, 2));
  if (tables.keys.defined()) scores += at::matmul(one.q, tables.keys.transpose(1, 2)).gather(2, one.forward);
  if (tables.queries.defined())
    scores += at::matmul(one.k, tables.queries.transpose(1, 2)).gather(2, one.backward).transpose(1, 2);
  scores *= spec.scale;
  if (tables.bias.defined())
    scores += tables.bias.gather(1, one.forward.reshape({spec.heads, -1})).view_as(scores);
  return at::softmax(scores, -1);
}

Tables tablesOf(const at::Tensor& keys, const at::Tensor& queries, const at::Tensor& bias, const RelativeSpec& spec,
                at::ScalarType type) {
  return {byHead(keys, spec, type), byHead(queries, spec, type),
          bias.defined() ? bias.to(type).t().contiguous() : at::Tensor()};
}

// Contiguous runs of sequences with about the same work, one for each thread; sums over a run and then over the runs have
// a fixed order for a given number of threads.
std::vector<size_t> runsOf(const std::vector<int64_t>& starts, const at::Tensor& qkv) {
  const auto sequences = starts.size() - 1;
  const auto threads = qkv.is_cpu() && !at::in_parallel_region() ? static_cast<size_t>(at::get_num_threads()) : 1;
  const auto count = std::min(std::max<size_t>(threads, 1), sequences);
  const auto cost = [&](size_t s) {
    const auto length = static_cast<double>(starts[s + 1] - starts[s]);
    return length * (length + 64);
  };
  double total = 0, done = 0;
  for (size_t s = 0; s < sequences; ++s) total += cost(s);
  std::vector<size_t> bounds{0};
  for (size_t s = 0; s < sequences && bounds.size() < count; ++s) {
    done += cost(s);
    if (done >= total * static_cast<double>(bounds.size()) / static_cast<double>(count)) bounds.push_back(s + 1);
  }
  if (bounds.back() != sequences) bounds.push_back(sequences);
  return bounds;
}

// body(run, sequence) for every sequence; the operators inside a run are not spread over threads again.
template <typename Body>
void overSequences(const std::vector<size_t>& runs, const Body& body) {
  at::parallel_for(0, static_cast<int64_t>(runs.size()) - 1, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard off;  // a thread's own switch
    for (auto run = static_cast<size_t>(begin); run < static_cast<size_t>(end); ++run)
      for (size_t s = runs[run]; s < runs[run + 1]; ++s) body(run, s);
  });
}

class RelativeAttention : public torch::autograd::Function<RelativeAttention> {
 public:
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& qkv, const std::optional<at::Tensor>& keys,
                            const std::optional<at::Tensor>& queries, const std::optional<at::Tensor>& bias,
                            const at::Tensor* index, const std::vector<int64_t>* starts, const RelativeSpec* spec) {
    const auto given = [](const std::optional<at::Tensor>& t) { return t ? *t : at::Tensor(); };
    const auto type = sumType(qkv.scalar_type());
    const auto tables = tablesOf(given(keys), given(queries), given(bias), *spec, type);
    auto out = at::empty({qkv.size(0), spec->heads * spec->headDim}, qkv.options());
    overSequences(runsOf(*starts, qkv), [&](size_t, size_t s) {
      const auto one = sequenceAt(qkv, *starts, s, *index, *spec, type);
      auto p = probabilities(one, tables, *spec);
      if (spec->dropoutP > 0) p = kernels::dropout(p, spec->dropoutP, one.seed, spec->place);
      out.narrow(0, one.begin, one.length).copy_(at::matmul(p, one.v).transpose(0, 1).reshape({one.length, -1}));
    });
    ctx->save_for_backward({qkv, given(keys), given(queries), given(bias), *index});
    ctx->saved_data["starts"] = c10::List<int64_t>(*starts);
    ctx->saved_data["shape"] = c10::List<int64_t>({spec->heads, spec->headDim, static_cast<int64_t>(spec->seed),
                                                   static_cast<int64_t>(spec->place)});
    ctx->saved_data["scale"] = spec->scale;
    ctx->saved_data["p"] = spec->dropoutP;
    ctx->saved_data["given"] = c10::List<bool>({keys.has_value(), queries.has_value(), bias.has_value()});
    return out;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &qkv = saved[0], &index = saved[4];
    const auto starts = ctx->saved_data["starts"].toIntVector(), shape = ctx->saved_data["shape"].toIntVector();
    const auto given = ctx->saved_data["given"].toBoolList();
    RelativeSpec spec{shape[0], shape[1], ctx->saved_data["scale"].toDouble(), ctx->saved_data["p"].toDouble(),
                      static_cast<uint64_t>(shape[2]), static_cast<uint64_t>(shape[3])};
    const auto type = sumType(qkv.scalar_type());
    const auto tables = tablesOf(saved[1], saved[2], saved[3], spec, type);
    const auto runs = runsOf(starts, qkv);
    const auto zeros = [](const at::Tensor& like) { return like.defined() ? at::zeros_like(like) : at::Tensor(); };
    std::vector<Tables> sums;
    for (size_t run = 0; run + 1 < runs.size(); ++run)
      sums.push_back({zeros(tables.keys), zeros(tables.queries), zeros(tables.bias)});
    auto gradQkv = at::empty_like(qkv);
    overSequences(runs, [&](size_t run, size_t s) {
      auto& sum = sums[run];
      const auto one = sequenceAt(qkv, starts, s, index, spec, type);
      const auto length = one.length;
      const auto gradOut = grads[0]
                               .narrow(0, one.begin, length)
                               .to(type)
                               .reshape({length, spec.heads, spec.headDim})
                               .transpose(0, 1)
                               .contiguous();
      const auto p = probabilities(one, tables, spec);
      const auto used = spec.dropoutP > 0 ? kernels::dropout(p, spec.dropoutP, one.seed, spec.place) : p;
      const auto gradV = at::matmul(used.transpose(1, 2), gradOut);
      auto gradP = at::matmul(gradOut, one.v.transpose(1, 2));
      if (spec.dropoutP > 0) gradP = kernels::dropout(gradP, spec.dropoutP, one.seed, spec.place);
      auto gradScores = p * (gradP - (gradP * p).sum(-1, true));
      if (sum.bias.defined())
        sum.bias.scatter_add_(1, one.forward.reshape({spec.heads, -1}), gradScores.reshape({spec.heads, -1}));
      gradScores *= spec.scale;
      auto gradQ = at::matmul(gradScores, one.k), gradK = at::matmul(gradScores.transpose(1, 2), one.q);
      // What a table's rows received: the scores' gradients of all pairs at their distance.
      const auto received = [&](const at::Tensor& table, const at::Tensor& rows, const at::Tensor& gradient) {
        return at::zeros({spec.heads, length, table.size(1)}, gradient.options()).scatter_add_(2, rows, gradient);
      };
      if (tables.keys.defined()) {
        const auto r = received(tables.keys, one.forward, gradScores);
        gradQ += at::matmul(r, tables.keys);
        sum.keys += at::matmul(r.transpose(1, 2), one.q);
      }
      if (tables.queries.defined()) {
        const auto r = received(tables.queries, one.backward, gradScores.transpose(1, 2).contiguous());
        gradK += at::matmul(r, tables.queries);
        sum.queries += at::matmul(r.transpose(1, 2), one.k);
      }
      gradQkv.narrow(0, one.begin, length)
          .copy_(at::stack({gradQ, gradK, gradV}).permute({2, 0, 1, 3}).reshape({length, -1}));
    });
    auto& total = sums.front();
    for (size_t run = 1; run < sums.size(); ++run) {
      if (total.keys.defined()) total.keys += sums[run].keys;
      if (total.queries.defined()) total.queries += sums[run].queries;
      if (total.bias.defined()) total.bias += sums[run].bias;
    }
    const auto flat = [](const at::Tensor& gradient, const at::Tensor& table) {
      return gradient.transpose(0, 1).reshape(table.sizes()).to(table.scalar_type());
    };
    variable_list result{gradQkv};
    result.push_back(given[0] ? flat(total.keys, saved[1]) : at::Tensor());
    result.push_back(given[1] ? flat(total.queries, saved[2]) : at::Tensor());
    result.push_back(given[2] ? total.bias.t().to(saved[3].scalar_type()) : at::Tensor());
    result.resize(7);
    return result;
  }
};

}  // namespace

at::Tensor relativeAttention(const at::Tensor& qkv, const std::vector<int64_t>& starts, const RelativeTerms& terms,
                             const RelativeSpec& spec) {
  TORCH_CHECK(qkv.dim() == 2 && qkv.size(1) == 3 * spec.heads * spec.headDim, "relative attention: rows of ",
              qkv.sizes(), " do not hold ", spec.heads, " heads of ", spec.headDim);
  TORCH_CHECK(starts.size() > 1 && starts.front() == 0 && starts.back() == qkv.size(0),
              "relative attention: the boundaries do not cover the batch");
  TORCH_CHECK(terms.index.size(0) >= longestSequence(starts), "relative attention: an index of ", terms.index.sizes());
  const auto maybe = [](const at::Tensor& t) { return t.defined() ? std::optional<at::Tensor>(t) : std::nullopt; };
  return RelativeAttention::apply(qkv, maybe(terms.keys), maybe(terms.queries), maybe(terms.bias), &terms.index, &starts,
                                  &spec);
}

at::Tensor relativeIndex(const at::Tensor& rows) {
  const auto longest = (rows.size(0) + 1) / 2;
  const auto places = at::arange(longest, rows.options());
  return rows.index_select(0, (places.unsqueeze(1) - places + (longest - 1)).reshape(-1)).view({longest, longest});
}

int64_t longestSequence(const std::vector<int64_t>& starts) {
  int64_t longest = 0;
  for (size_t i = 1; i < starts.size(); ++i) longest = std::max(longest, starts[i] - starts[i - 1]);
  return longest;
}

}  // namespace rankscope
