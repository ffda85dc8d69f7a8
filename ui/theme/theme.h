#pragma once
// Colours, type and spacing of the whole program, in one place. The theme follows the system or is set to light or dark;
// changed() tells widgets that hold colours of their own (plots, delegates) to fetch them again.
// Colours that carry data obey one rule everywhere: method -> hue (Okabe-Ito), rank -> lightness, seed -> dash.
// GUI thread only.

#include <QColor>
#include <QFont>
#include <QIcon>
#include <QObject>
#include <QString>

class QApplication;
class QWidget;

namespace rankscope::ui {

// Spacing on an 8-pixel grid (half steps inside dense controls).
namespace space {
inline constexpr int kHalf = 4;
inline constexpr int kUnit = 8;
inline constexpr int kWide = 16;
inline constexpr int kPage = 24;
inline constexpr int kIcon = 16;
// A length that holds text: `pixels` at the usual text size (10 pt at 96 dpi), in proportion where the desktop's is larger.
int scaled(int pixels);
inline int rowHeight() { return scaled(26); }  // of tables and forms
}  // namespace space

struct Palette {
  QColor window;       // behind everything
  QColor panel;        // side bars, headers, status bar
  QColor field;        // tables, inputs, plot ground
  QColor hover;
  QColor selection;    // selected row, readable with text on it
  QColor rule;         // thin separating lines
  QColor ruleStrong;   // borders of inputs
  QColor text;
  QColor textMuted;    // captions, units (contrast at least 4.5:1 on panel)
  QColor accent;       // the one accent
  QColor accentText;   // text on the accent
  QColor ok;
  QColor warning;
  QColor danger;
  QColor info;
  QColor changed;      // a field that differs from its preset
  QColor grid;         // plot grid
};

enum class ThemeMode { System, Light, Dark };

class Theme : public QObject {
  Q_OBJECT
 public:
  static Theme& instance();

  // Installs style, palette, style sheet and fonts into the application; once, before the first widget.
  void install(QApplication& app);
  void setMode(ThemeMode mode);
  ThemeMode mode() const { return m_mode; }
  bool dark() const { return m_dark; }
  const Palette& palette() const { return m_palette; }

  QFont uiFont() const;                  // the system's font
  QFont smallFont() const;               // captions
  QFont headingFont() const;             // titles of pages and panels
  QFont monoFont() const;                // commands, configs, logs
  static QFont tabular(QFont font);      // the same font with figures of equal width (for tables)

  // What the desktop prefers, when it says so after the start (the settings portal); used while the mode is System.
  void setSystemDark(bool dark);

 Q_SIGNALS:
  void changed();

 private:
  Theme() = default;
  void refresh();
  bool systemIsDark() const;

  QApplication* m_app = nullptr;
  ThemeMode m_mode = ThemeMode::System;
  bool m_dark = false;
  bool m_systemDark = false;
  Palette m_palette;
};

// The present palette. (Not palette(): that name means another thing inside a widget.)
inline const Palette& colours() { return Theme::instance().palette(); }
inline const Palette& palette() { return colours(); }  // where qualified: ui::palette()

// Hue of a method ("lora", "rora", "reflora", "full", …); methods without a place of their own share the remaining hues
// by a stable hash of the name.
QColor methodColour(const QString& method);
// The method's hue, lighter for small ranks and darker (light theme) for large ones; rank 0 means "no rank".
QColor runColour(const QString& method, qint64 rank);
Qt::PenStyle seedDash(qint64 seed);
// Eight Okabe-Ito hues in drawing order, for series that are not runs. Readable on the current theme's plot ground.
QColor categoryColour(int index);
// Colour and icon of a run's or job's state ("running", "finished", …).
QColor stateColour(const QString& state);
QString stateIcon(const QString& state);
QString stateTitle(const QString& state);     // translated, capitalised
QString methodTitle(const QString& method);   // "LoRA", "RefLoRA-S", "Full"
double contrastRatio(const QColor& a, const QColor& b);   // WCAG 2
QColor mixed(const QColor& a, const QColor& b, double shareOfB);

// An icon of resources/icons by name, drawn in the text colour (or the one given), at any size and pixel ratio, and
// greyed when disabled. Without a colour, the icon takes the theme's text colour each time it is painted.
QIcon icon(const QString& name);
QIcon icon(const QString& name, const QColor& colour);
QPixmap iconPixmap(const QString& name, const QColor& colour, int size, double devicePixelRatio);

// Small helpers so that every view looks the same. Each marks its widget for the style sheet.
void makeCaption(QWidget* label);      // muted small text
void makeHeading(QWidget* label);      // title of a page or panel
void makePrimary(QWidget* button);     // the one accent button of a page
void makeFlat(QWidget* button);        // tool button without a frame
void makeDanger(QWidget* button);      // before loss
void makeInvalid(QWidget* field, bool invalid);  // red rule around a field with a mistake
void makeChanged(QWidget* field, bool changed);  // coloured left edge: differs from the preset

}  // namespace rankscope::ui
