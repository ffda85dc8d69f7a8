#pragma once
// The plots of the live view over one RunHistory: loss large, the factors and the rest around it, all with one cursor,
// one x range and one smoothing. Appends only what is new; draws what is visible. GUI thread.

#include <QComboBox>
#include <QHash>
#include <QJsonObject>
#include <QWidget>
#include <memory>
#include <vector>

#include "ui/live/run_history.h"
#include "ui/plots/plot.h"

class QGridLayout;
class QLabel;
class QScrollArea;
class QSlider;
class QToolButton;

namespace rankscope::ui {

class LivePlots : public QWidget {
  Q_OBJECT

 public:
  explicit LivePlots(QWidget* parent = nullptr);

  // The history is the view's; it must stay until the next setHistory(). Null: nothing to show.
  void setHistory(const RunHistory* history);
  void advance();  // the history has grown
  // A site by name, or empty for the median over all.
  void setSite(const QString& site);
  const QString& site() const { return m_site; }
  Plot* plot(const QString& id) const;
  QStringList plotIds() const;
  void fitAll();
  void zoomBack();
  void zoomForward();

  QJsonObject saveState() const;
  void restoreState(const QJsonObject& state);

 Q_SIGNALS:
  void cursorAt(const QString& text);  // "step 120, epoch 1.2, …": for the status bar; empty when it left

 protected:
  void resizeEvent(QResizeEvent* event) override;

 private:
  struct Curve {
    QString series;  // of the history; for a site "norm_A" below "site/<name>/"
    QString label;
    int colour = 0;
    bool band = false;       // with <series>/q10 and <series>/q90
    bool points = false;
    bool smoothable = true;
    double scale = 1;        // bytes -> GB
    bool ofSite = false;
    size_t drawn = 0;        // points handed over so far
  };
  struct Panel {
    QString id;
    Plot* plot = nullptr;
    std::vector<Curve> curves;
  };
  void buildBar();
  double smoothingWeight() const;
  void addPanel(const QString& id, const QString& title, const QString& unit, std::vector<Curve> curves);
  void refill();
  void refillPanel(Panel& panel);
  void extend(Panel& panel);
  CurvePoints points(const Curve& curve, size_t from) const;
  QString seriesName(const Curve& curve) const;
  CurveStyle style(const Curve& curve) const;
  void addMetricCurves();
  void takeUnit();  // as the run's start tells it
  void showMarks();
  void arrange();
  void readCursor(double x, bool visible);
  Plot* zoomTarget(bool (Plot::*can)() const) const;

  const RunHistory* m_history = nullptr;
  uint64_t m_rewinds = 0;
  size_t m_marksShown = 0;
  QString m_site;
  std::string m_unit;  // what the run counts: "tokens", "images"
  PlotGroup m_group;
  std::vector<Panel> m_panels;
  const Plot* m_lastZoomed = nullptr;
  QScrollArea* m_scroll = nullptr;
  QWidget* m_grid = nullptr;
  QGridLayout* m_layout = nullptr;
  QWidget* m_bar = nullptr;
  QComboBox* m_axis = nullptr;
  QComboBox* m_siteBox = nullptr;
  QSlider* m_smoothing = nullptr;
  QLabel* m_smoothingValue = nullptr;
  QLabel* m_cursor = nullptr;
  QToolButton *m_log = nullptr, *m_clip = nullptr, *m_back = nullptr, *m_forward = nullptr;
  int m_columns = 0;
};

}  // namespace rankscope::ui
