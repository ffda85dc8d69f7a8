#pragma once
// Names such as "model.layers.0.self_attn.q_proj" as a tree: parts between dots are its levels, numbered parts that look
// alike inside ("0 … 31") are one branch, and a part with a single part below it shares its line. Plain values, any
// thread; the item model is filled on the GUI thread.

#include <QString>

#include <vector>

#include "ui/library/library_item.h"

class QStandardItemModel;

namespace rankscope::ui {

struct ShapeNode {
  QString name;         // "model.layers", "0 … 31", "q_proj"
  QString detail;       // of a leaf: its shape
  double elements = 0;  // of everything below, all alike ones counted
  int alike = 1;        // how many numbered parts this branch stands for
  std::vector<ShapeNode> children;
};

ShapeNode shapeTree(const std::vector<NamedShape>& shapes);
void fillShapeModel(QStandardItemModel* model, const ShapeNode& root);

}  // namespace rankscope::ui
