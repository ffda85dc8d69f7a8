#include "core/config/method_texts.h"

#include <algorithm>

namespace rankscope {

namespace {

constexpr const char* kMergesExactly = "Merges exactly: W becomes W + s·B·A, and the merged model costs nothing extra.";
constexpr const char* kMergesOntoRest = "Merges exactly: the frozen rest of W plus s·B·A is one matrix again.";
constexpr const char* kNoMerge = "Does not merge: what it adds is not linear in the input, so it stays a part of the model.";
constexpr const char* kPlainFile = "PEFT adapter of type LORA";
constexpr const char* kLikeLoraFile = "PEFT adapter of type LORA; the file does not tell it from LoRA's";
constexpr const char* kDoubledFile =
    "PEFT adapter of type LORA and twice the rank, against the original weights: what was taken out goes back in";
constexpr const char* kAdapterFile = "A folder of this program's own type ADAPTER; PEFT has none for it";
constexpr const char* kReftFile = "A folder of this program's own type REFT; PEFT has none for it";
constexpr const char* kBottleneckFile = "An adapter of LLM-Adapters' type BOTTLENECK";
constexpr const char* kPairCount = "r·(in + out) at each matrix";
constexpr const char* kLlmAdaptersPaper =
    "Hu et al., LLM-Adapters: An Adapter Family for Parameter-Efficient Fine-Tuning of Large Language Models, EMNLP 2023";
constexpr const char* kReftPaper = "Wu et al., ReFT: Representation Finetuning for Language Models, NeurIPS 2024";
constexpr const char* kNoraPaper = "Li et al., On the Crucial Role of Initialization for Matrix Factorization, ICLR 2025";

std::vector<MethodText> makeTexts() {
  using enum MethodGroup;
  return {
      {"full", Weights, "y = W·x",
       "Every weight of the model trains, or every weight of the layers and matrices that you choose. Nothing is added and "
       "nothing is approximated.",
       "Choose it as the yardstick, for small models, and when much data has to change much of the model.",
       "It keeps gradients and two moments for every weight: about four times the memory of the weights alone. A run on "
       "little data forgets more than with a low-rank update.",
       "Every weight", "Nothing to merge: the weights themselves have changed.",
       "A whole model: config, safetensors and tokenizer", ""},
      {"bitfit", Weights, "y = W·x + b, only b trains",
       "Only the biases of the model and its task head train; all matrices stay as they are. On BERT-like models that is "
       "less than a thousandth of the parameters.",
       "Choose it for the smallest change that still learns, on encoders with biases and little data.",
       "Models without biases, such as LLaMA's family, have nothing to train.",
       "All biases of the model", "Needs no merging: the changed biases replace the old ones.",
       "The changed biases, in a folder of this program's own type BITFIT; PEFT has none for it",
       "Ben Zaken et al., BitFit: Simple Parameter-efficient Fine-tuning for Transformer-based Masked Language-models, ACL "
       "2022"},
      {"lora", Form, "y = (W + α/r · B·A)·x",
       "W is frozen and an update of rank r is learned beside it, as the product of two thin matrices. B starts at zero, so "
       "the first output is the base model's.",
       "Choose it first: it is the best understood, the most widely read by other programs, and what others are compared "
       "with.",
       "At ranks of 64 and more the factor α/r holds the update back; RoRA's scaling or RefLoRA's rule then help.",
       kPairCount, kMergesExactly, kPlainFile,
       "Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, ICLR 2022"},
      {"rora", Form, "y = (W + α/√r · B·A)·x",
       "LoRA with the update divided by √r instead of r, also known as rsLoRA. The size of a step then no longer shrinks as "
       "the rank grows.",
       "Choose it for ranks above 16, or to sweep the rank with one learning rate.",
       "At small ranks it is LoRA with a larger α.",
       kPairCount, kMergesExactly, "PEFT adapter of type LORA with use_rslora",
       "Liu et al., RoRA: Efficient Fine-Tuning of LLM with Reliability Optimization for Rank Adaptation, 2025"},
      {"dora", Form, "y = m ⊙ (V/‖V‖)·x with V = W + α/r · B·A",
       "Each row of the weight is split into a length and a direction. LoRA turns the directions; the lengths m train by "
       "themselves, one for each output.",
       "Choose it when LoRA falls short of full fine-tuning at small ranks.",
       "Each step is slower and takes more memory than LoRA's, since the row norms of W + s·B·A are found anew.",
       "r·(in + out) + out at each matrix", "Merges exactly: W becomes V with its rows rescaled to the lengths m.",
       "PEFT adapter of type LORA with use_dora",
       "Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, ICML 2024"},
      {"adalora", Form, "y = (W + α/r · B·(A ⊙ E))·x",
       "The update is written as triplets, as in a singular value decomposition, with a factor E for each rank. While it "
       "trains, the triplets that matter least over all matrices are set to zero until a budget is met.",
       "Choose it when parameters are scarce and it is not known which matrices need them.",
       "Its schedule must fit the length of the run, and it starts with a larger rank than it ends with.",
       "r·(in + out) + r at each matrix, at the first rank",
       "Merges exactly: W becomes W + the update, with the ranks that are left.", "PEFT adapter of type ADALORA",
       "Zhang et al., AdaLoRA: Adaptive Budget Allocation for Parameter-Efficient Fine-Tuning, ICLR 2023"},
      {"pissa", Start, "W = (W − s·B₀·A₀) + s·B·A, with s·B₀·A₀ the r leading singular triplets",
       "The leading singular triplets of W are taken out of it and become A and B; the rest is frozen. What trains is the "
       "strongest part of the weight instead of a zero beside it.",
       "Choose it when training is short and should move at once, or to begin with balanced factors.",
       "It needs the singular value decomposition of every adapted matrix before the first step, and W is changed below the "
       "adapter.",
       kPairCount, kMergesOntoRest, kDoubledFile,
       "Meng et al., PiSSA: Principal Singular Values and Singular Vectors Adaptation of LLMs, NeurIPS 2024"},
      {"lora_ga", Start, "A₀ = ζ·V[1…r]ᵀ and B₀ = ζ·U[r+1…2r], with G = U·S·Vᵀ the mean gradient",
       "Some batches are run before training; the singular vectors of the mean gradient become A and B, and their product "
       "is taken out of W. The first step then points where full fine-tuning would go.",
       "Choose it when LoRA begins slowly and a pass over some batches is affordable.",
       "The start depends on the data it saw, and needs one full-size gradient and its decomposition for each matrix.",
       kPairCount, kMergesOntoRest, kDoubledFile,
       "Wang et al., LoRA-GA: Low-Rank Adaptation with Gradient Approximation, NeurIPS 2024"},
      {"nora", Start, "A₀ = (σ/s)·Ω·W with Ω random, B₀ = 0",
       "A starts as a random sketch of W, so that its rows lie where the rows of W do; B starts at zero. From there on it is "
       "LoRA.",
       "Choose it for a start that knows the weight but needs no decomposition.",
       "The released code leaves this start out by mistake, so its numbers are those of an ordinary A.",
       kPairCount, kMergesExactly, kLikeLoraFile, kNoraPaper},
      {"loraplus", Rule, "A at the learning rate η, B at λ·η",
       "LoRA whose B learns λ times as fast as its A. Nothing else changes.",
       "Choose it when LoRA learns too slowly on wide models, with a learning rate for A several times smaller than LoRA's.",
       "A large ratio at LoRA's own rate diverges.",
       kPairCount, kMergesExactly, kLikeLoraFile,
       "Hayou et al., LoRA+: Efficient Low Rank Adaptation of Large Models, ICML 2024"},
      {"only_b", Rule, "y = (W + α/r · B·A)·x with A·Aᵀ = I, only B trains",
       "A is drawn with orthonormal rows and stays as it is; B alone trains. The singular values of the update are s times "
       "those of B.",
       "Choose it to study intruder dimensions, or to save half of the adapter's parameters and moments.",
       "The rows that the update can reach are fixed by chance at the start.",
       "r·out at each matrix", kMergesExactly, kLikeLoraFile,
       "Shuttleworth et al., LoRA vs Full Fine-tuning: An Illusion of Equivalence, 2024"},
      {"reflora", Rule, "∇A ← S⁻¹·∇A and ∇B ← ∇B·S, with S = (A·Aᵀ)⁻¹ # BᵀB",
       "Of all ways to split the same update into B·A, the balanced one gives the tightest bound on the loss. The gradients "
       "are transformed as if the factors were balanced, by the geometric mean of two r×r matrices; the factors stay.",
       "Choose it when LoRA's result depends on learning rate, α or rank more than it should: it costs a few per cent of "
       "LoRA's time and almost no memory.",
       "It starts with some plain steps, since B = 0 has no balance: very short runs are mostly plain LoRA.",
       kPairCount, kMergesExactly, kLikeLoraFile,
       "Zhang et al., RefLoRA: Refactored Low-Rank Adaptation for Efficient Fine-Tuning, NeurIPS 2025"},
      {"reflora_s", Rule, "A ← √S·A and B ← B/√S after each step, with S = ‖B‖/‖A‖",
       "After every step the two factors are rescaled to equal norms, and the optimizer's moments with them. The update B·A "
       "stays the same.",
       "Choose it for the gist of RefLoRA without any matrix function, with ranks of several hundred.",
       "It equalises norms only, not directions; weight decay then acts on the rescaled factors.",
       kPairCount, kMergesExactly, kLikeLoraFile,
       "Zhang et al., RefLoRA: Refactored Low-Rank Adaptation for Efficient Fine-Tuning, NeurIPS 2025 (scalar form)"},
      {"preclora", Rule, "∇A ← (BᵀB + δ·I)⁻¹·∇A and ∇B ← ∇B·(A·Aᵀ + δ·I)⁻¹",
       "Each factor's gradient is scaled by the inverse metric of the other factor, as scaled gradient descent does. To "
       "first order the update of the weight does not depend on how it is factored.",
       "Choose it when the factors have grown far apart in size or the problem is ill-conditioned.",
       "B = 0 at the start makes the first metrics small: with SGD the second step can be very large.",
       kPairCount, kMergesExactly, kLikeLoraFile,
       "Zhang and Pilanci, Riemannian Preconditioned LoRA for Fine-Tuning Foundation Models, ICML 2024"},
      {"nora_plus", Rule, "∇A ← P_B·∇A/‖P_B‖ and ∇B ← ∇B·P_A/‖P_A‖, with P the inverse metrics",
       "NoRA's start with gradients scaled by the other factor's inverse metric, normalised so that only its shape counts. "
       "This happens before the gradients are clipped.",
       "Choose it for PrecLoRA's conditioning without its change of step size.",
       "With accumulation the rule acts once for each step, not at every part as in the released code.",
       kPairCount, kMergesExactly, kLikeLoraFile, kNoraPaper},
      {"lora_pro", Rule, "Adam on g = s·B·g̃A + s·g̃B·A, projected back to A and B",
       "The gradients of A and B are adjusted so that together they come as near as they can to the gradient of the whole "
       "matrix. Adam runs on that full-size gradient, and its step is projected back.",
       "Choose it to come close to full fine-tuning's path at a small rank, where memory is no matter.",
       "Its two moments are as large as W at every adapted matrix: the memory of full fine-tuning's optimizer.",
       kPairCount, kMergesExactly, kLikeLoraFile,
       "Wang et al., LoRA-Pro: Are Low-Rank Adapters Properly Optimized?, ICLR 2025"},
      {"lora_rite", Rule, "B = Q_B·R_B and Aᵀ = Q_A·R_A; moments are kept in the bases Q",
       "The scale of each factor is divided out of the other's gradient, and the moments are kept in an orthonormal basis "
       "that is carried along. The path of B·A is the same however the update was factored at the start.",
       "Choose it when scale and rotation of the factors should not matter at all.",
       "It is an optimizer of its own: slower than AdamW, and reported hard to make converge on LLaMA by RefLoRA's authors.",
       kPairCount, kMergesExactly, kLikeLoraFile,
       "Yen et al., LoRA Done RITE: Robust Invariant Transformation Equilibration for LoRA Optimization, ICLR 2025"},
      {"qlora", FourBit, "y = (deq(W₄) + α/r · B·A)·x",
       "The frozen weights are kept in 4 bits, on levels that suit a normal distribution, and made whole again where they "
       "are used. LoRA trains on top in the usual precision.",
       "Choose it when the base model does not fit otherwise: the weights take about a quarter of bfloat16's memory.",
       "Each step is slower, and the model begins as the one that the rounded weights make.",
       kPairCount,
       "Merges into the rounded weights, exactly; into the original weights it would be another model.", kPlainFile,
       "Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, NeurIPS 2023"},
      {"houlsby", Modules, "h ← h + f(h) behind attention and feed-forward, f(z) = Up·act(Down·z)",
       "A small bottleneck with biases is put behind the attention and behind the feed-forward part of every layer, before "
       "the sum with the residual. Everything else is frozen.",
       "Choose it as the classic adapter, with room for two bottlenecks in each layer.",
       "It stays in the model and makes every answer slower.",
       "2·(2·d·b + b + d) in each layer, b the bottleneck of width d", kNoMerge, kAdapterFile,
       "Houlsby et al., Parameter-Efficient Transfer Learning for NLP, ICML 2019"},
      {"pfeiffer", Modules, "LN(x + h + f(LN(x + h))), behind the feed-forward only",
       "One bottleneck in each layer, behind the feed-forward part, fed with the normed sum; the layer's own norm is used "
       "twice.",
       "Choose it for about half of Houlsby's cost in time at nearly the same quality.",
       "It stays in the model and makes every answer slower.",
       "2·d·b + b + d in each layer", kNoMerge, kAdapterFile,
       "Pfeiffer et al., AdapterFusion: Non-Destructive Task Composition for Transfer Learning, EACL 2021"},
      {"parallel", Modules, "LN(x + h + λ·f(x)), beside the feed-forward",
       "A wide bottleneck runs beside the feed-forward part, on the same input, and its scaled output is added. Its last map "
       "starts at zero, so the first output is the base model's.",
       "Choose it for tasks that must learn much, where its width of half the hidden size is affordable.",
       "At its usual width it has far more parameters than the other adapters.",
       "2·d·b + b + d in each layer", kNoMerge, kAdapterFile,
       "He et al., Towards a Unified View of Parameter-Efficient Transfer Learning, ICLR 2022"},
      {"llm_series", Modules, "z ← z + Up·tanh(Down·z), before or behind a linear map",
       "A bottleneck without biases changes the input of a matrix, or the output of the last one of the feed-forward part, "
       "and adds itself to it.",
       "Choose it to repeat the Series row of LLM-Adapters' and RoRA's tables.",
       "It stays in the model, one after the other with the weights, and makes every answer slower.",
       "2·d·b at each matrix", kNoMerge, kBottleneckFile, kLlmAdaptersPaper},
      {"llm_parallel", Modules, "y = W·x + Up·tanh(Down·x)",
       "A bottleneck without biases runs beside a matrix, from its input to its output. Without the tanh it would be LoRA.",
       "Choose it to repeat the Parallel row of LLM-Adapters' and RoRA's tables.",
       "The tanh keeps it from merging; LoRA of the same size does.",
       "b·(in + out) at each matrix", kNoMerge, kBottleneckFile, kLlmAdaptersPaper},
      {"prefix", Modules, "attention over [P_K; K] and [P_V; V]",
       "Some learned rows stand in front of the keys and values of every layer, as if the text had a beginning that nobody "
       "wrote. The weights do not change.",
       "Choose it for many small tasks on one generating model: each is a table of a few rows.",
       "It takes its rows out of the context's length, and is hard to train without the projection.",
       "n · 2 · layers · width of the keys, for n rows",
       "Does not merge: the rows stay in front of every text.", "PEFT adapter of type PREFIX_TUNING",
       "Li and Liang, Prefix-Tuning: Optimizing Continuous Prompts for Generation, ACL 2021"},
      {"loreft", States, "h ← h + Rᵀ·(U·h + b − R·h), with R·Rᵀ = I",
       "Hidden states at chosen positions of the prompt are edited in a subspace of r orthonormal directions: there they "
       "become what a learned linear map says. No weight changes.",
       "Choose it for instruction-like tasks with very few parameters: it edits some tokens and leaves the rest alone.",
       "The edit is not nothing at the start, and tasks that need every token changed are not its strength.",
       "2·d·r + r at each edited layer",
       "Does not merge: it acts at some positions only.", kReftFile, kReftPaper},
      {"direft", States, "h ← h + U₁ᵀ·(U₂·h + b)",
       "LoReFT without the orthonormal directions and without the difference: a low-rank edit is added to hidden states at "
       "chosen positions of the prompt.",
       "Choose it where LoReFT is too slow to train: it has no constraint to keep.",
       "The edit is not nothing at the start; it is a little weaker than LoReFT in the paper's tables.",
       "2·d·r + r at each edited layer",
       "Does not merge at some positions; applied at all of them it would be an update of the weight.", kReftFile,
       kReftPaper},
  };
}

}  // namespace

const std::vector<MethodGroupText>& methodGroups() {
  static const std::vector<MethodGroupText> groups = {
      {MethodGroup::Weights, "Weights of the model", "Parameters that the model already has train"},
      {MethodGroup::Form, "Low-rank update", "Thin factors beside frozen weights; they differ in what a matrix computes"},
      {MethodGroup::Start, "Low-rank, another start", "LoRA's update with other first values of A and B"},
      {MethodGroup::Rule, "Low-rank, another training rule", "LoRA's update with something else around the optimizer's step"},
      {MethodGroup::FourBit, "Low-rank on 4 bits", "LoRA's update on base weights that are kept in 4 bits"},
      {MethodGroup::Modules, "Inserted modules", "New parts between frozen layers"},
      {MethodGroup::States, "Edits of hidden states", "The weights stay; what flows between the layers is changed"},
  };
  return groups;
}

const MethodGroupText& methodGroupText(MethodGroup group) {
  const auto& groups = methodGroups();
  return *std::find_if(groups.begin(), groups.end(), [group](const MethodGroupText& text) { return text.group == group; });
}

const std::vector<MethodText>& methodTexts() {
  static const std::vector<MethodText> texts = makeTexts();
  return texts;
}

const MethodText* methodText(std::string_view method) {
  for (const MethodText& text : methodTexts())
    if (method == text.method) return &text;
  return nullptr;
}

}  // namespace rankscope
