#pragma once
// What PyTorch's pickles may say: storages, tensors rebuilt from them, dictionaries and plain data. Every other name of
// a class or function is refused. One object reads one file, on one thread.

#include <map>
#include <string>
#include <vector>

#include "core/io/pickle.h"
#include "core/io/safetensors_header.h"

namespace rankscope {

struct TorchStorage {
  std::string key;
  uint64_t bytes = 0;
};

// A piece of a storage, in elements of `dtype` from its beginning.
struct TorchTensor {
  size_t storage = 0;  // index
  Dtype dtype = Dtype::F32;
  uint64_t offset = 0;
  std::vector<int64_t> shape, strides;
};

class TorchPickle final : public PickleGuest {
 public:
  Result<int64_t> name(const std::string& qualified) override;
  Result<PickleNode> call(int64_t name, const PickleNode& arguments, const PickleDocument& document) override;
  Result<PickleNode> persistent(const PickleNode& id, const PickleDocument& document) override;

  const std::vector<TorchStorage>& storages() const { return m_storages; }
  const TorchStorage* storage(const std::string& key) const;
  // The tensor that `node` is, or null.
  const TorchTensor* tensor(const PickleNode& node) const;

 private:
  // What an Object's number refers to: storage references first, then tensors, each in a list of its own.
  struct StorageView {
    size_t storage = 0;
    Dtype dtype = Dtype::U8;
    uint64_t offset = 0, elements = 0;  // of the storage's own dtype
  };
  struct Made {
    bool isTensor = false;
    size_t index = 0;
  };
  Result<PickleNode> rebuild(const PickleNode& arguments, const PickleDocument& document, bool typed);
  Result<PickleNode> parameter(const PickleNode& arguments, const PickleDocument& document) const;
  PickleNode made(bool isTensor, size_t index);

  std::vector<TorchStorage> m_storages;
  std::map<std::string, size_t> m_storageOf;
  std::vector<StorageView> m_views;
  std::vector<TorchTensor> m_tensors;
  std::vector<Made> m_made;
};

// The named tensors of a checkpoint: the root dictionary, or the one inside it that holds the weights.
struct TorchState {
  std::vector<std::pair<std::string, TorchTensor>> tensors;  // "module." of a parallel wrapper taken off; sorted
  std::map<std::string, std::string> notes;                  // numbers and texts beside them
};
Result<TorchState> torchState(const PickleDocument& document, const TorchPickle& pickle, const std::string& where);

}  // namespace rankscope
