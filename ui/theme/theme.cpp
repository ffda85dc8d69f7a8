#include "ui/theme/theme.h"

#include <QApplication>
#include <QFile>
#include <QFontDatabase>
#include <QFontInfo>
#include <QPalette>
#include <QStyle>
#include <QStyleFactory>
#include <QWidget>

#include <algorithm>
#include <cmath>

namespace rankscope::ui {

namespace {

Palette lightPalette() {
  Palette p;
  p.window = QColor(0xf7f8f9);
  p.panel = QColor(0xeff1f3);
  p.field = QColor(0xffffff);
  p.hover = QColor(0xe4e8ec);
  p.selection = QColor(0xd3e3f3);
  p.rule = QColor(0xdde1e5);
  p.ruleStrong = QColor(0xb4bcc4);
  p.text = QColor(0x1b2126);
  p.textMuted = QColor(0x57616a);
  p.accent = QColor(0x0b6bb8);
  p.accentText = QColor(0xffffff);
  p.ok = QColor(0x007a58);
  p.warning = QColor(0x9a5b00);
  p.danger = QColor(0xb3261e);
  p.info = QColor(0x0b6bb8);
  p.changed = QColor(0xd98200);
  p.grid = QColor(0xe6e9ec);
  return p;
}

Palette darkPalette() {
  Palette p;
  p.window = QColor(0x1b1e22);
  p.panel = QColor(0x212529);
  p.field = QColor(0x16191c);
  p.hover = QColor(0x2c3237);
  p.selection = QColor(0x254563);
  p.rule = QColor(0x30363b);
  p.ruleStrong = QColor(0x4a535b);
  p.text = QColor(0xe4e7ea);
  p.textMuted = QColor(0x9ca6af);
  p.accent = QColor(0x4aa3e8);
  p.accentText = QColor(0x08131d);
  p.ok = QColor(0x3cc59a);
  p.warning = QColor(0xe5a63a);
  p.danger = QColor(0xff7b70);
  p.info = QColor(0x6cb6f0);
  p.changed = QColor(0xe69f00);
  p.grid = QColor(0x282d31);
  return p;
}

QColor disabledText(const Palette& p) { return mixed(p.textMuted, p.window, 0.45); }

// Style sheets take images only by address, so the few that follow the theme's colour are there once per theme.
QString imageFor(const char* name, bool dark) {
  return QStringLiteral(":/rankscope/themes/%1-%2.svg")
      .arg(QLatin1String(name), dark ? QLatin1String("dark") : QLatin1String("light"));
}

QString styleSheet(const Palette& p, bool dark) {
  QFile file(QStringLiteral(":/rankscope/themes/workbench.qss"));
  if (!file.open(QIODevice::ReadOnly)) return {};
  QString sheet = QString::fromUtf8(file.readAll());
  // Longest names first, so that "@accentText" is not taken for "@accent".
  const std::vector<std::pair<const char*, QString>> names = {
      {"@headingSize", QString::number(Theme::instance().headingFont().pointSizeF())},
      {"@smallSize", QString::number(Theme::instance().smallFont().pointSizeF())},
      {"@warningGround", mixed(p.window, p.warning, 0.14).name()},
      {"@accentHover", mixed(p.accent, p.text, 0.14).name()},
      {"@accentText", p.accentText.name()},
      {"@accentInk", mixed(p.accent, p.text, dark ? 0.0 : 0.1).name()},
      {"@ruleStrong", p.ruleStrong.name()},
      {"@textMuted", p.textMuted.name()},
      {"@selection", p.selection.name()},
      {"@arrowDown", imageFor("arrow-down", dark)},
      {"@arrowUp", imageFor("arrow-up", dark)},
      {"@disabled", disabledText(p).name()},
      {"@pressed", mixed(p.hover, p.text, 0.08).name()},
      {"@changed", p.changed.name()},
      {"@window", p.window.name()},
      {"@button", mixed(p.field, p.panel, 0.4).name()},
      {"@accent", p.accent.name()},
      {"@danger", p.danger.name()},
      {"@scroll", mixed(p.panel, p.textMuted, 0.4).name()},
      {"@panel", p.panel.name()},
      {"@field", p.field.name()},
      {"@hover", p.hover.name()},
      {"@close", imageFor("close", dark)},
      {"@rule", p.rule.name()},
      {"@text", p.text.name()},
      {"@tick", imageFor("tick", dark)},
  };
  for (const auto& [name, value] : names) sheet.replace(QLatin1String(name), value);
  return sheet;
}

void setRole(QWidget* widget, const char* property, const QVariant& value) {
  if (widget->property(property) == value) return;
  widget->setProperty(property, value);
  widget->style()->unpolish(widget);
  widget->style()->polish(widget);
}

}  // namespace

Theme& Theme::instance() {
  static Theme theme;
  return theme;
}

void Theme::install(QApplication& app) {
  m_app = &app;
  m_systemDark = systemIsDark();
  app.setStyle(QStyleFactory::create(QStringLiteral("Fusion")));
  refresh();
}

void Theme::setMode(ThemeMode mode) {
  if (mode == m_mode) return;
  m_mode = mode;
  refresh();
}

void Theme::setSystemDark(bool dark) {
  if (dark == m_systemDark) return;
  m_systemDark = dark;
  if (m_mode == ThemeMode::System) refresh();
}

bool Theme::systemIsDark() const {
  const QPalette system = QApplication::palette();
  return system.color(QPalette::Window).lightnessF() < system.color(QPalette::WindowText).lightnessF();
}

void Theme::refresh() {
  if (!m_app) return;
  m_dark = m_mode == ThemeMode::Dark || (m_mode == ThemeMode::System && m_systemDark);
  m_palette = m_dark ? darkPalette() : lightPalette();
  const Palette& p = m_palette;

  QPalette q;
  q.setColor(QPalette::Window, p.window);
  q.setColor(QPalette::WindowText, p.text);
  q.setColor(QPalette::Base, p.field);
  q.setColor(QPalette::AlternateBase, p.panel);
  q.setColor(QPalette::Text, p.text);
  q.setColor(QPalette::PlaceholderText, mixed(p.textMuted, p.field, 0.25));
  q.setColor(QPalette::Button, p.panel);
  q.setColor(QPalette::ButtonText, p.text);
  q.setColor(QPalette::BrightText, p.danger);
  q.setColor(QPalette::ToolTipBase, p.panel);
  q.setColor(QPalette::ToolTipText, p.text);
  q.setColor(QPalette::Highlight, p.accent);
  q.setColor(QPalette::HighlightedText, p.accentText);
  q.setColor(QPalette::Link, p.accent);
  q.setColor(QPalette::LinkVisited, p.accent);
  q.setColor(QPalette::Light, mixed(p.panel, p.field, 0.5));
  q.setColor(QPalette::Midlight, p.panel);
  q.setColor(QPalette::Mid, p.rule);
  q.setColor(QPalette::Dark, p.ruleStrong);
  q.setColor(QPalette::Shadow, p.ruleStrong);
  for (auto role : {QPalette::WindowText, QPalette::Text, QPalette::ButtonText})
    q.setColor(QPalette::Disabled, role, disabledText(p));

  m_app->setPalette(q);
  m_app->setStyleSheet(styleSheet(p, m_dark));
  Q_EMIT changed();
}

int space::scaled(int pixels) {
  constexpr double kUsual = 10.0 * 96 / 72;
  return static_cast<int>(std::lround(pixels * std::max(1.0, QFontInfo(QApplication::font()).pixelSize() / kUsual)));
}

QFont Theme::uiFont() const { return QApplication::font(); }

QFont Theme::smallFont() const {
  QFont font = uiFont();
  font.setPointSizeF(std::max(7.0, font.pointSizeF() * 0.9));
  return font;
}

QFont Theme::headingFont() const {
  QFont font = uiFont();
  font.setPointSizeF(font.pointSizeF() * 1.15);
  font.setWeight(QFont::DemiBold);
  return font;
}

QFont Theme::monoFont() const {
  QFont font = QFontDatabase::systemFont(QFontDatabase::FixedFont);
  font.setPointSizeF(uiFont().pointSizeF() * 0.95);
  return font;
}

// Qt before 6.7 cannot ask a font for its tabular figures; the desktop fonts have them by default, and kerning is what
// would move them apart.
QFont Theme::tabular(QFont font) {
  font.setKerning(false);
  return font;
}

void makeCaption(QWidget* label) {
  setRole(label, "role", QStringLiteral("caption"));
  label->setFont(Theme::instance().smallFont());
}
void makeHeading(QWidget* label) {
  setRole(label, "role", QStringLiteral("heading"));
  label->setFont(Theme::instance().headingFont());
}
void makePrimary(QWidget* button) { setRole(button, "role", QStringLiteral("primary")); }
void makeFlat(QWidget* button) { setRole(button, "role", QStringLiteral("flat")); }
void makeDanger(QWidget* button) { setRole(button, "role", QStringLiteral("danger")); }
void makeInvalid(QWidget* field, bool invalid) { setRole(field, "invalid", invalid); }
void makeChanged(QWidget* field, bool changed) { setRole(field, "differs", changed); }

}  // namespace rankscope::ui
