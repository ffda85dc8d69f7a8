#include "core/models/checkpointing.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

namespace rankscope {

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

struct BlockHolder : torch::CustomClassHolder {
  BlockFunction block;
};

class Recompute : public torch::autograd::Function<Recompute> {
 public:
  // `anchor` requires grad, so that the outputs do even when only parameters inside the block train.
  static variable_list forward(AutogradContext* ctx, const BlockFunction& block, const at::Tensor& /*anchor*/,
                               at::TensorList inputs) {
    auto holder = c10::make_intrusive<BlockHolder>();
    holder->block = block;
    ctx->saved_data["block"] = c10::IValue::make_capsule(holder);
    ctx->save_for_backward(inputs.vec());
    return block(inputs.vec());  // Function::apply has switched gradients off
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& gradients) {
    const auto holder = c10::static_intrusive_pointer_cast<BlockHolder>(ctx->saved_data["block"].toCapsule());
    variable_list inputs;
    for (const auto& saved : ctx->get_saved_variables()) inputs.push_back(saved.detach().requires_grad_());
    variable_list outputs, used;
    {
      at::AutoGradMode on(true);
      const auto all = holder->block(inputs);
      for (size_t i = 0; i < all.size(); ++i) {
        if (!gradients[i].defined()) continue;
        outputs.push_back(all[i]);
        used.push_back(gradients[i]);
      }
      torch::autograd::backward(outputs, used);  // parameters inside the block accumulate right here
    }
    variable_list result{at::Tensor(), at::Tensor()};
    for (const auto& input : inputs) result.push_back(input.grad());
    return result;
  }
};

}  // namespace

std::vector<at::Tensor> checkpointed(const BlockFunction& block, const std::vector<at::Tensor>& inputs) {
  std::vector<bool> given;
  std::vector<at::Tensor> defined;
  for (const auto& input : inputs) {
    given.push_back(input.defined());
    if (input.defined()) defined.push_back(input);
  }
  const BlockFunction inner = [block, given](const std::vector<at::Tensor>& some) {
    std::vector<at::Tensor> all;
    size_t next = 0;
    for (const bool here : given) all.push_back(here ? some[next++] : at::Tensor());
    return block(all);
  };
  const auto anchor = at::empty({0}, at::kFloat).requires_grad_();
  return Recompute::apply(inner, anchor, at::TensorList(defined));
}

std::vector<at::Tensor> throughBlocks(
    size_t count, std::vector<at::Tensor> state, const std::vector<at::Tensor>& shared, bool recompute,
    ForwardContext& context,
    const std::function<std::vector<at::Tensor>(size_t, const std::vector<at::Tensor>&, ForwardContext&)>& block,
    const std::function<void(const std::vector<at::Tensor>&)>& seen) {
  constexpr uint64_t kPlacesPerBlock = 64;  // more than any block has
  const auto firstPlace = context.nextPlace;
  for (size_t i = 0; i < count; ++i) {
    context.nextPlace = firstPlace + i * kPlacesPerBlock;
    auto in = state;
    in.insert(in.end(), shared.begin(), shared.end());
    if (recompute && at::GradMode::is_enabled()) {
      const ForwardContext start = context;
      state = checkpointed(
          [copy = block, i, start](const std::vector<at::Tensor>& inputs) {
            ForwardContext own = start;
            return copy(i, inputs, own);
          },
          in);
    } else {
      state = block(i, in, context);
    }
    if (seen) seen(state);
  }
  context.nextPlace = firstPlace + count * kPlacesPerBlock;
  return state;
}

}  // namespace rankscope
