#include "ui/newrun/method_drawing.h"

#include <QPainter>
#include <algorithm>

#include "core/config/method_texts.h"
#include "ui/newrun/method_sketch.h"
#include "ui/newrun/run_draft.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr double kHeight = 208, kMargin = 12;
constexpr double kKey = 16;  // height of the line that explains the colours

}  // namespace

MethodDrawing::MethodDrawing(QWidget* parent) : QWidget(parent) {
  setObjectName("methodDrawing");
  setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
  connect(&Theme::instance(), &Theme::changed, this, qOverload<>(&QWidget::update));
}

void MethodDrawing::setMethod(const QString& method, qint64 rank) {
  if (m_recipe && method == m_method && rank == m_rank) return;
  m_method = method;
  m_rank = rank;
  m_recipe = methodRecipe(method);
  setAccessibleName(tr("Drawing of %1").arg(methodTitle(method)));
  const auto* words = methodText(method.toStdString());
  setAccessibleDescription(words ? translatedOption(words->formula) + ". " + translatedOption(words->does) : QString());
  update();
}

QSize MethodDrawing::sizeHint() const { return {space::scaled(520), space::scaled(static_cast<int>(kHeight))}; }
QSize MethodDrawing::minimumSizeHint() const { return {space::scaled(240), space::scaled(static_cast<int>(kHeight))}; }

void MethodDrawing::paintEvent(QPaintEvent*) {
  QPainter painter(this);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.fillRect(rect(), ui::palette().field);
  if (!m_recipe) return;
  paintKey(painter);
  const QSizeF size = sketchSize(*m_recipe, m_rank);
  const double key = space::scaled(static_cast<int>(kKey + kMargin));
  const QSizeF room(width() - 2 * kMargin, height() - key - kMargin);
  const double scale = std::min({1.0, room.width() / size.width(), room.height() / size.height()});
  painter.translate((width() - size.width() * scale) / 2, key + (room.height() - size.height() * scale) / 2);
  painter.scale(scale, scale);
  paintSketch(painter, *m_recipe, m_rank);
}

// What the colours mean, and the rank that the thickness stands for.
void MethodDrawing::paintKey(QPainter& painter) const {
  const auto& c = ui::palette();
  painter.setFont(Theme::instance().smallFont());
  const QFontMetrics metrics(painter.font());
  const int side = space::scaled(9), middle = space::scaled(static_cast<int>(kMargin / 2 + kKey / 2)) + 2;
  int x = space::scaled(static_cast<int>(kMargin));
  const auto uses = [this](Ink ink) {
    return std::any_of(m_recipe->marks.begin(), m_recipe->marks.end(), [ink](const Mark& mark) {
      if (mark.shape == Shape::Sign || mark.shape == Shape::Sum) return false;
      return mark.ink == ink || (ink == Ink::Trained && (mark.shape == Shape::Tokens || mark.shape == Shape::Rows));
    });
  };
  for (const auto& [ink, words] : {std::pair(Ink::Frozen, tr("frozen")), std::pair(Ink::Trained, tr("trains")),
                                   std::pair(Ink::Computed, tr("computed"))}) {
    if (!uses(ink)) continue;
    painter.setPen(inkOutline(ink));
    painter.setBrush(inkFill(ink));
    painter.drawRect(QRectF(x + 0.5, middle - side / 2 + 0.5, side, side));
    x += side + space::scaled(5);
    painter.setPen(c.textMuted);
    const int width = metrics.horizontalAdvance(words);
    painter.drawText(QRect(x, middle - 20, width + 4, 40), Qt::AlignLeft | Qt::AlignVCenter, words);
    x += width + space::scaled(14);
  }
  if (m_rank > 0)
    painter.drawText(QRect(0, middle - 20, width() - space::scaled(static_cast<int>(kMargin)), 40),
                     Qt::AlignRight | Qt::AlignVCenter, QStringLiteral("r = %1").arg(m_rank));
}

}  // namespace rankscope::ui
