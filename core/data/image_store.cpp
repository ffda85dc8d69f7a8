#include "core/data/image_store.h"

#include <fmt/format.h>
#include <unistd.h>

namespace rankscope {

Result<std::shared_ptr<ImageStore>> ImageStore::create(const ImageSettings& settings, uint64_t count,
                                                       const std::string& where) {
  const auto memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const auto each = static_cast<uint64_t>(settings.values());
  if (count > INT32_MAX || count * each > memory / 2)
    return Error{ErrorCode::BadInput, "the images do not fit in memory", where,
                 fmt::format("{} images of {} × {}: {} MB", count, settings.width, settings.height, count * each / 1'000'000),
                 fmt::format("at most {} MB", memory / 2 / 1'000'000),
                 "Set data.train_limit and data.eval_limit, choose a smaller data.image_size, or use part of the data."};
  std::shared_ptr<ImageStore> store(new ImageStore(settings));
  store->m_pixels.reserve(count * each);
  return store;
}

int32_t ImageStore::add(std::span<const uint8_t> pixels) {
  const auto index = static_cast<int32_t>(size());
  m_pixels.insert(m_pixels.end(), pixels.begin(), pixels.end());
  return index;
}

}  // namespace rankscope
