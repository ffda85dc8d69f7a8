#include "ui/newrun/method_recipes.h"

#include <QLatin1String>

namespace rankscope::ui {
namespace {

using enum Shape;
using enum Ink;
using enum Texture;

// The factors that most methods share, with what is particular about their start and their step.
Mark weight() { return {Square, "W"}; }
Mark sign(const char* text) { return {Sign, text}; }
Mark factorB(const char* step = "", const char* start = "") { return {Tall, "B", Trained, Plain, start, step}; }
Mark factorA(const char* step = "", const char* start = "") { return {Wide, "A", Trained, Plain, start, step}; }

// W + scale · B · A
std::vector<Mark> update(Mark w, const char* scale, Mark b, Mark a) {
  return {w, sign("+"), sign(scale), b, sign("·"), a};
}

Mark layer(const char* name) { return {Layer, name}; }
Mark adapter(bool beside = false, const char* label = "") {
  return {Bottleneck, label, Trained, Plain, "", "", beside};
}
Mark sum() { return {Sum, "+"}; }

std::vector<MethodRecipe> makeRecipes() {
  const char* alpha = "α/r";
  const Mark plainB = factorB(), plainA = factorA();
  return {
      {"full", {{Square, "W", Trained, Plain, "", "AdamW"}, sign("·"), sign("x")}},
      {"bitfit", {weight(), sign("·"), sign("x"), sign("+"), {Column, "b", Trained}}},
      {"lora", update(weight(), alpha, plainB, plainA)},
      {"rora", update(weight(), "α/√r", plainB, plainA)},
      {"dora",
       {{Column, "m", Trained}, sign("⊙"), sign("("), weight(), sign("+"), sign(alpha), plainB, sign("·"), plainA,
        sign(")"), sign("/ ‖·‖")}},
      {"adalora",
       {weight(), sign("+"), sign(alpha), {Tall, "B", Trained, Pruned}, {Diagonal, "E", Trained, Pruned},
        {Wide, "A", Trained, Pruned}},
       {{Span::Brace, 3, 5, "what matters least is pruned"}}},
      {"pissa",
       update({Square, "W", Frozen, Hollow}, "s", factorB("", "U√Σ"), factorA("", "√Σ·Vᵀ")),
       {{Span::Brace, 3, 5, "leading singular triplets of W"}}},
      {"lora_ga",
       update({Square, "W", Frozen, Hollow}, "s", factorB("", "U r+1…2r"), factorA("", "V 1…r")),
       {{Span::Brace, 3, 5, "from the mean gradient U·S·Vᵀ"}}},
      {"nora", update(weight(), alpha, factorB("", "0"), factorA("", "Ω·W"))},
      {"loraplus", update(weight(), alpha, factorB("λ·η"), factorA("η"))},
      {"only_b", update(weight(), alpha, plainB, {Wide, "A", Frozen, Plain, "A·Aᵀ = I"})},
      {"reflora", update(weight(), alpha, factorB("· S"), factorA("S⁻¹ ·"))},
      {"reflora_s", update(weight(), alpha, plainB, plainA), {{Span::Brace, 3, 5, "after each step ‖B‖ = ‖A‖"}}},
      {"preclora", update(weight(), alpha, factorB("· (A·Aᵀ)⁻¹"), factorA("(BᵀB)⁻¹ ·"))},
      {"nora_plus", update(weight(), alpha, factorB("· Pᴬ/‖Pᴬ‖", "0"), factorA("Pᴮ/‖Pᴮ‖ ·", "Ω·W"))},
      {"lora_pro",
       {weight(), sign("+"), sign(alpha), plainB, sign("·"), plainA, sign("⇄"), {Square, "m, v", Computed}},
       {{Span::Brace, 3, 7, "Adam on the whole gradient, projected back"}}},
      {"lora_rite",
       {weight(), sign("+"), sign(alpha), factorB("÷ R of A"), sign("·"), factorA("÷ R of B"), sign("B ="),
        {Tall, "Q", Computed}, {Small, "R", Computed}},
       {{Span::Brace, 7, 8, "basis of A's moments"}}},
      {"qlora", update({Square, "W", Frozen, FourBits, "NF4"}, alpha, plainB, plainA)},
      {"houlsby",
       {layer("Attention"), adapter(), sum(), layer("LN"), layer("Feed-forward"), adapter(), sum(), layer("LN")},
       {{Span::PassAbove, 0, 2}, {Span::PassBelow, 1, 2}, {Span::PassAbove, 4, 6}, {Span::PassBelow, 5, 6}},
       true},
      {"pfeiffer",
       {layer("Attention"), sum(), layer("LN"), layer("Feed-forward"), sum(), layer("LN"), adapter(), sum(), layer("LN")},
       {{Span::PassAbove, 0, 1}, {Span::PassAbove, 3, 4}, {Span::PassBelow, 5, 7}},
       true},
      {"parallel",
       {layer("Attention"), sum(), layer("LN"), layer("Feed-forward"), adapter(true, "× λ"), sum(), layer("LN")},
       {{Span::PassAbove, 0, 1}, {Span::PassAbove, 3, 5}},
       true},
      {"llm_series", {adapter(), sum(), weight()}, {{Span::PassAbove, 0, 1}}, true, 64},
      {"llm_parallel", {weight(), adapter(true), sum()}, {}, true, 64},
      {"prefix",
       {sign("softmax( q ·"), {Rows, "Kᵀ"}, sign(") ·"), {Rows, "V"}},
       {{Span::Brace, 0, 3, "learned rows in front of every text"}}},
      {"loreft",
       {{Tokens, "prompt"}, sign("→"), sign("h +"), {Tall, "Rᵀ", Trained, Plain, "R·Rᵀ = I"}, sign("("),
        {Wide, "U", Trained}, sign("h + b −"), {Wide, "R", Trained}, sign("h )")},
       {},
       false,
       56},
      {"direft",
       {{Tokens, "prompt"}, sign("→"), sign("h +"), {Tall, "U₁ᵀ", Trained}, sign("("), {Wide, "U₂", Trained},
        sign("h + b )")},
       {},
       false,
       56},
  };
}

}  // namespace

const MethodRecipe* methodRecipe(const QString& method) {
  static const std::vector<MethodRecipe> recipes = makeRecipes();
  for (const MethodRecipe& recipe : recipes)
    if (method == QLatin1String(recipe.method)) return &recipe;
  return nullptr;
}

}  // namespace rankscope::ui
