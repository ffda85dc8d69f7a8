#include "ui/newrun/image_grid.h"

#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kSide = 96;

}  // namespace

ImageGrid::ImageGrid(QWidget* parent) : QListWidget(parent) {
  setObjectName("imageGrid");
  setAccessibleName(tr("Images as the model sees them"));
  setViewMode(QListView::IconMode);
  setIconSize({kSide, kSide});
  setGridSize({kSide + 2 * space::kUnit, kSide + 2 * space::kUnit + fontMetrics().height()});
  setMovement(QListView::Static);
  setResizeMode(QListView::Adjust);
  setUniformItemSizes(true);
  setWordWrap(false);
  setTextElideMode(Qt::ElideRight);
  setFrameShape(QFrame::NoFrame);
  setEditTriggers(QAbstractItemView::NoEditTriggers);
}

void ImageGrid::setRows(const std::vector<PreviewRow>& rows) {
  clear();
  for (const auto& row : rows) {
    // Small images are drawn as the squares that the network gets, by whole factors; none is blurred.
    const int factor = std::max(1, kSide / std::max({1, row.image.width(), row.image.height()}));
    const auto shown = row.image.scaled(row.image.size() * factor, Qt::KeepAspectRatio, Qt::FastTransformation);
    auto* item = new QListWidgetItem(QIcon(QPixmap::fromImage(shown)), row.label, this);
    item->setToolTip(tr("%1, image %2").arg(row.label).arg(row.number));
    item->setTextAlignment(Qt::AlignHCenter | Qt::AlignTop);
  }
}

}  // namespace rankscope::ui
