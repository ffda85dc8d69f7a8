// Milliseconds a frame of the plot that ARCHITECTURE 5 asks for: 50 curves of 100,000 points at 1400 × 800 with the
// software renderer, while panning and zooming as a user does. Offscreen: QT_QPA_PLATFORM=offscreen plot_bench [curves] [points] [picture.png]
#include "ui/plots/plot.h"
#include "ui/theme/theme.h"

#include <QApplication>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <random>

using namespace rankscope::ui;

namespace {

CurvePoints noisyLoss(int points, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> noise(0, 0.12);
  CurvePoints p;
  p.step.resize(static_cast<size_t>(points));
  p.y.resize(static_cast<size_t>(points));
  for (size_t i = 0; i < p.y.size(); ++i) {
    p.step[i] = static_cast<double>(i);
    p.y[i] = 0.5 + seed * 0.03 + 4.0 / (1.0 + static_cast<double>(i) * 0.0008) + noise(random);
  }
  return p;
}

struct Times {
  std::vector<double> ms;
  void print(const char* what) {
    std::sort(ms.begin(), ms.end());
    const double mean = std::accumulate(ms.begin(), ms.end(), 0.0) / static_cast<double>(ms.size());
    std::printf("%-44s mean %6.2f ms  median %6.2f  95%% %6.2f  max %6.2f  (%.0f frames a second)\n", what, mean,
                ms[ms.size() / 2], ms[ms.size() * 95 / 100], ms.back(), 1000 / mean);
  }
};

Times pan(Plot& plot, double lower, double upper, int frames) {
  Times times;
  double by = (upper - lower) / 1330 * 9;  // nine pixels a frame
  for (int i = 0; i < frames; ++i) {
    if (i == frames / 2) by = -by;
    lower += by;
    upper += by;
    plot.setXRange(lower, upper);
    times.ms.push_back(plot.renderNow());
  }
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  Theme::instance().install(app);
  const int curves = argc > 1 ? std::atoi(argv[1]) : 50;
  const int points = argc > 2 ? std::atoi(argv[2]) : 100000;
  Plot plot;
  plot.resize(1400, 800);
  for (int i = 0; i < curves; ++i) {
    CurveStyle style;
    style.colour = runColour(i % 2 ? QStringLiteral("lora") : QStringLiteral("reflora"), 1 << (i % 8));
    style.dash = seedDash(i % 3);
    plot.setCurve(QString::number(i), QStringLiteral("run %1").arg(i), style, noisyLoss(points, static_cast<unsigned>(i)));
  }
  plot.show();
  app.processEvents();
  plot.renderNow();
  std::printf("%d curves of %d points, %d × %d pixels\n", curves, points, plot.width(), plot.height());

  Times still;
  for (int i = 0; i < 30; ++i) still.ms.push_back(plot.renderNow());
  still.print("redraw without change");
  pan(plot, 0, points, 120).print("pan, everything in view");
  pan(plot, points * 0.2, points * 0.4, 120).print("pan, a fifth in view");
  pan(plot, points * 0.30, points * 0.305, 120).print("pan, 500 points a curve in view");
  Times zoom;
  double lower = 0, upper = points;
  for (int i = 0; i < 60; ++i) {
    const double factor = i < 30 ? 0.9 : 1 / 0.9, centre = points * 0.4;
    lower = centre + (lower - centre) * factor;
    upper = centre + (upper - centre) * factor;
    plot.setXRange(lower, upper);
    zoom.ms.push_back(plot.renderNow());
  }
  zoom.print("zoom in and out");
  plot.setSmoothing(0.9);
  for (int i = 0; i < 100; ++i) app.processEvents(QEventLoop::AllEvents, 10);
  pan(plot, 0, points, 120).print("pan, smoothed with raw behind");
  if (argc > 3 && !plot.grab().save(QString::fromLocal8Bit(argv[3]))) return 1;
  return 0;
}
