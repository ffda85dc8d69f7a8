#include "ui/spectrum/matrix_panel.h"

#include <QGridLayout>
#include <QLabel>
#include <QLocale>
#include <QScrollArea>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "ui/plots/heatmap.h"
#include "ui/plots/plot.h"
#include "ui/shell/format.h"
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
  plot->setMinimumSize(200, 140);
  return plot;
}

constexpr size_t kVectorsOverTraining = 10;
constexpr int kThreeColumns = 760, kTwoColumns = 470;

}  // namespace

MatrixPanel::MatrixPanel(QWidget* parent) : QWidget(parent) {
  setObjectName("matrixPanel");
  m_run = new QLabel;
  makeCaption(m_run);
  m_run->hide();
  m_title = new QLabel;
  m_title->setObjectName("matrixTitle");
  m_title->setTextInteractionFlags(Qt::TextSelectableByMouse);
  makeHeading(m_title);
  m_figures = new QLabel;
  m_figures->setObjectName("matrixFigures");
  m_figures->setAccessibleName(tr("Figures of the matrix"));
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
  m_cos->setMinimumHeight(220);
  m_spectra = makePlot("spectraPlot", tr("Singular values"), tr("index"));
  m_spectra->setLogY(true);
  m_spectra->setShowLegend(true);
  m_similarity = makePlot("similarityPlot", tr("Largest |cos| with W₀"), tr("vector of W"));
  m_similarity->setShowLegend(false);
  m_overEps = makePlot("epsPlot", tr("Intruders against ε"), QStringLiteral("ε"));
  m_overK = makePlot("kPlot", tr("Intruders against k"), QStringLiteral("k"));
  m_overTraining = makePlot("similarityCourse", tr("Largest |cos| over training"), tr("step"));
  m_sigmas = makePlot("sigmaCourse", tr("Leading singular values"), tr("step"));
  m_inside = makePlot("insidePlot", tr("Share of ΔW inside W₀'s leading"), tr("leading vectors"));
  m_inside->setShowLegend(true);

  m_grid = new QGridLayout;
  m_grid->setContentsMargins(0, 0, 0, 0);
  m_grid->setSpacing(space::kUnit);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(space::kUnit, 0, 0, 0);
  column->setSpacing(space::kHalf);
  column->addWidget(m_run);
  column->addWidget(m_title);
  column->addWidget(m_figures);
  auto* inside = new QWidget;  // scrolls where there is no room for all of it
  inside->setLayout(m_grid);
  auto* scroll = new QScrollArea;
  scroll->setWidget(inside);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  scroll->setFocusPolicy(Qt::NoFocus);
  column->addWidget(scroll, 1);
  column->addWidget(m_readout);
  arrange();

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

// The similarity map is square and takes two rows of the first column; the plots fill the cells around it. Where two
// matrices stand side by side there is room for fewer columns.
void MatrixPanel::arrange() {
  const int columns = width() >= space::scaled(kThreeColumns) ? 3 : width() >= space::scaled(kTwoColumns) ? 2 : 1;
  if (columns == m_columns) return;
  m_columns = columns;
  for (Plot* plot : plots()) m_grid->removeWidget(plot);
  m_grid->removeWidget(m_cos);
  m_grid->addWidget(m_cos, 0, 0, 2, 1);
  int cell = 0;
  for (Plot* plot : plots()) {
    while (cell % columns == 0 && cell / columns < 2) ++cell;  // the map's
    m_grid->addWidget(plot, cell / columns, cell % columns);
    ++cell;
  }
  for (int c = 0; c < 3; ++c) m_grid->setColumnStretch(c, c >= columns ? 0 : c == 0 ? 7 : 5);
  for (int r = 0; r < 9; ++r) m_grid->setRowStretch(r, r <= (cell - 1) / columns ? 1 : 0);
}

void MatrixPanel::resizeEvent(QResizeEvent* event) {
  QWidget::resizeEvent(event);
  arrange();
}

void MatrixPanel::setHeading(const QString& run) {
  m_run->setText(run);
  m_run->setVisible(!run.isEmpty());
}

void MatrixPanel::clear(const QString& message) {
  m_any = false;
  m_title->setText(message.isEmpty() ? tr("No matrix chosen") : message);
  m_figures->clear();
  m_cos->clear();
  m_cos->setEmptyText(tr("Choose a cell of the grid."));
  for (auto* plot : plots()) {
    plot->clearCurves();
    plot->setEmptyText({});
    plot->setMarks({});
  }
}

void MatrixPanel::setSite(const SiteSpectrum& site, const Course& course, int64_t step, const IntruderRule& rule) {
  const bool another = !m_any || site.site != m_site.site || course.size() != m_course.size() ||
                       (!course.empty() && course.back() != m_course.back());
  m_site = site;
  m_course = course;
  m_step = step;
  m_any = true;
  m_rule = rule;
  if (another) showCourse();
  showSite();
}

void MatrixPanel::setRule(const IntruderRule& rule) {
  const bool side = rule.right != m_rule.right;
  m_rule = rule;
  if (!m_any) return;
  if (side) {
    showCourse();
    showSide();
  }
  showRule();
}

// Stored with a row per vector of W; drawn with a column per vector of W, where intruders are marked.
void MatrixPanel::showSide() {
  m_cos->setTitle(m_rule.right ? tr("|cos| of right singular vectors") : tr("|cos| of left singular vectors"));
  const auto& cosines = m_rule.right ? m_site.cosRight : m_site.cos;
  const auto after = static_cast<size_t>(m_site.cosRows), before = static_cast<size_t>(m_site.cosColumns);
  if (cosines.size() != after * before) {  // computed by an earlier version, without right vectors
    m_cos->clear();
    m_cos->setEmptyText(tr("This spectrum holds no right vectors. Compute it again."));
  } else {
    std::vector<float> turned(after * before);
    for (size_t a = 0; a < after; ++a) {
      for (size_t b = 0; b < before; ++b) turned[b * after + a] = cosines[a * before + b];
    }
    m_cos->setValues(static_cast<int>(before), static_cast<int>(after), std::move(turned));
    m_cos->setRange(0, 1);
  }
  const auto& similar = similarities(m_site, m_rule.right);
  m_similarity->setCurve("max", tr("largest |cos|"), curveStyle(3, true), asPoints(indexed(similar, similar.size())));
}

void MatrixPanel::showSite() {
  m_title->setText(QString::fromStdString(m_site.site));
  showSide();
  m_spectra->setCurve("before", tr("before"), curveStyle(0), asPoints(indexed(m_site.sigmaBefore, kShownSigma)));
  m_spectra->setCurve("after", tr("after"), curveStyle(1, false, Qt::DashLine), asPoints(indexed(m_site.sigmaAfter, kShownSigma)));
  m_spectra->setCurve("delta", QStringLiteral("ΔW"), curveStyle(2), asPoints(indexed(m_site.deltaSigma, kShownSigma)));
  m_spectra->fit();
  m_inside->clearCurves();
  m_inside->setEmptyText(m_site.insideShare.empty() ? tr("A live spectrum of a full update does not hold it. Compute it.") : QString());
  if (!m_site.insideShare.empty()) {
    m_inside->setCurve("share", tr("this update"), curveStyle(2), asPoints(indexed(m_site.insideShare, m_site.insideShare.size())));
    // (j / n)²: what an update without preference would have there.
    const double n = static_cast<double>(std::min(m_site.outFeatures, m_site.inFeatures));
    Curve2 chance;
    for (size_t j = 1; j <= m_site.insideShare.size(); ++j) {
      chance.x.push_back(static_cast<double>(j));
      chance.y.push_back(std::pow(static_cast<double>(j) / n, 2));
    }
    CurveStyle style = curveStyle(0, false, Qt::DotLine);
    style.colour = ui::palette().textMuted;
    m_inside->setCurve("chance", tr("at random"), style, asPoints(chance));
    m_inside->fit();
  }
  showRule();
  m_similarity->fit();
  m_overEps->fit();
}

void MatrixPanel::showCourse() {
  for (auto* plot : {m_overTraining, m_sigmas}) {
    plot->clearCurves();
    plot->setEmptyText(m_course.size() > 1 ? QString() : tr("One step alone is known. Watch the spectrum live, or compute it for all checkpoints."));
  }
  if (m_course.size() < 2) return;
  for (size_t j = 0; j < kVectorsOverTraining; ++j) {
    const QString id = QString::number(j), label = tr("vector %1").arg(j + 1);
    CurveStyle style = curveStyle(0);
    style.colour = mapColour(ColourMap::Viridis, 0.85 * static_cast<double>(j) / static_cast<double>(kVectorsOverTraining));
    const auto similar = similarityOverTraining(m_course, m_site.site, j, m_rule.right);
    if (!similar.x.empty()) m_overTraining->setCurve(id, label, style, asPoints(similar));
    const auto sigma = singularValueOverTraining(m_course, m_site.site, j);
    if (!sigma.x.empty()) m_sigmas->setCurve(id, label, style, asPoints(sigma));
  }
  m_overTraining->fit();
  m_sigmas->fit();
}

void MatrixPanel::showRule() {
  const QLocale locale;
  const auto stored = static_cast<int64_t>(similarities(m_site, m_rule.right).size());
  const auto k = std::min(m_rule.k, stored);
  QStringList facts{tr("%1 × %2").arg(locale.toString(qlonglong(m_site.outFeatures)), locale.toString(qlonglong(m_site.inFeatures)))};
  facts << (m_site.rank > 0 ? tr("rank %1").arg(m_site.rank) : tr("full update"));
  facts << tr("<b>%1 intruders</b> of %2 at ε = %3").arg(intruderCount(m_site, m_rule)).arg(k).arg(locale.toString(m_rule.eps, 'f', 2));
  const auto add = [&](SpectrumMeasure measure, const QString& text, int digits) {
    if (const double value = measureOf(m_site, measure, m_rule); std::isfinite(value)) facts << text.arg(formatNumber(value, digits));
  };
  add(SpectrumMeasure::EffectiveRank, tr("effective rank of ΔW %1"), 3);
  if (m_site.effectiveRankAfter > 0)
    facts << tr("of W %1, was %2").arg(formatNumber(m_site.effectiveRankAfter, 4), formatNumber(m_site.effectiveRankBefore, 4));
  add(SpectrumMeasure::StableRank, tr("stable rank %1"), 3);
  add(SpectrumMeasure::RelativeUpdate, QStringLiteral("‖ΔW‖/‖W₀‖ %1"), 3);
  add(SpectrumMeasure::SpectralNorm, QStringLiteral("‖ΔW‖₂ %1"), 3);
  if (const double inside = measureOf(m_site, SpectrumMeasure::InsideShare, m_rule); std::isfinite(inside))
    facts << tr("%1 % of ΔW between W₀'s %2 leading vectors").arg(locale.toString(100 * inside, 'f', 1)).arg(k);
  if (m_site.rank > 0) {
    facts << QStringLiteral("‖A‖ %1, ‖B‖ %2").arg(formatNumber(m_site.normA, 3), formatNumber(m_site.normB, 3));
    facts << tr("balance gap %1").arg(formatNumber(m_site.balanceGap, 3));
  }
  facts << tr("residual ≤ %1").arg(formatNumber(m_site.residualBound, 2));
  m_figures->setText(facts.join(QStringLiteral(" · ")));

  // The threshold as a line across, and the last vector that counts as a mark.
  const double last = static_cast<double>(std::max<int64_t>(stored, 1));
  const auto threshold = [&](double from, double to) { return asPoints({{from, to}, {m_rule.eps, m_rule.eps}}); };
  m_similarity->setCurve("eps", QStringLiteral("ε"), curveStyle(4, false, Qt::DotLine), threshold(1, last));
  const auto mark = [](double x, const QString& text) {
    PlotMark made;
    made.step = x;
    made.text = text;
    made.colour = ui::palette().textMuted;
    return std::vector<PlotMark>{made};
  };
  m_similarity->setMarks(mark(static_cast<double>(k), QStringLiteral("k = %1").arg(k)));
  m_overEps->setCurve("count", tr("intruders"), curveStyle(5), asPoints(intrudersOverEps(m_site, m_rule)));
  m_overEps->setMarks(mark(m_rule.eps, QStringLiteral("ε")));
  m_overK->setCurve("count", tr("intruders"), curveStyle(5), asPoints(intrudersOverK(m_site, m_rule)));
  m_overK->setMarks(mark(static_cast<double>(k), QStringLiteral("k")));
  m_overK->fit();
  if (m_course.size() > 1) {
    m_overTraining->setCurve("eps", QStringLiteral("ε"), curveStyle(4, false, Qt::DotLine),
                             threshold(static_cast<double>(m_course.front()->step), static_cast<double>(m_course.back()->step)));
    for (auto* plot : {m_overTraining, m_sigmas}) plot->setMarks(mark(static_cast<double>(m_step), tr("step %1").arg(m_step)));
  }
  std::vector<int> marked;
  for (int64_t i = 0; i < k; ++i) {
    if (static_cast<double>(similarities(m_site, m_rule.right)[static_cast<size_t>(i)]) < m_rule.eps) marked.push_back(static_cast<int>(i));
  }
  m_cos->setMarkedColumns(marked);
}

}  // namespace rankscope::ui
