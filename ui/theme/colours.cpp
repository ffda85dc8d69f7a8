// Colours that carry data: methods, ranks, seeds, states (theme.h).
#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QHash>

#include <array>
#include <cmath>

#include "core/config/option_spec.h"

namespace rankscope::ui {

namespace {

// Okabe and Ito's set without black; yellow last, because it needs darkening on white.
constexpr std::array<QRgb, 7> kOkabeIto = {0xff0072b2, 0xffe69f00, 0xff009e73, 0xffcc79a7,
                                           0xff56b4e9, 0xffd55e00, 0xfff0e442};

double linear(double c) { return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4); }

double luminance(const QColor& c) {
  return 0.2126 * linear(c.redF()) + 0.7152 * linear(c.greenF()) + 0.0722 * linear(c.blueF());
}

// Keeps the hue and moves the lightness until the colour stands out from the plot ground.
QColor readable(QColor colour, double contrast) {
  const QColor ground = colours().field;
  const bool dark = Theme::instance().dark();
  float h = 0, s = 0, l = 0;
  for (int i = 0; i < 24 && contrastRatio(colour, ground) < contrast; ++i) {
    colour.getHslF(&h, &s, &l);
    colour.setHslF(h, s, std::clamp(l + (dark ? 0.03f : -0.03f), 0.f, 1.f));
  }
  return colour;
}

struct MethodLook {
  const char* name;
  const char* title;
  int hue;
};
constexpr std::array<MethodLook, 7> kMethods = {{{"lora", "LoRA", 0},
                                                 {"rora", "RoRA", 1},
                                                 {"reflora", "RefLoRA", 2},
                                                 {"full", "Full", 3},
                                                 {"reflora_s", "RefLoRA-S", 4},
                                                 {"dora", "DoRA", 5},
                                                 {"adalora", "AdaLoRA", 6}}};

int hueOf(const QString& method) {
  for (const MethodLook& look : kMethods)
    if (method == QLatin1String(look.name)) return look.hue;
  uint32_t hash = 2166136261u;  // FNV-1a: the same on every machine, unlike qHash
  for (const char c : method.toUtf8()) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return 5 + static_cast<int>(hash % 2);
}

}  // namespace

QColor mixed(const QColor& a, const QColor& b, double shareOfB) {
  const double t = std::clamp(shareOfB, 0.0, 1.0);
  return QColor::fromRgbF(static_cast<float>(a.redF() * (1 - t) + b.redF() * t),
                          static_cast<float>(a.greenF() * (1 - t) + b.greenF() * t),
                          static_cast<float>(a.blueF() * (1 - t) + b.blueF() * t));
}

double contrastRatio(const QColor& a, const QColor& b) {
  const double x = luminance(a), y = luminance(b);
  return (std::max(x, y) + 0.05) / (std::min(x, y) + 0.05);
}

QColor categoryColour(int index) {
  const auto size = static_cast<int>(kOkabeIto.size());
  return readable(QColor(kOkabeIto[static_cast<size_t>(((index % size) + size) % size)]), 3.0);
}

QColor methodColour(const QString& method) { return categoryColour(hueOf(method)); }

QColor runColour(const QString& method, qint64 rank) {
  QColor colour = methodColour(method);
  if (rank <= 0) return colour;
  // log2(rank) of 1 … 256 spreads over 0.26 of lightness around the hue's own; strong ranks stand out from the ground.
  const double strength = std::clamp(std::log2(static_cast<double>(rank)) / 8.0, 0.0, 1.0) - 0.5;
  float h = 0, s = 0, l = 0;
  colour.getHslF(&h, &s, &l);
  const double direction = Theme::instance().dark() ? 1.0 : -1.0;
  colour.setHslF(h, s, static_cast<float>(std::clamp(l + direction * strength * 0.26, 0.14, 0.86)));
  return readable(colour, 2.2);
}

Qt::PenStyle seedDash(qint64 seed) {
  static constexpr std::array<Qt::PenStyle, 5> kDashes = {Qt::SolidLine, Qt::DashLine, Qt::DotLine, Qt::DashDotLine,
                                                          Qt::DashDotDotLine};
  return kDashes[static_cast<size_t>(((seed % 5) + 5) % 5)];
}

QColor stateColour(const QString& state) {
  const Palette& p = colours();
  if (state == QLatin1String("finished") || state == QLatin1String("done")) return p.ok;
  if (state == QLatin1String("failed")) return p.danger;
  if (state == QLatin1String("interrupted") || state == QLatin1String("paused") || state == QLatin1String("held"))
    return p.warning;
  if (state == QLatin1String("stopped") || state == QLatin1String("queued") || state == QLatin1String("cancelled"))
    return p.textMuted;
  return p.info;
}

QString stateIcon(const QString& state) {
  static const QHash<QString, QString> icons = {
      {QStringLiteral("queued"), QStringLiteral("state-queued")},
      {QStringLiteral("held"), QStringLiteral("state-paused")},
      {QStringLiteral("paused"), QStringLiteral("state-paused")},
      {QStringLiteral("finished"), QStringLiteral("state-finished")},
      {QStringLiteral("done"), QStringLiteral("state-finished")},
      {QStringLiteral("stopped"), QStringLiteral("state-stopped")},
      {QStringLiteral("cancelled"), QStringLiteral("state-stopped")},
      {QStringLiteral("interrupted"), QStringLiteral("state-interrupted")},
      {QStringLiteral("failed"), QStringLiteral("state-failed")},
  };
  return icons.value(state, QStringLiteral("state-running"));
}

QString stateTitle(const QString& state) {
  static const QHash<QString, const char*> titles = {
      {QStringLiteral("queued"), QT_TRANSLATE_NOOP("State", "Queued")},
      {QStringLiteral("held"), QT_TRANSLATE_NOOP("State", "Held")},
      {QStringLiteral("loading"), QT_TRANSLATE_NOOP("State", "Loading")},
      {QStringLiteral("running"), QT_TRANSLATE_NOOP("State", "Running")},
      {QStringLiteral("paused"), QT_TRANSLATE_NOOP("State", "Paused")},
      {QStringLiteral("evaluating"), QT_TRANSLATE_NOOP("State", "Evaluating")},
      {QStringLiteral("checkpointing"), QT_TRANSLATE_NOOP("State", "Saving")},
      {QStringLiteral("sampling"), QT_TRANSLATE_NOOP("State", "Sampling")},
      {QStringLiteral("finished"), QT_TRANSLATE_NOOP("State", "Finished")},
      {QStringLiteral("done"), QT_TRANSLATE_NOOP("State", "Done")},
      {QStringLiteral("stopped"), QT_TRANSLATE_NOOP("State", "Stopped")},
      {QStringLiteral("cancelled"), QT_TRANSLATE_NOOP("State", "Cancelled")},
      {QStringLiteral("interrupted"), QT_TRANSLATE_NOOP("State", "Interrupted")},
      {QStringLiteral("failed"), QT_TRANSLATE_NOOP("State", "Failed")},
  };
  const auto it = titles.constFind(state);
  return it == titles.constEnd() ? state : QCoreApplication::translate("State", *it);
}

QString methodTitle(const QString& method) {
  for (const MethodLook& look : kMethods)
    if (method == QLatin1String(look.name)) return QLatin1String(look.title);
  for (const OptionChoice& choice : findOption("method.name")->choices)
    if (method.toStdString() == choice.value) return QString::fromStdString(choice.title);
  return method;
}

}  // namespace rankscope::ui
