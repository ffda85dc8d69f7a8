#include "ui/spectrum/matrix_panel.h"

#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/plots/heatmap.h"
#include "ui/plots/plot.h"
#include "ui/shell/format.h"
#include "ui/spectrum/spectrum_figures.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr size_t kShownSigma = 256;  // singular values drawn; the tail says nothing more

CurvePoints asPoints(const Curve2& curve) {
  CurvePoints points;
  points.step = curve.x;
  points.y = curve.y;
  return points;
}

CurveStyle curveStyle(int colour, bool points = false, Qt::PenStyle dash = Qt::SolidLine) {
  CurveStyle style;
  style.colour = categoryColour(colour);
  style.points = points;
  style.smoothable = false;
  style.dash = dash;
  return style;
}

Plot* makePlot(const QString& name, const QString& title, const QString& x) {
  auto* plot = new Plot;
  plot->setObjectName(name);
  plot->setTitle(title);
  plot->setXLabel(x);
  plot->setFollow(true);
  plot->setMinimumSize(220, 150);
  return plot;
}

}  // namespace

MatrixPanel::MatrixPanel(QWidget* parent) : QWidget(parent) {
  setObjectName("matrixPanel");
  m_title = new QLabel;
  m_title->setObjectName("matrixTitle");
  m_title->setTextInteractionFlags(Qt::TextSelectableByMouse);
  makeHeading(m_title);
  m_figures = new QLabel;
  m_figures->setObjectName("matrixFigures");
  m_figures->setWordWrap(true);
  m_figures->setTextInteractionFlags(Qt::TextSelectableByMouse);
  m_figures->setFont(Theme::tabular(m_figures->font()));
  m_readout = new QLabel;
  m_readout->setObjectName("cosReadout");
  m_readout->setFont(Theme::tabular(Theme::instance().smallFont()));
  makeCaption(m_readout);

  m_cos = new Heatmap;
  m_cos->setObjectName("cosHeatmap");
  m_cos->setTitle(tr("|cos| of left singular vectors"));
  m_cos->setAxisTitles(tr("vector of W (after)"), tr("vector of W₀ (before)"));
  m_cos->setValueTitle("|cos|");
  m_cos->setColourMap(ColourMap::Viridis);
  m_cos->setRange(0, 1);
  m_cos->setSquareCells(true);
  m_spectra = makePlot("spectraPlot", tr("Singular values"), tr("index"));
  m_spectra->setLogY(true);
  m_spectra->setShowLegend(true);
  m_similarity = makePlot("similarityPlot", tr("Largest |cos| with any vector of W₀"), tr("vector of W"));
  m_overEps = makePlot("epsPlot", tr("Intruders against ε"), QStringLiteral("ε"));
  m_overK = makePlot("kPlot", tr("Intruders against k"), QStringLiteral("k"));

  auto* grid = new QGridLayout;
  grid->setContentsMargins(0, 0, 0, 0);
  grid->setSpacing(space::kUnit);
  grid->addWidget(m_cos, 0, 0, 2, 1);
  grid->addWidget(m_spectra, 0, 1);
  grid->addWidget(m_similarity, 1, 1);
  auto* below = new QHBoxLayout;
  below->setSpacing(space::kUnit);
  below->addWidget(m_overEps);
  below->addWidget(m_overK);
  grid->addLayout(below, 2, 0, 1, 2);
  // The similarity map is square: it gets about as much width as two rows are high.
  grid->setColumnStretch(0, 6);
  grid->setColumnStretch(1, 5);
  grid->setRowStretch(0, 5);
  grid->setRowStretch(1, 5);
  grid->setRowStretch(2, 4);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(space::kUnit, 0, 0, 0);
  column->setSpacing(space::kHalf);
  column->addWidget(m_title);
  column->addWidget(m_figures);
  column->addLayout(grid, 1);
  column->addWidget(m_readout);

  connect(m_cos, &Heatmap::cellHovered, this, [this](int before, int after, float value) {
    m_readout->setText(tr("vector %1 after · vector %2 before: |cos| = %3")
                           .arg(after + 1)
                           .arg(before + 1)
                           .arg(QLocale().toString(double(value), 'f', 4)));
  });
  connect(m_cos, &Heatmap::left, this, [this] { m_readout->setText(QStringLiteral(" ")); });
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    if (m_any) showSite();
  });
  m_readout->setText(QStringLiteral(" "));
  clear({});
}

void MatrixPanel::clear(const QString& message) {
  m_any = false;
  m_title->setText(message.isEmpty() ? tr("No matrix chosen") : message);
  m_figures->clear();
  m_cos->clear();
  m_cos->setEmptyText(tr("Choose a cell of the grid."));
  for (auto* plot : {m_spectra, m_similarity, m_overEps, m_overK}) {
    plot->clearCurves();
    plot->setEmptyText({});
    plot->setMarks({});
  }
}

void MatrixPanel::setSite(const SiteSpectrum& site, double eps, int64_t k) {
  m_site = site;
  m_any = true;
  m_eps = eps;
  m_k = k;
  showSite();
}

void MatrixPanel::setThreshold(double eps, int64_t k) {
  m_eps = eps;
  m_k = k;
  if (m_any) showThreshold();
}

void MatrixPanel::showSite() {
  const QLocale locale;
  m_title->setText(QString::fromStdString(m_site.site));
  // Stored with a row per vector of W; drawn with a column per vector of W, where intruders are marked.
  const auto after = static_cast<size_t>(m_site.cosRows), before = static_cast<size_t>(m_site.cosColumns);
  std::vector<float> turned(after * before);
  for (size_t a = 0; a < after; ++a) {
    for (size_t b = 0; b < before; ++b) turned[b * after + a] = m_site.cos[a * before + b];
  }
  m_cos->setValues(static_cast<int>(before), static_cast<int>(after), std::move(turned));
  m_cos->setRange(0, 1);
  m_spectra->setCurve("before", tr("before"), curveStyle(0), asPoints(indexed(m_site.sigmaBefore, kShownSigma)));
  m_spectra->setCurve("after", tr("after"), curveStyle(1, false, Qt::DashLine), asPoints(indexed(m_site.sigmaAfter, kShownSigma)));
  m_spectra->setCurve("delta", QStringLiteral("ΔW"), curveStyle(2), asPoints(indexed(m_site.deltaSigma, kShownSigma)));
  m_spectra->fit();
  m_similarity->setCurve("max", tr("largest |cos|"), curveStyle(3, true), asPoints(indexed(m_site.maxCos, m_site.maxCos.size())));
  showThreshold();
  m_similarity->fit();
  m_overEps->fit();
}

void MatrixPanel::showThreshold() {
  const QLocale locale;
  const auto stored = static_cast<int64_t>(m_site.maxCos.size());
  const auto k = std::min(m_k, stored);
  QStringList facts{tr("%1 × %2").arg(locale.toString(qlonglong(m_site.outFeatures)), locale.toString(qlonglong(m_site.inFeatures)))};
  facts << (m_site.rank > 0 ? tr("rank %1").arg(m_site.rank) : tr("full update"));
  facts << tr("<b>%1 intruders</b> of %2 at ε = %3").arg(m_site.intruders(m_eps, k)).arg(k).arg(locale.toString(m_eps, 'f', 2));
  facts << tr("effective rank of ΔW %1").arg(formatNumber(m_site.effectiveRank, 3));
  facts << tr("stable rank %1").arg(formatNumber(m_site.stableRank, 3));
  facts << QStringLiteral("‖ΔW‖/‖W₀‖ %1").arg(formatNumber(m_site.relativeUpdate, 3));
  if (m_site.rank > 0) {
    facts << QStringLiteral("‖A‖ %1, ‖B‖ %2").arg(formatNumber(m_site.normA, 3), formatNumber(m_site.normB, 3));
    facts << tr("balance gap %1").arg(formatNumber(m_site.balanceGap, 3));
  }
  facts << tr("residual ≤ %1").arg(formatNumber(m_site.residualBound, 2));
  m_figures->setText(facts.join(QStringLiteral(" · ")));

  // The threshold as a line across, and the last vector that counts as a mark.
  const double last = static_cast<double>(std::max<int64_t>(stored, 1));
  m_similarity->setCurve("eps", QStringLiteral("ε"), curveStyle(4, false, Qt::DotLine), asPoints({{1, last}, {m_eps, m_eps}}));
  const auto mark = [](double x, const QString& text) {
    PlotMark made;
    made.step = x;
    made.text = text;
    made.colour = ui::palette().textMuted;
    return std::vector<PlotMark>{made};
  };
  m_similarity->setMarks(mark(static_cast<double>(k), QStringLiteral("k = %1").arg(k)));
  m_overEps->setCurve("count", tr("intruders"), curveStyle(5), asPoints(intrudersOverEps(m_site, k)));
  m_overEps->setMarks(mark(m_eps, QStringLiteral("ε")));
  m_overK->setCurve("count", tr("intruders"), curveStyle(5), asPoints(intrudersOverK(m_site, m_eps)));
  m_overK->setMarks(mark(static_cast<double>(k), QStringLiteral("k")));
  m_overK->fit();
  std::vector<int> marked;
  for (int64_t i = 0; i < k; ++i) {
    if (m_site.maxCos[static_cast<size_t>(i)] < m_eps) marked.push_back(static_cast<int>(i));
  }
  m_cos->setMarkedColumns(marked);
}

}  // namespace rankscope::ui
