#pragma once
// A set of images as a table of their names and labels, so that what reads tables (inspection, the preparation of a run's
// data with its threads, limits and list of problems) reads images too. One thread, like every reader.

#include <memory>

#include "core/data/image_source.h"
#include "core/data/table.h"

namespace rankscope {

class ImageTable final : public TableReader {
 public:
  static Result<std::unique_ptr<TableReader>> open(const std::filesystem::path& path);

  bool next(Row& row) override;
  void rewind() override { m_at = 0; }
  double progress() const override { return static_cast<double>(m_at) / static_cast<double>(m_source->size()); }
  Result<std::string> contentHash() const override { return m_source->contentHash(); }
  uint64_t bytes() const override { return m_source->bytes(); }
  const std::shared_ptr<const ImageSource>& source() const { return m_source; }

 private:
  explicit ImageTable(std::shared_ptr<const ImageSource> source) : m_source(std::move(source)) {}
  std::shared_ptr<const ImageSource> m_source;
  size_t m_at = 0;
};

}  // namespace rankscope
