#include "ui/spectrum/spectrum_view.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QJsonArray>
#include <QLabel>
#include <QLocale>
#include <QMessageBox>
#include <QProgressBar>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSlider>
#include <QSplitter>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>
#include <cmath>

#include "core/config/cache_care.h"
#include "core/config/places.h"
#include "core/store/store.h"
#include "ui/live/run_chooser.h"
#include "ui/plots/heatmap.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/spectrum/matrix_panel.h"
#include "ui/spectrum/mitigation_panel.h"
#include "ui/spectrum/run_job.h"
#include "ui/spectrum/run_spectra.h"
#include "ui/spectrum/spectrum_bar.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kChooserWidth = 190;

QHBoxLayout* newRow(QBoxLayout* column) {
  auto* row = new QHBoxLayout;
  row->setSpacing(space::kUnit);
  column->addLayout(row);
  return row;
}

QLabel* caption(const QString& text, QWidget* of) {
  auto* label = new QLabel(text);
  makeCaption(label);
  label->setBuddy(of);
  return label;
}

}  // namespace

SpectrumView::SpectrumView(ViewContext& context, QWidget* parent) : View(context, parent) {
  setObjectName("spectrumView");
  m_job = new RunJob("spectrum", &store(), &trainer(), this);
  m_spectra = new RunSpectra(&store(), this);
  m_spectra->setObjectName("this");
  m_otherSpectra = new RunSpectra(&store(), this);
  m_otherSpectra->setObjectName("other");
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(space::kWide, space::kUnit, space::kWide, space::kUnit);
  column->setSpacing(space::kUnit);
  buildRuns(column);
  m_bar = new SpectrumBar;
  column->addWidget(m_bar);
  buildBody(column);

  connect(m_spectra, &RunSpectra::changed, this, &SpectrumView::takeSpectra);
  connect(m_otherSpectra, &RunSpectra::changed, this, [this] {
    showGrid();
    showMatrix();
    showState();
  });
  for (RunSpectra* spectra : {m_spectra, m_otherSpectra})
    connect(spectra, &RunSpectra::failed, this, [this](const QString& message) {
      m_problem = message;
      showState();
    });
  connect(m_bar, &SpectrumBar::changed, this, [this] {
    showGrid();
    m_matrix->setRule(m_bar->rule());
    m_otherMatrix->setRule(m_bar->rule());
  });
  connect(m_job, &RunJob::changed, this, &SpectrumView::showState);
  connect(m_job, &RunJob::finished, this, [this] {
    m_problem.clear();
    m_atEnd = true;
    m_spectra->refresh();
    showState();
  });
  connect(m_job, &RunJob::failed, this, [this](const QString& message) {
    m_problem = message;
    showState();
  });
  connect(m_job, &RunJob::cancelled, this, [this] {
    m_problem = tr("Cancelled; nothing was changed.");
    showState();
  });
  connect(&selection(), &RunSelection::changed, this, [this] {
    if (isVisible()) setRun(selection().current());
  });
  connect(m_runs, &RunChooser::chosen, this, [this](const QString& id) { selection().set({id}); setRun(id); });
  connect(m_runs, &RunChooser::reloaded, this, [this] {
    if (m_spectra->run().isEmpty() && m_runs->count() > 0) setRun(m_runs->itemData(0, RunChooser::IdRole).toString());
    showState();
  });
  addViewAction(tr("Compute spectrum"), "view-spectrum", QKeySequence("F5"), [this] { compute(); });
  addViewAction(tr("Earlier step"), "left", QKeySequence("Alt+Left"), [this] { m_scrubber->setValue(m_scrubber->value() - 1); });
  addViewAction(tr("Later step"), "right", QKeySequence("Alt+Right"), [this] { m_scrubber->setValue(m_scrubber->value() + 1); });
  addViewAction(tr("Clear base spectra…"), "delete", {}, [this] { offerToClear(); });
  showState();
}

// W0's decompositions are kept for every later look; they can be made again.
void SpectrumView::offerToClear() {
  const auto cache = places().cache;
  store().read(
      this, "cache", [cache](Store&) { return cacheShares(cache); },
      [this, cache](Result<std::vector<CacheShare>> shares) {
        if (!shares.ok()) return;
        const auto svd = std::find_if(shares->begin(), shares->end(), [](const CacheShare& share) { return share.name == "svd"; });
        auto* box = new QMessageBox(QMessageBox::Question, tr("Base spectra"),
                                    tr("Kept decomposed: %n base weight(s), %1 in all.", nullptr, static_cast<int>(svd->entries))
                                        .arg(formatBytes(static_cast<double>(svd->bytes))),
                                    QMessageBox::Cancel, this);
        box->setObjectName("clearBaseSpectra");
        box->setInformativeText(tr("Without them the next look at a run of the same model decomposes them again. Runs and their spectra stay."));
        box->setAttribute(Qt::WA_DeleteOnClose);
        auto* remove = box->addButton(tr("Remove"), QMessageBox::DestructiveRole);
        remove->setEnabled(svd->entries > 0);
        connect(remove, &QPushButton::clicked, this, [this, cache] {
          store().read(this, "clear", [cache](Store&) { return clearCache(cache, "svd"); }, [this](Result<int64_t> freed) {
            if (!freed.ok()) m_problem = QString::fromStdString(freed.error().message());
            Q_EMIT statusMessage(freed.ok() ? tr("Freed %1").arg(formatBytes(static_cast<double>(*freed))) : m_problem);
            showState();
          });
        });
        box->open();
      });
}

void SpectrumView::buildRuns(QBoxLayout* column) {
  auto* row = newRow(column);
  m_runs = new RunChooser(&store());
  m_others = new RunChooser(&store());
  m_others->setObjectName("otherRun");
  m_others->setAccessibleName(tr("Other run"));
  m_others->hide();
  for (RunChooser* chooser : {m_runs, m_others}) {
    chooser->setMinimumWidth(kChooserWidth);
    chooser->setMinimumContentsLength(20);
  }
  m_compare = new QToolButton;
  m_compare->setObjectName("compareRuns");
  m_compare->setText(tr("Compare with"));
  m_compare->setCheckable(true);
  m_compare->setToolTip(tr("Lay a second run beside this one, at the step next to this one's"));
  row->addWidget(caption(tr("Run"), m_runs));
  row->addWidget(m_runs, 1);
  row->addWidget(m_compare);
  row->addWidget(m_others, 1);
  m_compute = new QPushButton(tr("Compute spectrum"));
  m_compute->setObjectName("computeSpectrum");
  row->addWidget(m_compute);
  m_progress = new QProgressBar;
  m_progress->setAccessibleName(tr("Progress of the computation"));
  m_progress->setFixedWidth(100);
  m_progress->setTextVisible(false);
  m_progress->setFixedHeight(6);
  row->addWidget(m_progress);
  m_state = new QLabel;
  m_state->setObjectName("spectrumState");
  makeCaption(m_state);
  m_state->setMinimumWidth(60);
  m_state->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  row->addWidget(m_state, 2);

  row = newRow(column);
  m_steps = new QComboBox;
  m_steps->setObjectName("spectrumStep");
  m_steps->setAccessibleName(tr("Step"));
  m_steps->setMinimumWidth(88);
  m_scrubber = new QSlider(Qt::Horizontal);
  m_scrubber->setObjectName("stepScrubber");
  m_scrubber->setAccessibleName(tr("Step, slider"));
  m_scrubber->setToolTip(tr("Drag through training: the grid, the matrix and both runs follow (Alt+Left, Alt+Right)"));
  m_scrubber->setPageStep(5);
  m_total = new QLabel;
  m_total->setObjectName("spectrumTotal");
  m_total->setFont(Theme::tabular(m_total->font()));
  m_mitigate = new QToolButton;
  m_mitigate->setObjectName("showMitigation");
  m_mitigate->setText(tr("Mitigation"));
  m_mitigate->setCheckable(true);
  m_mitigate->setToolTip(tr("Scale the intruder dimensions down and see what it does to the task and to what the base model knew"));
  row->addWidget(caption(tr("Step"), m_steps));
  row->addWidget(m_steps);
  row->addWidget(m_scrubber, 1);
  row->addWidget(m_total);
  row->addWidget(m_mitigate);

  connect(m_compare, &QToolButton::toggled, this, [this](bool on) {
    m_others->setVisible(on);
    if (!on) compareWith({});
    else m_others->setFocus();
  });
  connect(m_others, &RunChooser::chosen, this, &SpectrumView::compareWith);
  connect(m_compute, &QPushButton::clicked, this, [this] { m_job->active() ? m_job->cancel() : compute(); });
  connect(m_steps, &QComboBox::activated, this, &SpectrumView::showStep);
  connect(m_scrubber, &QSlider::valueChanged, this, &SpectrumView::showStep);
}

void SpectrumView::buildBody(QBoxLayout* column) {
  auto* left = new QWidget;
  auto* leftColumn = new QVBoxLayout(left);
  leftColumn->setContentsMargins(0, 0, space::kUnit, 0);
  leftColumn->setSpacing(space::kHalf);
  m_grid = new Heatmap;
  m_grid->setObjectName("siteGrid");
  m_grid->setTitle(tr("Layers × matrices"));
  m_grid->setAxisTitles(tr("matrix"), tr("layer"));
  m_grid->setMinimumWidth(230);
  m_readout = new QLabel(QStringLiteral(" "));
  m_readout->setObjectName("gridReadout");
  m_readout->setFont(Theme::tabular(Theme::instance().smallFont()));
  m_readout->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  makeCaption(m_readout);
  leftColumn->addWidget(m_grid, 1);
  leftColumn->addWidget(m_readout);
  m_matrix = new MatrixPanel;
  m_otherMatrix = new MatrixPanel;
  m_otherMatrix->setObjectName("otherMatrixPanel");
  m_otherMatrix->hide();
  m_split = new QSplitter(Qt::Horizontal);
  m_split->setChildrenCollapsible(false);
  m_split->addWidget(left);
  m_split->addWidget(m_matrix);
  m_split->addWidget(m_otherMatrix);
  m_split->setStretchFactor(0, 1);
  m_split->setStretchFactor(1, 3);
  m_split->setStretchFactor(2, 3);
  m_split->setSizes({340, 900, 900});
  column->addWidget(m_split, 1);
  m_mitigation = new MitigationPanel(&store(), &trainer());
  m_mitigation->hide();
  column->addWidget(m_mitigation);
  connect(m_mitigate, &QToolButton::toggled, m_mitigation, &QWidget::setVisible);

  connect(m_grid, &Heatmap::cellClicked, this, [this](int row, int index) { chooseSite(m_figures.siteAt(row, index)); });
  connect(m_grid, &Heatmap::cellHovered, this, [this](int row, int index, float value) {
    if (row >= m_figures.rows() || index >= m_figures.columns()) return;
    const int site = m_figures.siteAt(row, index);
    const RunSpectrum* of = m_bar->shown() == SpectrumBar::Shown::Other ? other() : current();
    if (!of) return;
    m_readout->setText(site < 0 ? tr("not changed by this run")
                                : QStringLiteral("%1: %2").arg(QString::fromStdString(of->sites[size_t(site)].site), formatNumber(double(value), 4)));
  });
  connect(m_grid, &Heatmap::left, this, [this] { m_readout->setText(QStringLiteral(" ")); });
}

void SpectrumView::onActivated() {
  if (const auto id = selection().current(); !id.isEmpty() && id != m_spectra->run()) setRun(id);
  for (RunSpectra* spectra : {m_spectra, m_otherSpectra}) {
    spectra->refresh();
    spectra->watch(true);
  }
}

void SpectrumView::onDeactivated() {
  m_spectra->watch(false);
  m_otherSpectra->watch(false);
}

void SpectrumView::open(const QJsonObject& request) {
  if (const auto id = request.value("run").toString(); !id.isEmpty()) setRun(id);
  if (const auto id = request.value("against").toString(); !id.isEmpty()) {
    m_compare->setChecked(true);
    m_others->choose(id);
    compareWith(id);
  }
}

void SpectrumView::setRun(const QString& id) {
  if (id.isEmpty() || id == m_spectra->run()) return;
  m_problem.clear();
  m_job->follow(id);
  m_mitigation->setRun(id);
  m_runs->choose(id);
  m_index = -1;
  m_atEnd = true;
  m_grid->clear();
  m_matrix->clear({});
  m_spectra->setRun(id);
  showState();
}

void SpectrumView::compareWith(const QString& id) {
  m_otherSpectra->setRun(id);
  m_bar->setComparing(!id.isEmpty());
  m_otherMatrix->setVisible(!id.isEmpty());
  if (id.isEmpty()) m_others->choose({});
  m_matrix->setHeading(id.isEmpty() ? QString() : m_runs->runName());
  m_otherMatrix->setHeading(m_others->runName());
  showGrid();
  showMatrix();
  showState();
}

const RunSpectrum* SpectrumView::current() const {
  return m_index >= 0 && m_index < static_cast<int>(m_spectra->all().size()) ? m_spectra->all()[static_cast<size_t>(m_index)].get() : nullptr;
}

const RunSpectrum* SpectrumView::other() const {
  const RunSpectrum* mine = current();
  const int at = mine ? m_otherSpectra->indexNear(mine->step) : -1;
  return at >= 0 ? m_otherSpectra->all()[static_cast<size_t>(at)].get() : nullptr;
}

// More steps may have come: who stood at the last one stays there, who looked at an earlier one keeps looking at it.
void SpectrumView::takeSpectra() {
  const auto& all = m_spectra->all();
  const qint64 step = current() ? current()->step : m_steps->currentData().toLongLong();
  const QSignalBlocker quiet(m_steps), quietToo(m_scrubber);
  m_steps->clear();
  int64_t most = 1;
  for (const auto& one : all) {
    m_steps->addItem(formatInteger(one->step), qlonglong(one->step));
    for (const auto& site : one->sites) most = std::max(most, static_cast<int64_t>(site.maxCos.size()));
  }
  if (!all.empty()) m_bar->setMostVectors(most);
  const int last = static_cast<int>(all.size()) - 1;
  m_scrubber->setRange(0, std::max(0, last));
  m_index = -1;
  showStep(m_atEnd ? last : m_spectra->indexNear(step));
}

void SpectrumView::showStep(int index) {
  const int last = static_cast<int>(m_spectra->all().size()) - 1;
  m_index = std::clamp(index, -1, last);
  m_atEnd = m_index == last;
  const QSignalBlocker quiet(m_steps), quietToo(m_scrubber);
  m_steps->setCurrentIndex(m_index);
  m_scrubber->setValue(std::max(0, m_index));
  if (current() && !siteNamed(*current(), m_site.toStdString())) chooseDefaultSite();
  showGrid();
  showMatrix();
  showState();
}

// The matrix the run changed most.
void SpectrumView::chooseDefaultSite() {
  const auto rule = m_bar->rule();
  const auto weight = [&](const SiteSpectrum& site) { return std::pair(intruderCount(site, rule), site.relativeUpdate); };
  const auto& sites = current()->sites;
  if (sites.empty()) return;
  m_site = QString::fromStdString(std::max_element(sites.begin(), sites.end(), [&](const SiteSpectrum& a, const SiteSpectrum& b) {
                                    return weight(a) < weight(b);
                                  })->site);
}

void SpectrumView::showGrid() {
  const auto measure = m_bar->measure();
  const auto rule = m_bar->rule();
  const auto shown = m_bar->shown();
  const RunSpectrum *mine = current(), *theirs = other();
  const RunSpectrum* of = shown == SpectrumBar::Shown::Other ? theirs : mine;
  const bool difference = shown == SpectrumBar::Shown::Difference;
  const QLocale locale;
  m_total->setText(!mine           ? QString()
                   : theirs != nullptr ? tr("%1 and %2 intruders").arg(locale.toString(qlonglong(intruderCount(*mine, rule))),
                                                               locale.toString(qlonglong(intruderCount(*theirs, rule))))
                                   : tr("%n intruder(s)", nullptr, static_cast<int>(intruderCount(*mine, rule))));
  if (!of || of->sites.empty() || (difference && !theirs)) {
    m_figures = {};
    m_grid->clear();
    return;
  }
  m_figures = spectrumGrid(*of, measure, rule);
  if (difference) subtract(m_figures, *mine, *theirs, measure, rule);
  const bool counts = measure == SpectrumMeasure::Intruders;
  m_grid->setValueTitle(difference ? tr("%1: this run − other run").arg(measureTitle(measure)) : measureTitle(measure));
  m_grid->setDecimals(counts ? 0 : 3);
  m_grid->setColourMap(difference ? ColourMap::Diverging : ColourMap::Viridis);
  m_grid->setRowLabels(m_figures.layers);
  m_grid->setColumnLabels(m_figures.kinds);
  m_grid->setValues(m_figures.rows(), m_figures.columns(), m_figures.values);
  if (counts) {
    // A scale of whole counts from zero: no intruder is always the same dark colour.
    float most = 1;
    for (float value : m_figures.values) most = std::isfinite(value) ? std::max(most, std::abs(value)) : most;
    const double upper = 4 * std::ceil(static_cast<double>(most) / 4);  // its scale has ticks at quarters: whole numbers
    m_grid->setRange(difference ? -upper : 0, upper);
  } else {
    m_grid->setAutoRange();
  }
  for (int row = 0; row < m_figures.rows(); ++row) {
    for (int at = 0; at < m_figures.columns(); ++at) {
      const int site = m_figures.siteAt(row, at);
      if (site >= 0 && QString::fromStdString(of->sites[size_t(site)].site) == m_site) m_grid->setSelected(row, at);
    }
  }
}

void SpectrumView::showMatrix() {
  const auto show = [this](MatrixPanel* panel, const RunSpectrum* spectrum, const RunSpectra* of) {
    const SiteSpectrum* site = spectrum ? siteNamed(*spectrum, m_site.toStdString()) : nullptr;
    if (site) panel->setSite(*site, of->all(), spectrum->step, m_bar->rule());
    else panel->clear(spectrum ? tr("%1 is not changed by this run").arg(m_site) : QString());
  };
  show(m_matrix, current(), m_spectra);
  if (!m_otherSpectra->run().isEmpty()) show(m_otherMatrix, other(), m_otherSpectra);
}

void SpectrumView::chooseSite(int cell) {
  const RunSpectrum* of = m_bar->shown() == SpectrumBar::Shown::Other ? other() : current();
  if (!of || cell < 0 || cell >= static_cast<int>(of->sites.size())) return;
  m_site = QString::fromStdString(of->sites[static_cast<size_t>(cell)].site);
  showGrid();
  showMatrix();
}

void SpectrumView::compute() {
  if (m_spectra->run().isEmpty() || m_job->active()) return;
  m_problem.clear();
  m_job->start({"--checkpoint", "all"});
}

QString SpectrumView::jobText() const {
  if (!m_job->job() || m_job->job()->state == JobState::Queued) return tr("Waits for its turn in the queue…");
  if (m_job->job()->state == JobState::Held) return tr("Held in the queue. Release it there (Ctrl+Shift+Q).");
  if (m_job->job()->cancelRequested) return tr("Stopping…");
  const auto& detail = m_job->job()->detail;
  return detail.empty() ? tr("Reading the weights…") : QString::fromStdString(detail);
}

void SpectrumView::showState() {
  const bool running = m_job->active();
  const RunSpectrum* spectrum = current();
  if (running) {
    m_state->setText(jobText());
    m_state->setToolTip(tr("The job goes on when this window is closed; see the queue (Ctrl+Shift+Q)."));
    m_problem.clear();
  }
  m_job->showOn(m_progress);
  const QString run = m_spectra->run();
  m_compute->setText(running ? tr("Cancel") : spectrum ? tr("Compute again") : tr("Compute spectrum"));
  m_compute->setEnabled(running || !run.isEmpty());
  m_compute->setToolTip(run.isEmpty() ? tr("Choose a run first")
                                      : tr("Compares the singular vectors of every changed matrix with the base model's, at every checkpoint that is kept"));
  m_steps->setEnabled(m_steps->count() > 0);
  m_scrubber->setEnabled(m_steps->count() > 1);
  m_mitigate->setEnabled(!run.isEmpty());
  m_state->setStyleSheet(m_problem.isEmpty() ? QString() : "color:" + ui::palette().danger.name());
  if (!running) {
    if (!m_problem.isEmpty()) {
      m_state->setText(m_problem);
    } else if (spectrum && spectrum->live) {
      m_state->setText(tr("%n adapted site(s), seen while training in %1", nullptr, static_cast<int>(spectrum->sites.size()))
                           .arg(formatDuration(spectrum->seconds)));
    } else if (spectrum) {
      m_state->setText(tr("%n adapted site(s), computed in %1", nullptr, static_cast<int>(spectrum->sites.size()))
                           .arg(formatDuration(spectrum->seconds)));
    } else {
      m_state->clear();
    }
    m_state->setToolTip(m_problem);
  }
  if (run.isEmpty()) {
    m_grid->setEmptyText(m_runs->isEmpty() ? tr("No run yet. Start one in New run; its spectrum can be watched while it trains.")
                                           : tr("Choose a run above."));
  } else if (!spectrum) {
    m_grid->setEmptyText(running ? tr("Computing…")
                                 : tr("No spectrum of this run yet. Press Compute spectrum: a few seconds for a small model."));
  } else if (!m_otherSpectra->run().isEmpty() && m_otherSpectra->isEmpty()) {
    m_grid->setEmptyText(tr("No spectrum of the other run yet. Choose it as the run, and compute it."));
  }
}

QJsonObject SpectrumView::saveState() const {
  QJsonArray sizes;
  for (int size : m_split->sizes()) sizes << size;
  QJsonObject state = m_bar->saveState();
  state["run"] = m_spectra->run();
  state["against"] = m_otherSpectra->run();
  state["mitigation"] = m_mitigate->isChecked();
  state["split"] = sizes;
  return state;
}

void SpectrumView::restoreState(const QJsonObject& state) {
  m_bar->restoreState(state);
  QList<int> sizes;
  for (const auto& size : state.value("split").toArray()) sizes << size.toInt();
  if (sizes.size() == 3 && sizes[0] > 0 && sizes[1] > 0) m_split->setSizes(sizes);
  m_mitigate->setChecked(state.value("mitigation").toBool());
  if (const auto run = state.value("run").toString(); !run.isEmpty() && m_spectra->run().isEmpty())
    open({{"run", run}, {"against", state.value("against")}});
}

}  // namespace rankscope::ui
