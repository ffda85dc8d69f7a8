// The colour maps of heatmaps, from anchor colours: viridis and cividis for magnitudes (even in lightness, safe for
// colour-blind eyes), and a map for signed values whose middle is the theme's ground (heatmap.h).
#include "ui/plots/heatmap.h"

#include "ui/theme/theme.h"

#include <array>

namespace rankscope::ui {

namespace {

using Anchors = std::array<QRgb, 11>;
// Samples of the published maps at 0, 0.1, … 1 (viridis: Smith and van der Walt 2015; cividis: Nuñez et al. 2018).
constexpr Anchors kViridis = {0xff440154, 0xff482475, 0xff414487, 0xff355f8d, 0xff2a788e, 0xff21918c,
                              0xff22a884, 0xff44bf70, 0xff7ad151, 0xffbddf26, 0xfffde725};
constexpr Anchors kCividis = {0xff00224e, 0xff123570, 0xff3b496c, 0xff575d6d, 0xff707173, 0xff8a8678,
                              0xffa59c74, 0xffc3b369, 0xffe1cc55, 0xfff0d849, 0xfffee838};

QColor between(const Anchors& anchors, double share) {
  const double at = std::clamp(share, 0.0, 1.0) * static_cast<double>(anchors.size() - 1);
  const size_t i = std::min(static_cast<size_t>(at), anchors.size() - 2);
  return mixed(QColor(anchors[i]), QColor(anchors[i + 1]), at - static_cast<double>(i));
}

}  // namespace

QColor mapColour(ColourMap map, double share) {
  switch (map) {
    case ColourMap::Viridis: return between(kViridis, share);
    case ColourMap::Cividis: return between(kCividis, share);
    case ColourMap::Diverging: break;
  }
  const QColor middle = Theme::instance().dark() ? QColor(0x2a2f34) : QColor(0xf5f5f5);
  const bool dark = Theme::instance().dark();
  const QColor low = dark ? QColor(0x5aa9e6) : QColor(0x0f5c99), high = dark ? QColor(0xf08a5d) : QColor(0xb5401a);
  const double t = std::clamp(share, 0.0, 1.0) * 2 - 1;
  return mixed(middle, t < 0 ? low : high, std::abs(t));
}

}  // namespace rankscope::ui
