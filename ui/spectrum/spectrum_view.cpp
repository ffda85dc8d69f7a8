#include "ui/spectrum/spectrum_view.h"

#include <QComboBox>
#include <QJsonArray>
#include <QDoubleSpinBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QProgressBar>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSlider>
#include <QSpinBox>
#include <QSplitter>
#include <QVBoxLayout>

#include "core/store/store.h"
#include "ui/live/run_chooser.h"
#include "ui/plots/heatmap.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/spectrum/matrix_panel.h"
#include "ui/spectrum/spectrum_job.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr double kDefaultEps = 0.5;
constexpr int kDefaultK = 10;

qint64 stepOf(const std::filesystem::path& file) {
  return QString::fromStdString(file.stem().string()).section('-', -1).toLongLong();
}

}  // namespace

SpectrumView::SpectrumView(ViewContext& context, QWidget* parent) : View(context, parent) {
  setObjectName("spectrumView");
  m_job = new SpectrumJob(&store(), &trainer(), this);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(space::kWide, space::kUnit, space::kWide, space::kUnit);
  column->setSpacing(space::kUnit);
  buildBar(column);

  auto* left = new QWidget;
  auto* leftColumn = new QVBoxLayout(left);
  leftColumn->setContentsMargins(0, 0, space::kUnit, 0);
  leftColumn->setSpacing(space::kHalf);
  m_grid = new Heatmap;
  m_grid->setObjectName("siteGrid");
  m_grid->setTitle(tr("Layers × matrices"));
  m_grid->setAxisTitles(tr("matrix"), tr("layer"));
  m_grid->setMinimumWidth(260);
  m_readout = new QLabel(QStringLiteral(" "));
  m_readout->setObjectName("gridReadout");
  m_readout->setFont(Theme::tabular(Theme::instance().smallFont()));
  makeCaption(m_readout);
  leftColumn->addWidget(m_grid, 1);
  leftColumn->addWidget(m_readout);
  m_matrix = new MatrixPanel;
  m_split = new QSplitter(Qt::Horizontal);
  m_split->setChildrenCollapsible(false);
  m_split->addWidget(left);
  m_split->addWidget(m_matrix);
  m_split->setStretchFactor(0, 1);
  m_split->setStretchFactor(1, 3);
  m_split->setSizes({380, 900});
  column->addWidget(m_split, 1);

  connect(m_grid, &Heatmap::cellClicked, this, [this](int row, int index) { chooseSite(m_figures.siteAt(row, index)); });
  connect(m_grid, &Heatmap::cellHovered, this, [this](int row, int index, float value) {
    if (!m_spectrum || row >= m_figures.rows() || index >= m_figures.columns()) return;
    const int site = m_figures.siteAt(row, index);
    m_readout->setText(site < 0 ? tr("not changed by this run")
                                : QStringLiteral("%1: %2").arg(QString::fromStdString(m_spectrum->sites[size_t(site)].site),
                                                               formatNumber(double(value), 4)));
  });
  connect(m_grid, &Heatmap::left, this, [this] { m_readout->setText(QStringLiteral(" ")); });
  connect(m_job, &SpectrumJob::changed, this, &SpectrumView::showState);
  connect(m_job, &SpectrumJob::finished, this, [this] {
    m_problem.clear();
    listSteps();
    showState();
  });
  connect(m_job, &SpectrumJob::failed, this, [this](const QString& message) {
    m_problem = message;
    showState();
  });
  connect(m_job, &SpectrumJob::cancelled, this, [this] {
    m_problem = tr("Cancelled; nothing was changed.");
    showState();
  });
  connect(&selection(), &RunSelection::changed, this, [this] {
    if (isVisible()) setRun(selection().current());
  });
  connect(m_runs, &RunChooser::chosen, this, [this](const QString& id) { selection().set({id}); setRun(id); });
  connect(m_runs, &RunChooser::reloaded, this, [this] {
    if (m_run.isEmpty() && m_runs->count() > 0) setRun(m_runs->itemData(0, RunChooser::IdRole).toString());
    showState();
  });
  addViewAction(tr("Compute spectrum"), "view-spectrum", QKeySequence("F5"), [this] { compute(); });
  showState();
}

void SpectrumView::buildBar(QBoxLayout* column) {
  auto* row = new QHBoxLayout;
  row->setSpacing(space::kUnit);
  const auto captioned = [row](const QString& text, QWidget* of) {
    auto* label = new QLabel(text);
    makeCaption(label);
    label->setBuddy(of);
    row->addWidget(label);
    row->addWidget(of);
  };
  m_runs = new RunChooser(&store());
  captioned(tr("Run"), m_runs);
  m_steps = new QComboBox;
  m_steps->setObjectName("spectrumStep");
  m_steps->setAccessibleName(tr("Step"));
  m_steps->setMinimumWidth(88);
  captioned(tr("Step"), m_steps);
  m_compute = new QPushButton(tr("Compute spectrum"));
  m_compute->setObjectName("computeSpectrum");
  row->addWidget(m_compute);
  m_progress = new QProgressBar;
  m_progress->setAccessibleName(tr("Progress of the computation"));
  m_progress->setFixedWidth(140);
  m_progress->setTextVisible(false);
  m_progress->setFixedHeight(6);
  row->addWidget(m_progress);
  m_state = new QLabel;
  m_state->setObjectName("spectrumState");
  makeCaption(m_state);
  m_state->setMinimumWidth(60);
  m_state->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  row->addWidget(m_state, 1);
  column->addLayout(row);

  row = new QHBoxLayout;
  row->setSpacing(space::kUnit);
  const auto captioned2 = [row](const QString& text, QWidget* of) {
    auto* label = new QLabel(text);
    makeCaption(label);
    label->setBuddy(of);
    row->addWidget(label);
    row->addWidget(of);
  };
  m_measure = new QComboBox;
  m_measure->setObjectName("measure");
  m_measure->setAccessibleName(tr("Colour of the grid"));
  for (auto measure : {SpectrumMeasure::Intruders, SpectrumMeasure::EffectiveRank, SpectrumMeasure::StableRank,
                       SpectrumMeasure::RelativeUpdate, SpectrumMeasure::Balance, SpectrumMeasure::LargestChange}) {
    m_measure->addItem(measureTitle(measure), static_cast<int>(measure));
  }
  captioned2(tr("Colour by"), m_measure);
  m_eps = new QDoubleSpinBox;
  m_eps->setObjectName("eps");
  m_eps->setAccessibleName(tr("Threshold ε"));
  m_eps->setToolTip(tr("A leading vector of W counts as an intruder when its largest |cos| with any vector of W₀ is below ε"));
  m_eps->setRange(0, 1);
  m_eps->setDecimals(2);
  m_eps->setSingleStep(0.05);
  m_eps->setValue(kDefaultEps);
  m_epsSlider = new QSlider(Qt::Horizontal);
  m_epsSlider->setObjectName("epsSlider");
  m_epsSlider->setAccessibleName(tr("Threshold ε, slider"));
  m_epsSlider->setRange(0, 100);
  m_epsSlider->setValue(static_cast<int>(kDefaultEps * 100));
  m_epsSlider->setFixedWidth(160);
  captioned2(QStringLiteral("ε"), m_eps);
  row->addWidget(m_epsSlider);
  m_k = new QSpinBox;
  m_k->setObjectName("k");
  m_k->setAccessibleName(tr("Leading vectors k"));
  m_k->setToolTip(tr("Intruders are counted among this many leading vectors of W"));
  m_k->setRange(1, 64);
  m_k->setValue(kDefaultK);
  captioned2(QStringLiteral("k"), m_k);
  row->addStretch(1);
  column->addLayout(row);

  connect(m_steps, &QComboBox::activated, this, &SpectrumView::loadStep);
  connect(m_measure, &QComboBox::activated, this, &SpectrumView::showGrid);
  const auto changed = [this] {
    showGrid();
    m_matrix->setThreshold(m_eps->value(), m_k->value());
  };
  connect(m_eps, &QDoubleSpinBox::valueChanged, this, [this, changed](double value) {
    const QSignalBlocker quiet(m_epsSlider);
    m_epsSlider->setValue(static_cast<int>(std::lround(value * 100)));
    changed();
  });
  connect(m_epsSlider, &QSlider::valueChanged, this, [this](int value) { m_eps->setValue(value / 100.0); });
  connect(m_k, &QSpinBox::valueChanged, this, changed);
  connect(m_compute, &QPushButton::clicked, this, [this] { m_job->active() ? m_job->cancel() : compute(); });
}

void SpectrumView::onActivated() {
  if (const auto id = selection().current(); !id.isEmpty() && id != m_run) {
    setRun(id);
  } else if (!m_run.isEmpty()) {
    listSteps();  // a spectrum may have been computed meanwhile
  }
}

void SpectrumView::open(const QJsonObject& request) {
  if (const auto id = request.value("run").toString(); !id.isEmpty()) setRun(id);
}

void SpectrumView::setRun(const QString& id) {
  if (id.isEmpty() || id == m_run) return;
  m_run = id;
  m_problem.clear();
  m_job->follow(id);
  m_runs->choose(id);
  m_files.clear();
  m_spectrum.reset();
  m_steps->clear();
  m_grid->clear();
  m_matrix->clear({});
  listSteps();
  showState();
}

void SpectrumView::listSteps() {
  const auto folder = store().runFolder(m_run);
  store().read(
      this, "steps", [folder](Store&) { return listSpectra(folder); },
      [this](Result<std::vector<std::filesystem::path>> files) {
        if (!files.ok()) return;
        const bool grown = *files != m_files;
        m_files = *files;
        const QSignalBlocker quiet(m_steps);
        m_steps->clear();
        for (const auto& file : m_files) m_steps->addItem(formatInteger(stepOf(file)), QString::fromStdString(file.string()));
        m_steps->setCurrentIndex(m_steps->count() - 1);
        if (grown || !m_spectrum) loadStep();
        showState();
      });
}

void SpectrumView::loadStep() {
  const auto file = m_steps->currentData().toString();
  if (file.isEmpty()) {
    m_spectrum.reset();
    showGrid();
    return;
  }
  m_wantedFile = file;
  store().read(
      this, "spectrum",
      [path = std::filesystem::path(file.toStdString())](Store&) -> Result<std::shared_ptr<const RunSpectrum>> {
        auto read = readSpectrum(path);
        if (!read.ok()) return read.error();
        return std::make_shared<const RunSpectrum>(std::move(*read));
      },
      [this](Result<std::shared_ptr<const RunSpectrum>> read) {
        if (!read.ok()) {
          m_problem = QString::fromStdString(read.error().message());
          m_spectrum.reset();
        } else {
          m_spectrum = *read;
          int64_t most = 1;
          for (const auto& site : m_spectrum->sites) most = std::max(most, static_cast<int64_t>(site.maxCos.size()));
          m_k->setMaximum(static_cast<int>(most));
        }
        showGrid();
        if (m_spectrum && !m_spectrum->sites.empty()) {
          // The matrix that was open, else the one the run changed most.
          const auto& sites = m_spectrum->sites;
          const auto weight = [this](const SiteSpectrum& site) {
            return std::pair(site.intruders(m_eps->value(), m_k->value()), site.relativeUpdate);
          };
          auto at = std::find_if(sites.begin(), sites.end(), [this](const SiteSpectrum& site) {
            return QString::fromStdString(site.site) == m_site;
          });
          if (at == sites.end()) {
            at = std::max_element(sites.begin(), sites.end(),
                                  [&](const SiteSpectrum& a, const SiteSpectrum& b) { return weight(a) < weight(b); });
          }
          chooseSite(static_cast<int>(at - sites.begin()));
        }
        showState();
      });
}

void SpectrumView::showGrid() {
  if (!m_spectrum || m_spectrum->sites.empty()) {
    m_grid->clear();
    return;
  }
  const auto measure = static_cast<SpectrumMeasure>(m_measure->currentData().toInt());
  m_figures = spectrumGrid(*m_spectrum, measure, m_eps->value(), m_k->value());
  m_grid->setValueTitle(measureTitle(measure));
  m_grid->setDecimals(measure == SpectrumMeasure::Intruders ? 0 : 3);
  m_grid->setColourMap(ColourMap::Viridis);
  m_grid->setRowLabels(m_figures.layers);
  m_grid->setColumnLabels(m_figures.kinds);
  m_grid->setValues(m_figures.rows(), m_figures.columns(), m_figures.values);
  if (measure == SpectrumMeasure::Intruders) {
    // A scale of whole counts from zero: no intruder is always the same dark colour.
    float most = 1;
    for (float value : m_figures.values) most = std::isfinite(value) ? std::max(most, value) : most;
    m_grid->setRange(0, 4 * std::ceil(double(most) / 4));  // its scale has ticks at quarters: whole numbers
  } else {
    m_grid->setAutoRange();
  }
  for (int row = 0; row < m_figures.rows(); ++row) {
    for (int at = 0; at < m_figures.columns(); ++at) {
      const int site = m_figures.siteAt(row, at);
      if (site >= 0 && QString::fromStdString(m_spectrum->sites[size_t(site)].site) == m_site) m_grid->setSelected(row, at);
    }
  }
}

void SpectrumView::chooseSite(int index) {
  if (!m_spectrum || index < 0 || index >= static_cast<int>(m_spectrum->sites.size())) return;
  const auto& site = m_spectrum->sites[static_cast<size_t>(index)];
  m_site = QString::fromStdString(site.site);
  m_matrix->setSite(site, m_eps->value(), m_k->value());
  for (int row = 0; row < m_figures.rows(); ++row) {
    for (int at = 0; at < m_figures.columns(); ++at) {
      if (m_figures.siteAt(row, at) == index) m_grid->setSelected(row, at);
    }
  }
}

void SpectrumView::compute() {
  if (m_run.isEmpty() || m_job->active()) return;
  m_problem.clear();
  m_job->start();
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
  if (running) {
    const double share = m_job->job() ? m_job->job()->progress : -1;
    m_progress->setRange(0, share >= 0 ? 1000 : 0);
    m_progress->setValue(static_cast<int>(std::max(0.0, share) * 1000));
    m_state->setText(jobText());
    m_state->setToolTip(tr("The job goes on when this window is closed; see the queue (Ctrl+Shift+Q)."));
    m_problem.clear();
  }
  m_progress->setVisible(running);
  m_compute->setText(running ? tr("Cancel") : m_spectrum ? tr("Compute again") : tr("Compute spectrum"));
  m_compute->setEnabled(running || !m_run.isEmpty());
  m_compute->setToolTip(m_run.isEmpty() ? tr("Choose a run first")
                                        : tr("Compares the singular vectors of every changed matrix with the base model's"));
  m_steps->setEnabled(m_steps->count() > 0);
  m_state->setStyleSheet(m_problem.isEmpty() ? QString() : "color:" + ui::palette().danger.name());
  if (!running) {
    if (!m_problem.isEmpty()) {
      m_state->setText(m_problem);
    } else if (m_spectrum) {
      m_state->setText(tr("%n adapted site(s), computed in %1", nullptr, static_cast<int>(m_spectrum->sites.size()))
                           .arg(formatDuration(m_spectrum->seconds)));
    } else {
      m_state->clear();
    }
    m_state->setToolTip(m_problem);
  }
  if (m_run.isEmpty()) {
    m_grid->setEmptyText(m_runs->isEmpty() ? tr("No run yet. Start one in New run; its spectrum can be computed when it is done.")
                                           : tr("Choose a run above."));
  } else if (!m_spectrum) {
    m_grid->setEmptyText(running ? tr("Computing…")
                                 : tr("No spectrum of this run yet. Press Compute spectrum: a few seconds for a small model."));
  }
}

QJsonObject SpectrumView::saveState() const {
  QJsonArray sizes;
  for (int size : m_split->sizes()) sizes << size;
  return {{"run", m_run}, {"measure", m_measure->currentIndex()}, {"eps", m_eps->value()}, {"k", m_k->value()}, {"split", sizes}};
}

void SpectrumView::restoreState(const QJsonObject& state) {
  m_measure->setCurrentIndex(std::clamp(state.value("measure").toInt(), 0, m_measure->count() - 1));
  m_eps->setValue(state.value("eps").toDouble(kDefaultEps));
  m_k->setValue(state.value("k").toInt(kDefaultK));
  QList<int> sizes;
  for (const auto& size : state.value("split").toArray()) sizes << size.toInt();
  if (sizes.size() == 2 && sizes[0] > 0 && sizes[1] > 0) m_split->setSizes(sizes);
  if (const auto run = state.value("run").toString(); !run.isEmpty() && m_run.isEmpty()) setRun(run);
}

}  // namespace rankscope::ui
