#pragma once
// Lays out and paints a recipe (method_recipes.h) in the theme's colours: how each mark looks is here and nowhere else.
// GUI thread.

#include <QColor>
#include <QPen>
#include <QSizeF>

#include "ui/newrun/method_recipes.h"

class QPainter;

namespace rankscope::ui {

QColor inkFill(Ink ink);
QPen inkOutline(Ink ink);

// At the usual text size; painted from the origin.
QSizeF sketchSize(const MethodRecipe& recipe, qint64 rank);
void paintSketch(QPainter& painter, const MethodRecipe& recipe, qint64 rank);

}  // namespace rankscope::ui
