// Icons by name from the compiled-in SVGs, drawn in any colour (theme.h).
#include "ui/theme/theme.h"

#include <QFile>
#include <QHash>
#include <QIconEngine>
#include <QPainter>
#include <QPixmapCache>
#include <QSvgRenderer>

namespace rankscope::ui {

namespace {

const QByteArray& svgSource(const QString& name) {
  static QHash<QString, QByteArray> cache;
  auto it = cache.find(name);
  if (it == cache.end()) {
    QFile file(QStringLiteral(":/rankscope/icons/%1.svg").arg(name));
    it = cache.insert(name, file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray());
    Q_ASSERT_X(!it->isEmpty(), "icon", qPrintable(name));
  }
  return *it;
}

// Draws the SVG at whatever size and pixel ratio is asked for; an invalid colour means "the theme's text colour now".
class SvgIconEngine : public QIconEngine {
 public:
  SvgIconEngine(QString name, QColor colour) : m_name(std::move(name)), m_colour(std::move(colour)) {}

  void paint(QPainter* painter, const QRect& rect, QIcon::Mode mode, QIcon::State) override {
    const double ratio = painter->device()->devicePixelRatioF();
    const int side = std::min(rect.width(), rect.height());
    const QPixmap pixmap = iconPixmap(m_name, colourFor(mode), side, ratio);
    painter->drawPixmap(rect.x() + (rect.width() - side) / 2, rect.y() + (rect.height() - side) / 2, pixmap);
  }
  QPixmap pixmap(const QSize& size, QIcon::Mode mode, QIcon::State) override {
    return iconPixmap(m_name, colourFor(mode), std::min(size.width(), size.height()), 1.0);
  }
  QPixmap scaledPixmap(const QSize& size, QIcon::Mode mode, QIcon::State, qreal) override {
    return iconPixmap(m_name, colourFor(mode), std::min(size.width(), size.height()), 1.0);
  }
  QIconEngine* clone() const override { return new SvgIconEngine(*this); }
  QString key() const override { return QStringLiteral("rankscope"); }
  bool isNull() override { return svgSource(m_name).isEmpty(); }

 private:
  QColor colourFor(QIcon::Mode mode) const {
    const Palette& p = colours();
    const QColor colour = m_colour.isValid() ? m_colour : p.text;
    return mode == QIcon::Disabled ? mixed(colour, p.window, 0.6) : colour;
  }
  QString m_name;
  QColor m_colour;
};

}  // namespace

QPixmap iconPixmap(const QString& name, const QColor& colour, int size, double devicePixelRatio) {
  const QString key =
      QStringLiteral("rs-icon/%1/%2/%3/%4").arg(name, colour.name(QColor::HexArgb)).arg(size).arg(devicePixelRatio);
  QPixmap pixmap;
  if (QPixmapCache::find(key, &pixmap)) return pixmap;
  QByteArray source = svgSource(name);
  source.replace("#000", colour.name(QColor::HexRgb).toLatin1());
  QSvgRenderer renderer(source);
  const int side = std::max(1, qRound(size * devicePixelRatio));
  pixmap = QPixmap(side, side);
  pixmap.fill(Qt::transparent);
  QPainter painter(&pixmap);
  painter.setRenderHint(QPainter::Antialiasing);
  painter.setOpacity(colour.alphaF());
  renderer.render(&painter, QRectF(0, 0, side, side));
  painter.end();
  pixmap.setDevicePixelRatio(devicePixelRatio);
  QPixmapCache::insert(key, pixmap);
  return pixmap;
}

// The engine asks for the theme's colour each time it paints, so such icons follow the theme without being remade.
QIcon icon(const QString& name) { return QIcon(new SvgIconEngine(name, QColor())); }
QIcon icon(const QString& name, const QColor& colour) { return QIcon(new SvgIconEngine(name, colour)); }

}  // namespace rankscope::ui
