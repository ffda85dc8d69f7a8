// Which of a checkpoint's dictionaries holds the weights.

#include <fmt/format.h>

#include <algorithm>

#include "core/config/text_shown.h"
#include "core/io/torch_pickle.h"

namespace rankscope {
namespace {

// Where training programs keep the weights beside the optimizer's state, most telling first.
constexpr const char* kUsualPlaces[] = {"state_dict", "model_state_dict", "model_state", "model", "module",
                                        "net",        "weights",          "params"};

std::string keyText(const PickleNode& key) {
  if (key.kind == PickleKind::Text || key.kind == PickleKind::Bytes) return std::string(key.text);
  return describePickle(key);
}

size_t tensorsIn(const PickleNode& dict, const PickleDocument& document, const TorchPickle& pickle) {
  size_t count = 0;
  for (size_t i = 1; dict.kind == PickleKind::Dict && i < dict.items.size(); i += 2)
    count += pickle.tensor(document[dict.items[i]]) != nullptr;
  return count;
}

Result<const PickleNode*> weightsOf(const PickleDocument& document, const TorchPickle& pickle,
                                    const std::string& where) {
  const PickleNode& root = document.root();
  if (tensorsIn(root, document, pickle) > 0) return &root;
  if (root.kind != PickleKind::Dict)
    return Error{ErrorCode::BadInput,
                 "the checkpoint holds no dictionary of tensors",
                 where,
                 describePickle(root),
                 "a state_dict",
                 "Save the model's state_dict."};
  std::vector<std::pair<std::string, const PickleNode*>> found;
  for (size_t i = 0; i + 1 < root.items.size(); i += 2)
    if (tensorsIn(document[root.items[i + 1]], document, pickle) > 0)
      found.emplace_back(keyText(document[root.items[i]]), &document[root.items[i + 1]]);
  for (const char* place : kUsualPlaces)
    for (const auto& [name, dict] : found)
      if (name == place) return dict;
  if (found.size() == 1) return found.front().second;
  std::string keys;
  for (size_t i = 0; i + 1 < root.items.size() && i < 24; i += 2)
    keys += (i ? ", " : "") + shown(keyText(document[root.items[i]]), 30);
  return Error{ErrorCode::BadInput,
               "it is not clear which part of the checkpoint holds the weights",
               where,
               keys.empty() ? "nothing" : keys,
               "a dictionary of tensors, or one under state_dict",
               "Save the model's state_dict alone."};
}

void keepNote(TorchState& state, const std::string& key, const PickleNode& value) {
  if (key.size() > 100 || !isValidUtf8(key) || state.notes.size() >= 100) return;
  if (value.kind == PickleKind::Int || value.kind == PickleKind::Bool)
    state.notes[key] = std::to_string(value.integer);
  else if (value.kind == PickleKind::Float)
    state.notes[key] = fmt::format("{}", value.real);
  else if (value.kind == PickleKind::Text && value.text.size() <= 1000)
    state.notes[key] = std::string(value.text);
}

}  // namespace

Result<TorchState> torchState(const PickleDocument& document, const TorchPickle& pickle, const std::string& where) {
  Result<const PickleNode*> weights = weightsOf(document, pickle, where);
  if (!weights) return weights.error();
  TorchState state;
  for (const PickleNode* dict : {&document.root(), *weights})
    for (size_t i = 0; i + 1 < dict->items.size(); i += 2) {
      const PickleNode& key = document[dict->items[i]];
      if (key.kind == PickleKind::Text || key.kind == PickleKind::Bytes)
        keepNote(state, std::string(key.text), document[dict->items[i + 1]]);
    }
  const std::vector<PickleRef>& items = (*weights)->items;
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    const TorchTensor* tensor = pickle.tensor(document[items[i + 1]]);
    if (!tensor) continue;
    const PickleNode& key = document[items[i]];
    const std::string name = keyText(key);
    if ((key.kind != PickleKind::Text && key.kind != PickleKind::Bytes) || name.empty() || name.size() > 1000 ||
        !isValidUtf8(name))
      return Error{ErrorCode::BadInput,
                   "a tensor of the checkpoint has no usable name",
                   where,
                   shown(name),
                   "a text",
                   "Save the model's state_dict alone."};
    state.tensors.emplace_back(name, *tensor);
  }
  constexpr std::string_view kParallel = "module.";
  if (std::all_of(state.tensors.begin(), state.tensors.end(), [&](const auto& entry) {
        return entry.first.size() > kParallel.size() && entry.first.rfind(kParallel, 0) == 0;
      }))
    for (auto& [name, tensor] : state.tensors) name.erase(0, kParallel.size());
  std::stable_sort(state.tensors.begin(), state.tensors.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 1; i < state.tensors.size(); ++i)
    if (state.tensors[i].first == state.tensors[i - 1].first)
      return Error{ErrorCode::BadInput,
                   "two tensors of the checkpoint have the same name",
                   where,
                   shown(state.tensors[i].first, 200),
                   "each name once",
                   "Fetch the file again from its source."};
  return state;
}

}  // namespace rankscope
