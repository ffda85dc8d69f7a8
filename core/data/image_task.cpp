// image_classification: an image, brought to the model's size, and its class.

#include "core/data/image_source.h"
#include "core/data/image_table.h"
#include "core/data/task.h"

namespace rankscope {
namespace {

class ImageTask : public RowTask {
 public:
  ImageTask(std::shared_ptr<const ImageSource> source, const ImageSettings& settings)
      : m_source(std::move(source)), m_settings(settings) {}

  RowOutcome encode(const Row& row) const override {
    if (!row.cells[1]) return SkippedRow{*row.cells[0] + ": its label has no name; the image was left out"};
    const auto skipped = [&](const Error& error) {
      return SkippedRow{*row.cells[0] + ": " + error.what + (error.found.empty() ? "" : " (" + error.found + ")") +
                        "; the image was left out"};
    };
    Result<Image> image = m_source->read(static_cast<size_t>(row.number - 1));
    if (!image) return skipped(image.error());
    Result<std::vector<uint8_t>> pixels = modelPixels(std::move(*image), m_settings, *row.cells[0]);
    if (!pixels) return skipped(pixels.error());
    EncodedRow encoded;
    encoded.pixels = std::move(*pixels);
    encoded.label = *row.cells[1];
    return encoded;
  }

 private:
  std::shared_ptr<const ImageSource> m_source;
  ImageSettings m_settings;
};

}  // namespace

Result<std::unique_ptr<RowTask>> makeImageTask(const TaskSetup& setup) {
  const auto* table = dynamic_cast<const ImageTable*>(&setup.reader);
  if (!table)
    return Error{ErrorCode::BadInput, "the data holds no images", "data.train", dataFormatName(setup.reader.format()),
                 "a folder of class folders, CIFAR batches, or an IDX file of images",
                 "Choose such data, or another data.task."};
  return std::unique_ptr<RowTask>(std::make_unique<ImageTask>(table->source(), setup.settings.image));
}

}  // namespace rankscope
