#include "core/data/image_table.h"

namespace rankscope {

Result<std::unique_ptr<TableReader>> ImageTable::open(const std::filesystem::path& path) {
  Result<std::shared_ptr<const ImageSource>> source = ImageSource::open(path);
  if (!source) return source.error();
  std::unique_ptr<ImageTable> table(new ImageTable(std::move(*source)));
  table->m_path = path;
  table->m_format = DataFormat::Images;
  table->m_hasHeader = true;
  table->m_columns = {"image", "label"};
  return std::unique_ptr<TableReader>(std::move(table));
}

bool ImageTable::next(Row& row) {
  if (m_at >= m_source->size()) return false;
  std::string label = m_source->label(m_at);
  row.number = row.line = m_at + 1;
  row.cells.assign({m_source->name(m_at), label.empty() ? std::nullopt : std::optional(std::move(label))});
  ++m_at;
  return true;
}

}  // namespace rankscope
