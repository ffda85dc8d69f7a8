#include "ui/compare/rank_tab.h"

#include "ui/plots/plot.h"
#include "ui/runs/run_columns.h"
#include "ui/theme/theme.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QSet>
#include <QVBoxLayout>

#include <cmath>

namespace rankscope::ui {

std::vector<std::pair<QString, QString>> scoreChoices(const std::vector<ComparedRun>& runs) {
  QStringList metrics;
  for (const ComparedRun& run : runs)
    for (const auto& [name, summary] : run.row.metrics) {
      const QString metric = QString::fromStdString(name);
      if (!metrics.contains(metric)) metrics << metric;
    }
  std::sort(metrics.begin(), metrics.end(), [](const QString& a, const QString& b) {
    const bool x = a.startsWith(QLatin1String("eval/")), y = b.startsWith(QLatin1String("eval/"));
    return x != y ? x : a < b;
  });
  std::vector<std::pair<QString, QString>> choices = {{RankTab::tr("Each run's own metric, best"), QStringLiteral("best")}};
  for (const QString& metric : metrics) {
    choices.emplace_back(RankTab::tr("%1, best").arg(metric), metric);
    choices.emplace_back(RankTab::tr("%1, last").arg(metric), metric + QStringLiteral(".last"));
  }
  return choices;
}

RankTab::RankTab(QWidget* parent) : QWidget(parent) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  auto* row = new QHBoxLayout;
  row->setContentsMargins(space::kUnit, space::kHalf, space::kUnit, space::kHalf);
  auto* label = new QLabel(tr("Metric"), this);
  makeCaption(label);
  m_metric = new QComboBox(this);
  m_metric->setMinimumWidth(260);
  m_metric->setAccessibleName(tr("Metric"));
  label->setBuddy(m_metric);
  m_note = new QLabel(this);
  makeCaption(m_note);
  row->addWidget(label);
  row->addWidget(m_metric);
  row->addSpacing(space::kWide);
  row->addWidget(m_note, 1);
  layout->addLayout(row);
  m_plot = new Plot(this);
  m_plot->setTitle(tr("Metric against rank"));
  m_plot->setXLabel(tr("Rank"));
  m_plot->setLogX(true);
  m_plot->setEmptyText(tr("No run among these has this metric. Choose another one, or select runs of several ranks."));
  layout->addWidget(m_plot, 1);
  connect(m_metric, &QComboBox::activated, this, [this] {
    m_wanted = m_metric->currentData().toString();
    draw();
  });
  connect(&Theme::instance(), &Theme::changed, this, &RankTab::draw);
}

void RankTab::setRuns(const std::vector<ComparedRun>& runs) {
  m_runs = runs;
  const QSignalBlocker quiet(m_metric);
  m_metric->clear();
  for (const auto& [text, value] : scoreChoices(runs)) m_metric->addItem(text, value);
  m_metric->setCurrentIndex(std::max(0, m_metric->findData(m_wanted)));
  draw();
}

void RankTab::draw() {
  m_plot->clearCurves();
  const QString choice = m_metric->currentData().toString();
  const std::vector<RankLine> lines = rankLines(m_runs, choice);
  std::vector<double> ticks;
  QSet<QString> metrics;
  for (const ComparedRun& run : m_runs)
    if (run.visible && std::isfinite(scoreOf(run.row, choice).value)) metrics.insert(scoreOf(run.row, choice).metric);
  for (const RankLine& line : lines)
    for (const double rank : line.rank)
      if (rank > 0 && std::find(ticks.begin(), ticks.end(), rank) == ticks.end()) ticks.push_back(rank);
  std::sort(ticks.begin(), ticks.end());
  const double first = ticks.empty() ? 1 : ticks.front(), last = ticks.empty() ? 2 : std::max(ticks.back(), ticks.front() * 1.5);
  int order = 0, most = 0;
  for (const RankLine& line : lines) {
    CurveStyle style;
    style.colour = methodColour(line.method);
    style.width = 1.8;
    style.points = !line.withoutRank;
    style.dash = line.withoutRank ? Qt::DashLine : Qt::SolidLine;
    style.order = 10 + order++;
    style.smoothable = false;
    CurvePoints mean;
    for (size_t i = 0; i < line.rank.size(); ++i) {
      most = std::max(most, line.n[i]);
      if (line.withoutRank) {
        mean.step = {first, last};
        mean.y = {line.mean[i], line.mean[i]};
        mean.lower = {line.mean[i] - line.sd[i], line.mean[i] - line.sd[i]};
        mean.upper = {line.mean[i] + line.sd[i], line.mean[i] + line.sd[i]};
      } else if (line.rank[i] > 0) {
        mean.step.push_back(line.rank[i]);
        mean.y.push_back(line.mean[i]);
        mean.lower.push_back(line.mean[i] - line.sd[i]);
        mean.upper.push_back(line.mean[i] + line.sd[i]);
      }
    }
    m_plot->setCurve(line.method, methodTitle(line.method), style, mean);
    if (line.withoutRank || line.points.size() <= line.rank.size()) continue;
    CurveStyle dots = style;
    dots.line = false;
    dots.order = order;
    dots.colour.setAlphaF(0.45f);
    CurvePoints single;
    for (const auto& [rank, value] : line.points) {
      if (rank <= 0) continue;
      single.step.push_back(rank);
      single.y.push_back(value);
    }
    m_plot->setCurve(line.method + QStringLiteral("/runs"), QString(), dots, single);
  }
  const QString what = metrics.size() == 1 ? shortMetric(*metrics.begin()) : tr("metric");
  m_plot->setTitle(tr("%1 against rank").arg(what));
  m_plot->setXTicks(ticks);
  m_plot->fit();
  QString note = most > 1 ? tr("Line: mean over runs of the same rank; band: ± one standard deviation; dots: single runs.") : QString();
  if (metrics.size() > 1) note = tr("These runs have different metrics of their own: choose one of them.");
  m_note->setText(note);
}

QJsonObject RankTab::saveState() const { return {{QStringLiteral("metric"), m_wanted}}; }
void RankTab::restoreState(const QJsonObject& state) { m_wanted = state.value(QStringLiteral("metric")).toString(m_wanted); }

}  // namespace rankscope::ui
