#pragma once
// Thumbnails of a data set's images as the model will see them, each over its class. A list that keys and screen readers
// know how to use. GUI thread; gets its pixels ready made.

#include <QListWidget>

#include "ui/newrun/answers.h"

namespace rankscope::ui {

class ImageGrid : public QListWidget {
  Q_OBJECT

 public:
  explicit ImageGrid(QWidget* parent = nullptr);
  void setRows(const std::vector<PreviewRow>& rows);
};

}  // namespace rankscope::ui
