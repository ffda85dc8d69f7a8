#include "ui/newrun/method_sketch.h"

#include <QPainter>
#include <QPainterPath>
#include <algorithm>
#include <cmath>

#include "ui/newrun/run_draft.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr double kLine = 16;      // height of a label
constexpr double kGap = 6;        // between marks of a formula
constexpr double kArrow = 16;     // between marks of a flow
constexpr double kLayer = 40, kNeck = 40, kSum = 16;
constexpr double kPass = 24;      // distance of a bypass from what it passes
constexpr int kPromptTokens = 9, kMarkedTokens = 2;
constexpr int kRowsShown = 11, kMarkedRows = 3;

bool has(const char* text) { return *text != '\0'; }

// Lays the marks out from left to right around an axis, in pixels at the usual text size, then paints them.
class Sketch {
 public:
  Sketch(const MethodRecipe& recipe, qint64 rank, const QFont& font)
      : m_recipe(recipe), m_font(font), m_metrics(font), m_unit(space::scaled(1000) / 1000.0), m_side(recipe.side * m_unit) {
    const double octaves = std::log2(static_cast<double>(std::max<qint64>(rank, 1)));
    m_thick = std::clamp(m_side * (0.08 + 0.05 * octaves), 5.0, 0.62 * m_side);
    m_stripes = static_cast<int>(std::clamp<qint64>(rank, 1, std::max<qint64>(1, qint64(m_thick / 3.4))));
    place();
  }
  QSizeF size() const { return {m_width, m_bottom - m_top}; }

  void paint(QPainter& p) const {
    p.save();
    p.translate(0, -m_top);
    p.setFont(m_font);
    if (m_recipe.flow) paintStream(p);
    for (size_t i = 0; i < m_boxes.size(); ++i) paintMark(p, m_recipe.marks[i], m_boxes[i]);
    for (const Span& span : m_recipe.spans) paintSpan(p, span);
    p.restore();
  }

 private:
  double textWidth(const char* text) const { return m_metrics.horizontalAdvance(translatedOption(text)); }
  double line() const { return kLine * m_unit; }

  QSizeF shapeSize(const Mark& mark) const {
    switch (mark.shape) {
      case Shape::Square: return {m_side, m_side};
      case Shape::Tall: return {m_thick, m_side};
      case Shape::Wide: return {m_side, m_thick};
      case Shape::Small:
      case Shape::Diagonal: return {m_thick, m_thick};
      case Shape::Column: return {10 * m_unit, m_side};
      case Shape::Sign: return {textWidth(mark.label), line()};
      case Shape::Layer: return {std::max(28 * m_unit, textWidth(mark.label) + 12 * m_unit), kLayer * m_unit};
      case Shape::Bottleneck: return {kNeck * m_unit, kLayer * m_unit};
      case Shape::Sum: return {kSum * m_unit, kSum * m_unit};
      case Shape::Tokens: return {kPromptTokens * 11 * m_unit, 0.7 * m_side};
      case Shape::Rows: return {0.6 * m_side, m_side};
    }
    return {};
  }
  bool labelInside(const Mark& mark) const {
    return mark.shape == Shape::Square || mark.shape == Shape::Sign || mark.shape == Shape::Layer || mark.shape == Shape::Sum;
  }

  void place() {
    double x = 0, tallest = 0, above = 0, below = 0;
    for (const Mark& mark : m_recipe.marks) {
      const QSizeF size = shapeSize(mark);
      if (mark.beside) {
        // In the middle below what it runs beside.
        const QRectF over = m_boxes.back();
        m_boxes.push_back(QRectF(over.center().x() - size.width() / 2, over.bottom() + 12 * m_unit, size.width(), size.height()));
        below = std::max(below, m_boxes.back().bottom() + (has(mark.label) ? line() : 0));
        continue;
      }
      double slot = size.width();
      if (!labelInside(mark)) slot = std::max(slot, textWidth(mark.label));
      if (has(mark.start)) slot = std::max(slot, textWidth(mark.start) + 10 * m_unit);
      if (has(mark.step)) slot = std::max(slot, textWidth(mark.step) + 16 * m_unit);
      const double gap = m_recipe.flow ? kArrow * m_unit : kGap * m_unit;
      if (!m_boxes.empty() || m_recipe.flow) x += gap;
      m_boxes.push_back(QRectF(x + (slot - size.width()) / 2, -size.height() / 2, size.width(), size.height()));
      x += slot;
      tallest = std::max(tallest, size.height());
    }
    m_width = x + (m_recipe.flow ? kArrow * m_unit : 0);
    m_half = tallest / 2;
    above = -m_half;
    below = std::max(below, m_half);
    bool label = false, start = false, step = false;
    for (const Mark& mark : m_recipe.marks) {
      label = label || (has(mark.label) && !labelInside(mark) && !mark.beside);
      start = start || has(mark.start);
      step = step || has(mark.step);
    }
    if (label) above -= line();
    for (const Span& span : m_recipe.spans) {
      if (span.kind == Span::PassAbove) above = std::min(above, -m_half - kPass * m_unit);
      if (span.kind == Span::PassBelow) below = std::max(below, m_half + kPass * m_unit);
      if (span.kind == Span::Brace) below = std::max(below, m_half + 1.9 * line());
    }
    if (start) above = std::min(above, -m_half - 2.7 * line());
    if (step) below = std::max(below, m_half + 3.2 * line());
    m_top = above;
    m_bottom = below;
    for (const Span& span : m_recipe.spans) {  // a long label under a short brace
      if (!has(span.label)) continue;
      const double middle = (m_boxes[static_cast<size_t>(span.from)].left() + m_boxes[static_cast<size_t>(span.to)].right()) / 2;
      m_width = std::max(m_width, middle + textWidth(span.label) / 2);
    }
  }

  void text(QPainter& p, QPointF centre, const char* words, const QColor& colour) const {
    p.setPen(colour);
    p.drawText(QRectF(centre.x() - 300, centre.y() - 20, 600, 40), Qt::AlignCenter, translatedOption(words));
  }

  void arrow(QPainter& p, QPointF from, QPointF to, const QColor& colour) const {
    p.setPen(QPen(colour, 1.2));
    p.drawLine(from, to);
    const double length = std::hypot(to.x() - from.x(), to.y() - from.y());
    if (length < 1) return;
    const QPointF along = (to - from) / length * 5 * m_unit, across(-along.y() * 0.6, along.x() * 0.6);
    p.setBrush(colour);
    p.setPen(Qt::NoPen);
    p.drawPolygon(QPolygonF({to, to - along + across, to - along - across}));
  }

  void block(QPainter& p, const QRectF& box, Ink ink) const {
    p.setPen(inkOutline(ink));
    p.setBrush(inkFill(ink));
    p.drawRect(box);
  }

  // The ranks of a factor side by side: columns of B, rows of A; as many as can be told apart.
  void ranks(QPainter& p, const QRectF& box, const Mark& mark, bool columns) const {
    const double step = (columns ? box.width() : box.height()) / m_stripes;
    const int left = mark.texture == Texture::Pruned ? m_stripes - std::max(1, m_stripes / 3) : m_stripes;
    for (int i = 0; i < m_stripes; ++i) {
      const QRectF one = columns ? QRectF(box.left() + i * step, box.top(), step, box.height())
                                 : QRectF(box.left(), box.top() + i * step, box.width(), step);
      if (i >= left) {
        p.setPen(QPen(ui::palette().textMuted, 0.8, Qt::DotLine));
        p.setBrush(Qt::NoBrush);
        p.drawRect(one);
        continue;
      }
      p.fillRect(one, inkFill(mark.ink));
    }
    QRectF kept = box;
    if (columns) {
      kept.setWidth(step * left);
    } else {
      kept.setHeight(step * left);
    }
    if (m_stripes > 1 && mark.ink != Ink::Computed) {
      p.setPen(QPen(mixed(inkFill(mark.ink), ui::palette().field, 0.55), 1));
      for (int i = 1; i < left; ++i) {
        columns ? p.drawLine(QPointF(box.left() + i * step, kept.top()), QPointF(box.left() + i * step, kept.bottom()))
                : p.drawLine(QPointF(kept.left(), box.top() + i * step), QPointF(kept.right(), box.top() + i * step));
      }
    }
    p.setPen(inkOutline(mark.ink));
    p.setBrush(Qt::NoBrush);
    p.drawRect(kept);
  }

  void diagonal(QPainter& p, const QRectF& box, const Mark& mark) const {
    p.setPen(QPen(ui::palette().textMuted, 0.8, Qt::DotLine));
    p.setBrush(Qt::NoBrush);
    p.drawRect(box);
    const double step = box.width() / m_stripes;
    const int left = mark.texture == Texture::Pruned ? m_stripes - std::max(1, m_stripes / 3) : m_stripes;
    for (int i = 0; i < left; ++i) p.fillRect(QRectF(box.left() + i * step, box.top() + i * step, step, step), inkFill(mark.ink));
  }

  void fourBits(QPainter& p, const QRectF& box) const {
    const auto& c = ui::palette();
    constexpr int kCells = 12;
    const double step = box.width() / kCells;
    quint32 seed = 7;
    for (int row = 0; row < kCells; ++row) {
      for (int column = 0; column < kCells; ++column) {
        // A fixed scatter of few levels; which, says nothing.
        seed = seed * 1664525u + 1013904223u;
        const int level = static_cast<int>(seed >> 30);
        p.fillRect(QRectF(box.left() + column * step, box.top() + row * step, step + 0.5, step + 0.5),
                   mixed(c.field, c.textMuted, 0.10 + 0.11 * level));
      }
    }
    p.setPen(inkOutline(Ink::Frozen));
    p.setBrush(Qt::NoBrush);
    p.drawRect(box);
  }

  // What became A and B: the leading columns and rows, gone.
  void hollow(QPainter& p, const QRectF& box) const {
    const double cut = std::min(m_thick, 0.35 * box.width());
    block(p, box, Ink::Frozen);
    QPainterPath corner;
    corner.addPolygon(QPolygonF({box.topLeft(), box.topRight(), QPointF(box.right(), box.top() + cut),
                                 box.topLeft() + QPointF(cut, cut), QPointF(box.left() + cut, box.bottom()), box.bottomLeft()}));
    corner.closeSubpath();
    p.fillPath(corner, ui::palette().field);
    p.strokePath(corner, QPen(ui::palette().accent, 1.2, Qt::DashLine));
  }

  void bottleneck(QPainter& p, const QRectF& box, const Mark& mark) const {
    const double waist = box.height() * 0.16, middle = box.center().x(), y = box.center().y();
    p.setPen(inkOutline(mark.ink));
    p.setBrush(inkFill(mark.ink));
    p.drawPolygon(QPolygonF({box.topLeft(), QPointF(middle - 2, y - waist), QPointF(middle - 2, y + waist), box.bottomLeft()}));
    p.drawPolygon(QPolygonF({box.topRight(), QPointF(middle + 2, y - waist), QPointF(middle + 2, y + waist), box.bottomRight()}));
  }

  void tokens(QPainter& p, const QRectF& box) const {
    const double step = box.width() / kPromptTokens;
    for (int i = 0; i < kPromptTokens; ++i) {
      const bool marked = i < kMarkedTokens || i >= kPromptTokens - kMarkedTokens;
      block(p, QRectF(box.left() + i * step, box.top(), step * 0.68, box.height()), marked ? Ink::Trained : Ink::Frozen);
    }
  }

  void rows(QPainter& p, const QRectF& box) const {
    const double step = box.height() / kRowsShown;
    for (int i = 0; i < kRowsShown; ++i)
      block(p, QRectF(box.left(), box.top() + i * step, box.width(), step * 0.72), i < kMarkedRows ? Ink::Trained : Ink::Frozen);
  }

  void paintMark(QPainter& p, const Mark& mark, const QRectF& box) const {
    const auto& c = ui::palette();
    switch (mark.shape) {
      case Shape::Sign: text(p, box.center(), mark.label, c.text); return;
      case Shape::Square:
        mark.texture == Texture::FourBits ? fourBits(p, box) : mark.texture == Texture::Hollow ? hollow(p, box)
                                                                                              : block(p, box, mark.ink);
        break;
      case Shape::Tall: ranks(p, box, mark, true); break;
      case Shape::Wide: ranks(p, box, mark, false); break;
      case Shape::Diagonal: diagonal(p, box, mark); break;
      case Shape::Bottleneck: bottleneck(p, box, mark); break;
      case Shape::Tokens: tokens(p, box); break;
      case Shape::Rows: rows(p, box); break;
      case Shape::Sum:
        p.setPen(QPen(c.text, 1.2));
        p.setBrush(c.field);
        p.drawEllipse(box);
        p.drawLine(box.center() - QPointF(box.width() / 4, 0), box.center() + QPointF(box.width() / 4, 0));
        p.drawLine(box.center() - QPointF(0, box.height() / 4), box.center() + QPointF(0, box.height() / 4));
        return;
      default: block(p, box, mark.ink); break;
    }
    if (mark.shape == Shape::Square && mark.texture == Texture::FourBits) {  // so that the name can be read
      p.setPen(Qt::NoPen);
      p.setBrush(mixed(c.field, c.textMuted, 0.24));
      p.drawRect(QRectF(box.center() - QPointF(11, 10) * m_unit, box.center() + QPointF(11, 10) * m_unit));
      p.drawRect(QRectF(box.bottomRight() - QPointF(18, 18) * m_unit, box.bottomRight() - QPointF(1, 1)));
    }
    if ((mark.shape == Shape::Square || mark.shape == Shape::Wide) && mark.ink == Ink::Frozen) lock(p, box);
    const QColor inside = mark.ink == Ink::Trained ? c.accentText : c.text;
    QPointF centre = box.center();
    if (mark.texture == Texture::Hollow) centre += QPointF(m_thick, m_thick) * 0.4;
    if (labelInside(mark)) {
      text(p, centre, mark.label, inside);
    } else if (mark.beside) {
      text(p, QPointF(box.center().x(), box.bottom() + line() / 2), mark.label, c.text);
    } else {
      text(p, QPointF(box.center().x(), box.top() - line() / 2), mark.label, c.text);
    }
    if (has(mark.start)) {
      const double y = -m_half - 2.2 * line();
      const double end = (labelInside(mark) ? box.top() - 2 * m_unit : box.top() - line());
      text(p, QPointF(box.center().x(), y), mark.start, c.accent);
      arrow(p, QPointF(box.center().x(), y + 0.5 * line()), QPointF(box.center().x(), end), c.accent);
    }
    if (has(mark.step)) paintStep(p, mark, box);
  }

  // ∇ from below, through what the rule does to it, into the factor.
  void paintStep(QPainter& p, const Mark& mark, const QRectF& box) const {
    const auto& c = ui::palette();
    const double x = box.center().x(), width = textWidth(mark.step) + 12 * m_unit;
    const QRectF chip(x - width / 2, m_half + 0.7 * line(), width, 1.2 * line());
    arrow(p, QPointF(x, chip.top()), QPointF(x, box.bottom() + 2 * m_unit), c.text);
    p.setPen(QPen(c.ruleStrong, 1));
    p.setBrush(c.panel);
    p.drawRoundedRect(chip, 3, 3);
    text(p, chip.center(), mark.step, c.text);
    p.setPen(QPen(c.text, 1.2));
    p.drawLine(QPointF(x, chip.bottom()), QPointF(x, chip.bottom() + 0.4 * line()));
    const QByteArray gradient = QByteArrayLiteral("∇") + mark.label;
    text(p, QPointF(x, chip.bottom() + 0.9 * line()), gradient.constData(), c.textMuted);
  }

  void lock(QPainter& p, const QRectF& box) const {
    const int size = static_cast<int>(std::min(12 * m_unit, box.height() - 2));
    if (size < 8) return;
    const double inset = std::min(4 * m_unit, (box.height() - size) / 2);
    const QPixmap picture = iconPixmap(QStringLiteral("lock"), ui::palette().textMuted, size, p.device()->devicePixelRatioF());
    p.drawPixmap(QPointF(box.right() - size - inset, box.bottom() - size - inset), picture);
  }

  // The stream along the axis, from mark to mark, and what runs beside it.
  void paintStream(QPainter& p) const {
    const QColor colour = ui::palette().text;
    double x = 0;
    QPointF fork;
    const QRectF* aside = nullptr;
    for (size_t i = 0; i < m_boxes.size(); ++i) {
      const Mark& mark = m_recipe.marks[i];
      const QRectF& box = m_boxes[i];
      if (mark.beside) {
        aside = &box;
        const double left = m_boxes[i - 1].left() - kArrow * m_unit * 0.6;
        p.setPen(QPen(colour, 1.2));
        p.drawLine(QPointF(left, 0), QPointF(left, box.center().y()));
        arrow(p, QPointF(left, box.center().y()), QPointF(box.left(), box.center().y()), colour);
        continue;
      }
      arrow(p, QPointF(x, 0), QPointF(box.left(), 0), colour);
      if (aside && mark.shape == Shape::Sum) {
        p.setPen(QPen(colour, 1.2));
        p.drawLine(QPointF(aside->right(), aside->center().y()), QPointF(box.center().x(), aside->center().y()));
        arrow(p, QPointF(box.center().x(), aside->center().y()), QPointF(box.center().x(), box.bottom()), colour);
        aside = nullptr;
      }
      x = box.right();
    }
    arrow(p, QPointF(x, 0), QPointF(m_width, 0), colour);
  }

  void paintSpan(QPainter& p, const Span& span) const {
    const auto& c = ui::palette();
    const QRectF& first = m_boxes[static_cast<size_t>(span.from)];
    const QRectF& last = m_boxes[static_cast<size_t>(span.to)];
    p.setBrush(Qt::NoBrush);
    if (span.kind == Span::PassAbove || span.kind == Span::PassBelow) {
      const double side = span.kind == Span::PassAbove ? -1 : 1;
      const double y = side * (m_half + (kPass - 8) * m_unit), x = first.left() - kArrow * m_unit * 0.6;
      p.setPen(QPen(c.textMuted, 1.2));
      p.drawPolyline(QPolygonF({QPointF(x, 0), QPointF(x, y), QPointF(last.center().x(), y)}));
      arrow(p, QPointF(last.center().x(), y), QPointF(last.center().x(), side * last.height() / 2), c.textMuted);
      return;
    }
    const double base = m_half + 6 * m_unit, tip = base + 5 * m_unit;
    p.setPen(QPen(c.textMuted, 1.2));
    p.drawPolyline(QPolygonF({QPointF(first.left(), base), QPointF(first.left(), tip), QPointF(last.right(), tip),
                              QPointF(last.right(), base)}));
    text(p, QPointF((first.left() + last.right()) / 2, tip + 0.65 * line()), span.label, c.textMuted);
  }

  const MethodRecipe& m_recipe;
  QFont m_font;
  QFontMetricsF m_metrics;
  double m_unit, m_side, m_thick = 0, m_half = 0, m_width = 0, m_top = 0, m_bottom = 0;
  int m_stripes = 1;
  std::vector<QRectF> m_boxes;
};

}  // namespace

QColor inkFill(Ink ink) {
  const auto& c = ui::palette();
  if (ink == Ink::Trained) return c.accent;
  return ink == Ink::Frozen ? mixed(c.field, c.textMuted, 0.24) : QColor(Qt::transparent);
}
QPen inkOutline(Ink ink) {
  const auto& c = ui::palette();
  if (ink == Ink::Computed) return QPen(c.accent, 1.4, Qt::DashLine);
  return QPen(ink == Ink::Trained ? mixed(c.accent, c.text, 0.25) : c.textMuted, 1);
}

QSizeF sketchSize(const MethodRecipe& recipe, qint64 rank) {
  return Sketch(recipe, rank, Theme::instance().uiFont()).size();
}

void paintSketch(QPainter& painter, const MethodRecipe& recipe, qint64 rank) {
  Sketch(recipe, rank, Theme::instance().uiFont()).paint(painter);
}

}  // namespace rankscope::ui
