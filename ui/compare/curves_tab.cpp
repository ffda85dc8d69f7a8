#include "ui/compare/curves_tab.h"

#include "core/config/task_heads.h"
#include "core/store/store.h"
#include "ui/plots/plot.h"
#include "ui/runs/run_delegates.h"
#include "ui/shell/store_service.h"
#include "ui/shell/work_unit.h"
#include "ui/theme/theme.h"

#include <QComboBox>
#include <QCompleter>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QSlider>
#include <QToolButton>
#include <QVBoxLayout>
#include <QtConcurrent/QtConcurrentRun>
#include <set>

namespace rankscope::ui {

namespace {

// The slider's hundredths to a weight that is fine where it matters: 0, …, 0.9 at 60, 0.999 at 100.
double weightOf(int slider) { return slider <= 0 ? 0 : 1 - std::pow(10, -3.0 * slider / 100.0); }

// Dashes tell seeds apart; where all runs have the same one, they would only make the curves harder to read.
CurveStyle styleOf(const ComparedRun& run, int order, bool seedsDiffer) {
  CurveStyle style;
  style.colour = colourOfRun(run.row);
  style.dash = seedsDiffer ? seedDash(run.row.seed) : Qt::SolidLine;
  style.order = order;
  return style;
}

}  // namespace

CurvesTab::CurvesTab(ViewContext& context, QWidget* parent) : QWidget(parent), m_context(context) {
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  layout->setSpacing(0);
  auto* bar = new QWidget(this);
  auto* row = new QHBoxLayout(bar);
  row->setContentsMargins(space::kUnit, space::kHalf, space::kUnit, space::kHalf);
  row->setSpacing(space::kUnit);
  const auto labelled = [&](const QString& text, QWidget* control) {
    auto* label = new QLabel(text, bar);
    label->setBuddy(control);
    makeCaption(label);
    row->addWidget(label);
    row->addWidget(control);
    control->setAccessibleName(text);
  };
  m_series = new QComboBox(bar);
  m_series->setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  m_series->setMinimumContentsLength(12);
  m_series->setMaximumWidth(space::scaled(260));
  m_series->setEditable(true);  // for searching among hundreds of series of single sites
  m_series->setInsertPolicy(QComboBox::NoInsert);
  m_series->completer()->setFilterMode(Qt::MatchContains);
  m_series->completer()->setCompletionMode(QCompleter::PopupCompletion);
  labelled(tr("Series"), m_series);
  m_axis = new QComboBox(bar);
  for (const XAxis axis : {XAxis::Step, XAxis::Epoch, XAxis::Tokens, XAxis::Time}) m_axis->addItem(xAxisTitle(axis));
  labelled(tr("Across"), m_axis);
  m_grouping = new QComboBox(bar);
  for (const Grouping grouping : {Grouping::None, Grouping::Method, Grouping::MethodRank, Grouping::MethodRankData, Grouping::Name})
    m_grouping->addItem(groupingTitle(grouping), static_cast<int>(grouping));
  labelled(tr("Group"), m_grouping);
  m_smoothing = new QSlider(Qt::Horizontal, bar);
  m_smoothing->setRange(0, 100);
  m_smoothing->setMinimumWidth(60);
  m_smoothing->setMaximumWidth(110);
  labelled(tr("Smoothing"), m_smoothing);
  m_smoothingText = new QLabel(bar);
  m_smoothingText->setMinimumWidth(36);
  makeCaption(m_smoothingText);
  row->addWidget(m_smoothingText);
  const auto toggle = [&](const QString& text, const QString& tip) {
    auto* button = new QToolButton(bar);
    button->setText(text);
    button->setCheckable(true);
    button->setToolTip(tip);
    button->setAccessibleName(tip);
    row->addWidget(button);
    return button;
  };
  m_logX = toggle(tr("log x"), tr("Logarithmic x"));
  m_logY = toggle(tr("log y"), tr("Logarithmic y"));
  m_clip = toggle(tr("clip"), tr("Leave outliers outside the picture"));
  auto* fit = new QToolButton(bar);
  fit->setIcon(icon(QStringLiteral("zoom-fit")));
  fit->setToolTip(tr("Show everything (Home)"));
  fit->setAccessibleName(tr("Show everything"));
  row->addWidget(fit);
  row->addStretch(1);
  row->setStretchFactor(m_series, 2);
  m_state = new QLabel(bar);
  makeCaption(m_state);
  row->addWidget(m_state);
  layout->addWidget(bar);
  m_plot = new Plot(this);
  m_plot->setTitle(tr("Curves"));
  m_plot->setEmptyText(tr("None of these runs has points in this series."));
  layout->addWidget(m_plot, 1);

  connect(m_series, &QComboBox::activated, this, [this] { chooseSeries(m_series->currentText()); });
  connect(m_axis, &QComboBox::currentIndexChanged, this, [this](int index) {
    m_plot->setXAxis(static_cast<XAxis>(index));
    if (m_grouping->currentIndex() > 0) redraw();
  });
  connect(m_grouping, &QComboBox::currentIndexChanged, this, &CurvesTab::redraw);
  connect(m_smoothing, &QSlider::valueChanged, this, [this](int value) {
    const double weight = weightOf(value);
    m_smoothingText->setText(weight <= 0 ? tr("off") : QLocale().toString(weight, 'f', value > 60 ? 3 : 2));
    m_plot->setSmoothing(weight);
  });
  connect(m_logX, &QToolButton::toggled, m_plot, &Plot::setLogX);
  connect(m_logY, &QToolButton::toggled, m_plot, &Plot::setLogY);
  connect(m_clip, &QToolButton::toggled, this, [this](bool on) {
    m_plot->setClipOutliers(on);
    m_plot->fit();
  });
  connect(fit, &QToolButton::clicked, m_plot, &Plot::fit);
  connect(m_plot, &Plot::optionsChanged, this, [this] {
    m_logX->setChecked(m_plot->logX());
    m_logY->setChecked(m_plot->logY());
  });
  connect(m_plot, &Plot::curveClicked, this, [this](const QString& id) { Q_EMIT runClicked(id); });
  connect(m_context.store, &StoreService::seriesAppended, this, [this](const QString& id) {
    if (const ComparedRun* run = find(id); run && m_active) request(*run);
  });
  connect(&Theme::instance(), &Theme::changed, this, &CurvesTab::redraw);
  m_smoothing->setValue(15);
}

const ComparedRun* CurvesTab::find(const QString& id) const {
  for (const ComparedRun& run : m_runs)
    if (run.id == id) return &run;
  return nullptr;
}

QString CurvesTab::series() const { return m_wanted; }

void CurvesTab::setActive(bool active) {
  if (active == m_active) return;
  m_active = active;
  if (active) {
    loadNames();
    loadCurves();
  }
}

void CurvesTab::setRuns(const std::vector<ComparedRun>& runs) {
  QStringList before, now;
  for (const ComparedRun& run : m_runs) before << run.id;
  for (const ComparedRun& run : runs) now << run.id;
  m_runs = runs;
  std::set<std::string> units;
  for (const ComparedRun& run : runs) units.insert(unitOfTask(run.row.task));
  const QString work = units.size() > 1 ? tr("Tokens or images") : unitTitle(units.empty() ? kUsualUnit : *units.begin());
  m_axis->setItemText(static_cast<int>(XAxis::Tokens), work);
  m_plot->setWorkTitle(work);
  m_seedsDiffer = std::any_of(runs.begin(), runs.end(), [&](const ComparedRun& run) { return run.row.seed != runs.front().row.seed; });
  for (const QString& id : m_points.keys())
    if (!now.contains(id)) m_points.remove(id);
  if (m_active && before != now) {
    loadNames();
    loadCurves();
  }
  redraw();
}

void CurvesTab::loadNames() {
  std::vector<std::string> ids;
  for (const ComparedRun& run : m_runs) ids.push_back(run.id.toStdString());
  m_context.store->read(this, "names",
                        [ids](Store& store) {
                          std::map<std::string, int> all;
                          for (const std::string& id : ids)
                            if (auto names = store.seriesNames(id); names.ok())
                              for (const std::string& name : *names) ++all[name];
                          QStringList list;
                          for (const auto& [name, count] : all) list << QString::fromStdString(name);
                          // Series of single matrices last: there are many.
                          std::stable_partition(list.begin(), list.end(), [](const QString& n) { return !n.startsWith(QLatin1String("site/")); });
                          return list;
                        },
                        [this](Result<QStringList> names) {
                          if (!names.ok()) return;
                          const QSignalBlocker quiet(m_series);
                          m_series->clear();
                          m_series->addItems(*names);
                          m_series->setCurrentText(m_wanted);
                        });
}

void CurvesTab::chooseSeries(const QString& name) {
  if (name.isEmpty() || name == m_wanted) return;
  m_wanted = name;
  m_series->setCurrentText(name);
  m_points.clear();
  m_plot->clearCurves();
  loadCurves();
}

void CurvesTab::chooseGrouping(Grouping grouping) { m_grouping->setCurrentIndex(m_grouping->findData(static_cast<int>(grouping))); }

void CurvesTab::loadCurves() {
  ++m_generation;
  m_waiting = 0;
  for (const ComparedRun& run : m_runs)
    if (!m_points.contains(run.id)) request(run);
}

void CurvesTab::request(const ComparedRun& run) {
  ++m_waiting;
  m_state->setText(tr("Reading %n curve(s)…", nullptr, m_waiting));
  m_context.store->read(
      this, "curve/" + run.id.toUtf8(),
      [id = run.id.toStdString(), name = m_wanted.toStdString()](Store& store) -> Result<std::shared_ptr<const CurvePoints>> {
        auto series = store.readSeries(id, name);
        if (!series.ok()) return series.error();
        return std::make_shared<const CurvePoints>(curveOf(*series));
      },
      [this, id = run.id, generation = m_generation](Result<std::shared_ptr<const CurvePoints>> points) {
        if (generation == m_generation) m_waiting = std::max(0, m_waiting - 1);
        m_state->setText(m_waiting > 0 ? tr("Reading %n curve(s)…", nullptr, m_waiting) : QString());
        const ComparedRun* known = find(id);
        if (!known || !points.ok()) return;
        const auto before = m_points.value(id);
        m_points.insert(id, *points);
        if (m_grouping->currentIndex() > 0) {
          if (m_waiting == 0) redraw();
          return;
        }
        // A live curve usually only grew: its new end is appended, so that pyramid and smoothing go on where they were.
        const CurvePoints& now = **points;
        const size_t old = before ? before->y.size() : 0;
        if (before && old > 0 && now.y.size() >= old && now.step[old - 1] == before->step[old - 1] && m_plot->hasCurve(id)) {
          if (now.y.size() == old) return;
          const auto tail = [old](const std::vector<double>& column) {
            return std::vector<double>(column.begin() + static_cast<qsizetype>(std::min(old, column.size())), column.end());
          };
          m_plot->appendCurve(id, {tail(now.step), tail(now.epoch), tail(now.tokens), tail(now.seconds), tail(now.y), {}, {}});
        } else if (!now.y.empty()) {
          m_plot->setCurve(id, known->label, styleOf(*known, static_cast<int>(known - m_runs.data()), m_seedsDiffer), now);
          m_plot->setCurveVisible(id, known->visible);
        } else {
          m_plot->removeCurve(id);
        }
      });
}

// From what has been read, without asking again.
void CurvesTab::redraw() {
  m_plot->setTitle(m_wanted);
  if (m_grouping->currentIndex() > 0) {
    drawGroups();
    return;
  }
  for (const QString& id : m_plot->curveIds())
    if (!find(id)) m_plot->removeCurve(id);
  for (size_t i = 0; i < m_runs.size(); ++i) {
    const ComparedRun& run = m_runs[i];
    const auto points = m_points.value(run.id);
    if (!points || points->y.empty()) continue;
    if (m_plot->hasCurve(run.id))
      m_plot->setCurveStyle(run.id, styleOf(run, static_cast<int>(i), m_seedsDiffer));
    else
      m_plot->setCurve(run.id, run.label, styleOf(run, static_cast<int>(i), m_seedsDiffer), *points);
    m_plot->setCurveVisible(run.id, run.visible);
  }
}

void CurvesTab::drawGroups() {
  struct Group {
    QString name;
    QColor colour;
    std::vector<std::shared_ptr<const CurvePoints>> runs;
    CurvePoints mean;
  };
  const auto grouping = static_cast<Grouping>(m_grouping->currentData().toInt());
  std::vector<Group> groups;
  for (const ComparedRun& run : m_runs) {
    const auto points = m_points.value(run.id);
    if (!run.visible || !points || points->y.empty()) continue;
    const QString name = groupOf(run.row, grouping);
    auto it = std::find_if(groups.begin(), groups.end(), [&](const Group& g) { return g.name == name; });
    if (it == groups.end()) {
      const QString method = QString::fromStdString(run.row.method);
      groups.push_back({name, grouping == Grouping::Method ? methodColour(method) : colourOfRun(run.row), {}, {}});
      it = groups.end() - 1;
    }
    it->runs.push_back(points);
  }
  const int job = ++m_groupJob;
  auto* watcher = new QFutureWatcher<std::vector<Group>>(this);
  connect(watcher, &QFutureWatcher<std::vector<Group>>::finished, this, [this, watcher, job] {
    watcher->deleteLater();
    if (job != m_groupJob || m_grouping->currentIndex() == 0) return;
    QStringList shown;
    int order = 0;
    for (const Group& group : watcher->result()) {
      CurveStyle style;
      style.colour = group.colour;
      style.order = order++;
      const QString id = QStringLiteral("group/") + group.name;
      shown << id;
      m_plot->setCurve(id, QStringLiteral("%1 (n = %2)").arg(group.name).arg(group.runs.size()), style, group.mean);
    }
    for (const QString& id : m_plot->curveIds())
      if (!shown.contains(id)) m_plot->removeCurve(id);
  });
  watcher->setFuture(QtConcurrent::run([groups = std::move(groups), axis = m_plot->xAxis()]() mutable {
    for (Group& group : groups) {
      std::vector<const CurvePoints*> runs;
      for (const auto& points : group.runs) runs.push_back(points.get());
      group.mean = meanCurve(runs, axis);
    }
    return groups;
  }));
}

void CurvesTab::highlight(const QString& runId) { m_plot->setHighlighted(m_plot->hasCurve(runId) ? runId : QString()); }

QJsonObject CurvesTab::saveState() const {
  return {{QStringLiteral("series"), m_wanted},
          {QStringLiteral("grouping"), m_grouping->currentIndex()},
          {QStringLiteral("slider"), m_smoothing->value()},
          {QStringLiteral("axis"), m_axis->currentIndex()},
          {QStringLiteral("logX"), m_logX->isChecked()},
          {QStringLiteral("logY"), m_logY->isChecked()},
          {QStringLiteral("clip"), m_clip->isChecked()}};
}

void CurvesTab::restoreState(const QJsonObject& state) {
  if (state.isEmpty()) return;
  m_wanted = state.value(QStringLiteral("series")).toString(m_wanted);
  m_series->setCurrentText(m_wanted);
  m_axis->setCurrentIndex(std::clamp(state.value(QStringLiteral("axis")).toInt(), 0, 3));
  m_smoothing->setValue(state.value(QStringLiteral("slider")).toInt(15));
  m_logX->setChecked(state.value(QStringLiteral("logX")).toBool());
  m_logY->setChecked(state.value(QStringLiteral("logY")).toBool());
  m_clip->setChecked(state.value(QStringLiteral("clip")).toBool());
  m_grouping->setCurrentIndex(std::clamp(state.value(QStringLiteral("grouping")).toInt(), 0, m_grouping->count() - 1));
}

}  // namespace rankscope::ui
