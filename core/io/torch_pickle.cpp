#include "core/io/torch_pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <optional>

#include "core/config/text_shown.h"

namespace rankscope {
namespace {

constexpr const char* kDamaged = "Perhaps the download was cut off or the file is damaged: fetch it again.";

enum class Meaning { Dictionary, Rebuild, RebuildTyped, Parameter, Size, Device, StorageType, DtypeName };

struct KnownName {
  const char* name;
  Meaning meaning;
  Dtype dtype = Dtype::U8;
};

constexpr KnownName kNames[] = {
    {"collections.OrderedDict", Meaning::Dictionary},
    {"torch._utils._rebuild_tensor_v2", Meaning::Rebuild},
    {"torch._utils._rebuild_tensor", Meaning::Rebuild},
    {"torch._utils._rebuild_tensor_v3", Meaning::RebuildTyped},
    {"torch._utils._rebuild_parameter", Meaning::Parameter},
    {"torch.Size", Meaning::Size},
    {"torch.device", Meaning::Device},
    {"torch.FloatStorage", Meaning::StorageType, Dtype::F32},
    {"torch.DoubleStorage", Meaning::StorageType, Dtype::F64},
    {"torch.HalfStorage", Meaning::StorageType, Dtype::F16},
    {"torch.BFloat16Storage", Meaning::StorageType, Dtype::BF16},
    {"torch.LongStorage", Meaning::StorageType, Dtype::I64},
    {"torch.IntStorage", Meaning::StorageType, Dtype::I32},
    {"torch.ShortStorage", Meaning::StorageType, Dtype::I16},
    {"torch.CharStorage", Meaning::StorageType, Dtype::I8},
    {"torch.ByteStorage", Meaning::StorageType, Dtype::U8},
    {"torch.BoolStorage", Meaning::StorageType, Dtype::Bool},
    {"torch.ComplexFloatStorage", Meaning::StorageType, Dtype::C64},
    {"torch.storage.UntypedStorage", Meaning::StorageType, Dtype::U8},
    {"torch.UntypedStorage", Meaning::StorageType, Dtype::U8},
    {"torch.float32", Meaning::DtypeName, Dtype::F32},
    {"torch.float64", Meaning::DtypeName, Dtype::F64},
    {"torch.float16", Meaning::DtypeName, Dtype::F16},
    {"torch.bfloat16", Meaning::DtypeName, Dtype::BF16},
    {"torch.int64", Meaning::DtypeName, Dtype::I64},
    {"torch.int32", Meaning::DtypeName, Dtype::I32},
    {"torch.int16", Meaning::DtypeName, Dtype::I16},
    {"torch.int8", Meaning::DtypeName, Dtype::I8},
    {"torch.uint8", Meaning::DtypeName, Dtype::U8},
    {"torch.uint16", Meaning::DtypeName, Dtype::U16},
    {"torch.uint32", Meaning::DtypeName, Dtype::U32},
    {"torch.uint64", Meaning::DtypeName, Dtype::U64},
    {"torch.bool", Meaning::DtypeName, Dtype::Bool},
    {"torch.float8_e4m3fn", Meaning::DtypeName, Dtype::F8E4M3},
    {"torch.float8_e5m2", Meaning::DtypeName, Dtype::F8E5M2},
};

Error bad(std::string what, std::string found = "", std::string expected = "", std::string hint = kDamaged) {
  return Error{ErrorCode::BadInput, std::move(what), "", std::move(found), std::move(expected), std::move(hint)};
}

// Python 2 wrote texts as bytes.
std::optional<std::string> textOf(const PickleNode& node) {
  if (node.kind != PickleKind::Text && !(node.kind == PickleKind::Bytes && isValidUtf8(node.text))) return std::nullopt;
  return std::string(node.text);
}

std::optional<uint64_t> countOf(const PickleNode& node) {
  if (node.kind != PickleKind::Int || node.integer < 0) return std::nullopt;
  return static_cast<uint64_t>(node.integer);
}

Result<std::vector<int64_t>> sizes(const PickleNode& node, const PickleDocument& document, const char* what) {
  if (node.kind != PickleKind::Tuple || node.items.size() > 64)
    return bad(fmt::format("a tensor's {} is no list of sizes", what), describePickle(node), "a tuple of at most 64");
  std::vector<int64_t> values;
  for (const PickleRef item : node.items) {
    const std::optional<uint64_t> value = countOf(document[item]);
    if (!value)
      return bad(fmt::format("a tensor's {} holds something other than a size", what), describePickle(document[item]),
                 "whole numbers from 0");
    values.push_back(static_cast<int64_t>(*value));
  }
  return values;
}

// Elements of a tensor if every index of it lies below `limit`.
std::optional<uint64_t> elementsWithin(const TorchTensor& tensor, uint64_t limit) {
  uint64_t count = 1, last = tensor.offset;
  bool empty = false;
  for (size_t i = 0; i < tensor.shape.size(); ++i) {
    const auto size = static_cast<uint64_t>(tensor.shape[i]), stride = static_cast<uint64_t>(tensor.strides[i]);
    if (size == 0) {
      empty = true;
      continue;
    }
    uint64_t reach = 0;
    if (__builtin_mul_overflow(count, size, &count) || count > static_cast<uint64_t>(INT64_MAX) ||
        __builtin_mul_overflow(size - 1, stride, &reach) || __builtin_add_overflow(last, reach, &last))
      return std::nullopt;
  }
  if (empty) return tensor.offset <= limit ? std::optional<uint64_t>(0) : std::nullopt;
  return last < limit ? std::optional<uint64_t>(count) : std::nullopt;
}

// An expanded tensor may repeat its storage; beyond this many elements it would only be a way to fill the memory.
constexpr uint64_t kMaxRepeated = 1 << 20;

}  // namespace

PickleNode TorchPickle::made(bool isTensor, size_t index) {
  m_made.push_back({isTensor, index});
  PickleNode node{PickleKind::Object};
  node.integer = static_cast<int64_t>(m_made.size() - 1);
  return node;
}

Result<int64_t> TorchPickle::name(const std::string& qualified) {
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (qualified == kNames[i].name) return static_cast<int64_t>(i);
  return bad("the file asks for code that is not accepted", shown(qualified, 200),
             "tensors, dictionaries and plain values",
             "A checkpoint needs no code: if you trust the file, load it with the program that wrote it and save its "
             "state_dict as safetensors.");
}

Result<PickleNode> TorchPickle::call(int64_t name, const PickleNode& arguments, const PickleDocument& document) {
  const KnownName& known = kNames[static_cast<size_t>(name)];
  switch (known.meaning) {
    case Meaning::Dictionary: {
      PickleNode dict{PickleKind::Dict};
      if (arguments.items.empty()) return dict;
      const PickleNode& pairs = document[arguments.items.front()];
      if (arguments.items.size() != 1 || pairs.kind != PickleKind::List)
        return bad("a dictionary is made of something else", describePickle(pairs), "a list of pairs");
      for (const PickleRef pair : pairs.items) {
        const PickleNode& entry = document[pair];
        if ((entry.kind != PickleKind::Tuple && entry.kind != PickleKind::List) || entry.items.size() != 2)
          return bad("a dictionary is made of something else", describePickle(entry), "pairs");
        dict.items.insert(dict.items.end(), entry.items.begin(), entry.items.end());
      }
      return dict;
    }
    case Meaning::Rebuild: return rebuild(arguments, document, false);
    case Meaning::RebuildTyped: return rebuild(arguments, document, true);
    case Meaning::Parameter: return parameter(arguments, document);
    case Meaning::Size: {
      if (arguments.items.size() != 1) return bad("a shape is no list of sizes");
      const PickleNode& list = document[arguments.items.front()];
      if (list.kind != PickleKind::Tuple && list.kind != PickleKind::List)
        return bad("a shape is no list of sizes", describePickle(list));
      PickleNode shape{PickleKind::Tuple};
      shape.items = list.items;
      return shape;
    }
    case Meaning::Device: {
      PickleNode device{PickleKind::Tuple};
      device.items = arguments.items;
      return device;
    }
    case Meaning::StorageType:
    case Meaning::DtypeName: break;
  }
  return bad("the file calls a name that is no function", known.name);
}

Result<PickleNode> TorchPickle::persistent(const PickleNode& id, const PickleDocument& document) {
  const auto part = [&](size_t i) -> const PickleNode& { return document[id.items[i]]; };
  if (id.kind != PickleKind::Tuple || id.items.size() < 5 || id.items.size() > 6)
    return bad("a reference to outside is no storage", describePickle(id), "(\"storage\", type, key, place, size)");
  const std::optional<std::string> what = textOf(part(0)), key = textOf(part(2));
  const std::optional<uint64_t> elements = countOf(part(4));
  const PickleNode& type = part(1);
  if (!what || *what != "storage")
    return bad("a reference to outside is no storage", what ? shown(*what) : describePickle(part(0)), "storage",
               "The file holds a whole program object. Save its state_dict as safetensors.");
  if (!key || key->empty() || key->size() > 200 || !elements || type.kind != PickleKind::Name ||
      kNames[type.integer].meaning != Meaning::StorageType)
    return bad("a storage is not described as it should be", describePickle(type), "a storage type, a key and a size");
  StorageView view;
  view.dtype = kNames[type.integer].dtype;
  view.elements = *elements;
  uint64_t bytes = 0;
  const uint64_t width = static_cast<uint64_t>(dtypeBits(view.dtype)) / 8;
  if (__builtin_mul_overflow(*elements, width, &bytes) || bytes > static_cast<uint64_t>(INT64_MAX))
    return bad("a storage is too large", fmt::format("{} elements", *elements), "fewer than 2^63 bytes");
  const auto [entry, isNew] = m_storageOf.emplace(*key, m_storages.size());
  if (isNew) m_storages.push_back({*key, bytes});
  view.storage = entry->second;
  if (m_storages[view.storage].bytes != bytes)
    return bad("one storage is given two sizes", fmt::format("{} and {} bytes", m_storages[view.storage].bytes, bytes),
               "", "The file is damaged or was tampered with: fetch it again from its source.");
  if (id.items.size() == 6 && part(5).kind != PickleKind::None) {  // a view onto a piece, in files of before 2020
    const PickleNode& piece = part(5);
    const bool whole = piece.kind == PickleKind::Tuple && piece.items.size() == 3;
    const std::optional<uint64_t> offset = whole ? countOf(document[piece.items[1]]) : std::nullopt;
    const std::optional<uint64_t> length = whole ? countOf(document[piece.items[2]]) : std::nullopt;
    if (!offset || !length || *offset > *elements || *length > *elements - *offset)
      return bad("a piece of a storage leaves it", describePickle(piece), fmt::format("inside {} elements", *elements));
    view.offset = *offset;
    view.elements = *length;
  }
  m_views.push_back(view);
  return made(false, m_views.size() - 1);
}

Result<PickleNode> TorchPickle::rebuild(const PickleNode& arguments, const PickleDocument& document, bool typed) {
  const size_t count = arguments.items.size();
  if (count < (typed ? 7u : 4u) || count > 8)
    return bad("a tensor is rebuilt from too few or too many values", fmt::format("{}", count));
  const auto part = [&](size_t i) -> const PickleNode& { return document[arguments.items[i]]; };
  const PickleNode& source = part(0);
  if (source.kind != PickleKind::Object || m_made[static_cast<size_t>(source.integer)].isTensor)
    return bad("a tensor is rebuilt from something other than a storage", describePickle(source));
  const StorageView& view = m_views[m_made[static_cast<size_t>(source.integer)].index];
  const std::optional<uint64_t> offset = countOf(part(1));
  if (!offset) return bad("a tensor's offset is no number", describePickle(part(1)), "a whole number from 0");
  Result<std::vector<int64_t>> shape = sizes(part(2), document, "shape");
  if (!shape) return shape.error();
  Result<std::vector<int64_t>> strides = sizes(part(3), document, "strides");
  if (!strides) return strides.error();
  if (shape->size() != strides->size())
    return bad("a tensor has more sizes than strides", fmt::format("{} and {}", shape->size(), strides->size()));

  TorchTensor tensor{view.storage, view.dtype, *offset, std::move(*shape), std::move(*strides)};
  uint64_t available = view.elements;
  if (typed) {  // a storage of bytes, read as the dtype that the tensor names
    const PickleNode& dtype = part(6);
    if (dtype.kind != PickleKind::Name || kNames[dtype.integer].meaning != Meaning::DtypeName)
      return bad("a tensor's dtype is not known", describePickle(dtype));
    if (view.offset != 0) return bad("a typed tensor lies in a piece of a storage");
    tensor.dtype = kNames[dtype.integer].dtype;
    available = m_storages[view.storage].bytes * 8 / static_cast<uint64_t>(dtypeBits(tensor.dtype));
  }
  const std::optional<uint64_t> elements = elementsWithin(tensor, available);
  if (!elements)
    return bad("a tensor leaves its storage",
               fmt::format("offset {}, sizes [{}], strides [{}]", tensor.offset, fmt::join(tensor.shape, ", "),
                           fmt::join(tensor.strides, ", ")),
               fmt::format("within {} elements", available));
  if (*elements > std::max(available, kMaxRepeated))
    return bad("a tensor repeats its storage too often", fmt::format("{} elements", *elements),
               fmt::format("at most {}", std::max(available, kMaxRepeated)), "Save the tensor whole (contiguous).");
  tensor.offset += view.offset;
  m_tensors.push_back(std::move(tensor));
  return made(true, m_tensors.size() - 1);
}

Result<PickleNode> TorchPickle::parameter(const PickleNode& arguments, const PickleDocument& document) const {
  if (arguments.items.size() != 3 || !tensor(document[arguments.items[0]]))
    return bad("a parameter is made of something other than a tensor", describePickle(arguments));
  return document[arguments.items[0]];
}

const TorchStorage* TorchPickle::storage(const std::string& key) const {
  const auto found = m_storageOf.find(key);
  return found == m_storageOf.end() ? nullptr : &m_storages[found->second];
}

const TorchTensor* TorchPickle::tensor(const PickleNode& node) const {
  if (node.kind != PickleKind::Object) return nullptr;
  const Made& object = m_made[static_cast<size_t>(node.integer)];
  return object.isTensor ? &m_tensors[object.index] : nullptr;
}

}  // namespace rankscope
