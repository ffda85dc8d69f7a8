#include "ui/spectrum/mitigation_panel.h"

#include <QComboBox>
#include <QFileDialog>
#include <QGridLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QProgressBar>
#include <QPushButton>
#include <QSignalBlocker>
#include <QSlider>
#include <QToolButton>
#include <QVBoxLayout>
#include <algorithm>

#include "core/store/store.h"
#include "ui/plots/plot.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/spectrum/run_job.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kHeight = 210;
constexpr double kUsualLambda = 0.75;  // PEFT's

// Between the measured points, in a straight line; nothing beyond them.
std::optional<double> between(const std::vector<double>& x, const std::vector<double>& y, double at) {
  for (size_t i = 0; i < x.size(); ++i)
    if (std::abs(x[i] - at) < 1e-9) return y[i];
  for (size_t i = 0; i + 1 < x.size(); ++i)
    if (x[i] < at && at < x[i + 1]) return y[i] + (y[i + 1] - y[i]) * (at - x[i]) / (x[i + 1] - x[i]);
  return std::nullopt;
}

}  // namespace

MitigationPanel::MitigationPanel(StoreService* store, TrainerClient* trainer, QWidget* parent) : QWidget(parent), m_store(store) {
  setObjectName("mitigationPanel");
  setMaximumHeight(space::scaled(kHeight));
  m_job = new RunJob("mitigate", store, trainer, this);

  m_slider = new QSlider(Qt::Horizontal);
  m_slider->setObjectName("lambda");
  m_slider->setAccessibleName(tr("λ, the share of the intruders that stays"));
  m_slider->setToolTip(tr("1: the adapter as trained · 0: its intruder dimensions taken out"));
  m_slider->setRange(0, 100);
  m_slider->setPageStep(25);
  m_slider->setValue(static_cast<int>(kUsualLambda * 100));
  m_value = new QLabel;
  m_value->setObjectName("lambdaValue");
  m_value->setFont(Theme::tabular(m_value->font()));
  m_facts = new QLabel;
  m_facts->setObjectName("mitigationFacts");
  m_facts->setWordWrap(true);
  m_facts->setFont(Theme::tabular(m_facts->font()));
  m_facts->setTextInteractionFlags(Qt::TextSelectableByMouse);
  m_metric = new QComboBox;
  m_metric->setObjectName("mitigationMetric");
  m_metric->setAccessibleName(tr("Metric of the task"));
  m_text = new QLineEdit;
  m_text->setObjectName("mitigationText");
  m_text->setAccessibleName(tr("Text for the pseudo-loss"));
  m_text->setPlaceholderText(tr("A text file like the pre-training's: what the base model knew"));
  auto* browse = new QToolButton;
  browse->setText(QStringLiteral("…"));
  browse->setAccessibleName(tr("Choose the text file"));
  browse->setToolTip(tr("Choose the text file"));
  m_measure = new QPushButton(tr("Measure"));
  m_measure->setObjectName("measureMitigation");
  m_export = new QPushButton(tr("Export adapter…"));
  m_export->setObjectName("exportMitigated");
  m_export->setToolTip(tr("Writes the adapter at this λ as a folder that PEFT loads"));
  m_progress = new QProgressBar;
  m_progress->setAccessibleName(tr("Progress of the measurement"));
  m_progress->setTextVisible(false);
  m_progress->setFixedHeight(6);
  m_state = new QLabel;
  m_state->setObjectName("mitigationState");
  m_state->setWordWrap(true);
  makeCaption(m_state);

  auto* controls = new QVBoxLayout;
  controls->setSpacing(space::kHalf);
  auto* row = new QHBoxLayout;
  auto* name = new QLabel(QStringLiteral("λ"));
  name->setBuddy(m_slider);
  row->addWidget(name);
  row->addWidget(m_slider, 1);
  row->addWidget(m_value);
  controls->addLayout(row);
  controls->addWidget(m_facts);
  row = new QHBoxLayout;
  row->addWidget(m_text, 1);
  row->addWidget(browse);
  controls->addLayout(row);
  row = new QHBoxLayout;
  row->addWidget(m_measure);
  row->addWidget(m_export);
  row->addWidget(m_metric, 1);
  controls->addLayout(row);
  controls->addWidget(m_progress);
  controls->addWidget(m_state);
  controls->addStretch(1);
  const auto plotOf = [](const char* id, const QString& title) {
    auto* plot = new Plot;
    plot->setObjectName(id);
    plot->setTitle(title);
    plot->setXLabel(QStringLiteral("λ"));
    plot->setFollow(true);
    plot->setMinimumSize(200, 120);
    return plot;
  };
  m_taskPlot = plotOf("mitigationTask", tr("Task"));
  m_textPlot = plotOf("mitigationTextPlot", tr("Loss of the text"));
  auto* whole = new QHBoxLayout(this);
  whole->setContentsMargins(0, 0, 0, 0);
  whole->setSpacing(space::kWide);
  whole->addLayout(controls, 2);
  whole->addWidget(m_taskPlot, 3);
  whole->addWidget(m_textPlot, 3);

  connect(m_slider, &QSlider::valueChanged, this, &MitigationPanel::showLambda);
  connect(m_metric, &QComboBox::activated, this, &MitigationPanel::showCurve);
  connect(m_measure, &QPushButton::clicked, this, [this] { m_job->active() ? m_job->cancel() : measure(); });
  connect(m_export, &QPushButton::clicked, this, &MitigationPanel::exportAdapter);
  connect(browse, &QToolButton::clicked, this, [this] {
    const auto file = QFileDialog::getOpenFileName(this, tr("Text for the pseudo-loss"), m_text->text());
    if (!file.isEmpty()) m_text->setText(file);
  });
  connect(m_job, &RunJob::changed, this, &MitigationPanel::showState);
  connect(m_job, &RunJob::finished, this, [this] {
    m_problem.clear();
    load();
  });
  connect(m_job, &RunJob::failed, this, [this](const QString& message) {
    m_problem = message;
    showState();
  });
  connect(m_job, &RunJob::cancelled, this, [this] {
    m_problem = tr("Cancelled; nothing was changed.");
    showState();
  });
  connect(&Theme::instance(), &Theme::changed, this, &MitigationPanel::showCurve);
  showCurve();
}

void MitigationPanel::setRun(const QString& id) {
  if (id == m_run) return;
  m_run = id;
  m_curve.reset();
  m_problem.clear();
  m_said.clear();
  m_job->follow(id);
  showCurve();
  if (isVisible()) load();
}

void MitigationPanel::showEvent(QShowEvent* event) {
  QWidget::showEvent(event);
  load();
}

double MitigationPanel::lambda() const { return m_slider->value() / 100.0; }

// The newest that was measured.
void MitigationPanel::load() {
  if (m_run.isEmpty()) return;
  m_store->read(
      this, "mitigation",
      [folder = m_store->runFolder(m_run) / "mitigation"](Store&) -> Result<std::optional<MitigationCurve>> {
        std::vector<std::filesystem::path> files;
        std::error_code missing;
        for (const auto& entry : std::filesystem::directory_iterator(folder, missing))
          if (entry.path().extension() == ".json") files.push_back(entry.path());
        if (files.empty()) return std::optional<MitigationCurve>();
        auto read = readMitigation(*std::max_element(files.begin(), files.end()));
        if (!read.ok()) return read.error();
        return std::optional(std::move(*read));
      },
      [this](Result<std::optional<MitigationCurve>> curve) {
        if (!curve.ok()) {
          m_problem = QString::fromStdString(curve.error().message());
        } else {
          m_curve = std::move(*curve);
          if (m_curve && m_text->text().isEmpty()) m_text->setText(QString::fromStdString(m_curve->text));
        }
        showCurve();
      });
}

void MitigationPanel::showCurve() {
  for (Plot* plot : {m_taskPlot, m_textPlot}) plot->clearCurves();
  const QString before = m_metric->currentText();
  {
    const QSignalBlocker quiet(m_metric);
    m_metric->clear();
    if (m_curve && !m_curve->points.empty())
      for (const auto& [name, value] : m_curve->points.front().metrics) m_metric->addItem(QString::fromStdString(name));
    const int same = m_metric->findText(before), accuracy = m_metric->findText("accuracy");
    m_metric->setCurrentIndex(same >= 0 ? same : std::max(0, accuracy));
  }
  m_metric->setVisible(m_metric->count() > 1);
  m_taskPlot->setEmptyText(tr("Press Measure: the task is evaluated with the intruders scaled to several λ."));
  m_textPlot->setEmptyText(tr("Name a text file to see what the base model keeps of its own."));
  m_taskPlot->setTitle(m_metric->currentText().isEmpty() ? tr("Task") : tr("Task: %1").arg(m_metric->currentText()));
  if (m_curve) {
    const std::string metric = m_metric->currentText().toStdString();
    CurvePoints task, text;
    for (const auto& point : m_curve->points) {
      if (const auto value = point.metrics.find(metric); value != point.metrics.end()) {
        task.step.push_back(point.lambda);
        task.y.push_back(value->second);
      }
      if (point.textLoss) {
        text.step.push_back(point.lambda);
        text.y.push_back(*point.textLoss);
      }
    }
    CurveStyle style;
    style.points = true;
    style.smoothable = false;
    style.colour = categoryColour(0);
    if (!task.y.empty()) m_taskPlot->setCurve("task", m_metric->currentText(), style, task);
    style.colour = categoryColour(1);
    if (!text.y.empty()) m_textPlot->setCurve("text", tr("this run"), style, text);
    if (m_curve->baseTextLoss && text.step.size() > 1) {
      style.colour = ui::palette().textMuted;
      style.points = false;
      style.dash = Qt::DashLine;
      m_textPlot->setShowLegend(true);
      m_textPlot->setCurve("base", tr("base model"), style,
                           {.step = {text.step.front(), text.step.back()}, .epoch = {}, .tokens = {}, .seconds = {},
                            .y = {*m_curve->baseTextLoss, *m_curve->baseTextLoss}, .lower = {}, .upper = {}});
    }
    for (Plot* plot : {m_taskPlot, m_textPlot}) plot->fit();
  }
  showLambda();
  showState();
}

void MitigationPanel::showLambda() {
  const QLocale locale;
  m_value->setText(locale.toString(lambda(), 'f', 2));
  PlotMark mark;
  mark.step = lambda();
  mark.text = QStringLiteral("λ");
  mark.colour = ui::palette().textMuted;
  for (Plot* plot : {m_taskPlot, m_textPlot}) plot->setMarks({mark});
  if (!m_curve) {
    m_facts->clear();
    return;
  }
  QStringList facts{tr("%n intruder(s) among %1 vectors at ε = %2", nullptr, static_cast<int>(m_curve->intruders))
                        .arg(m_curve->top)
                        .arg(locale.toString(m_curve->eps, 'f', 2))};
  const auto along = [&](const auto& valueOf, const QString& name) {
    std::vector<double> x, y;
    bool measured = false;
    for (const auto& point : m_curve->points)
      if (const std::optional<double> value = valueOf(point)) {
        x.push_back(point.lambda);
        y.push_back(*value);
        measured |= std::abs(point.lambda - lambda()) < 1e-9;
      }
    if (const auto value = between(x, y, lambda()))
      facts << (measured ? QStringLiteral("%1 %2") : tr("%1 about %2")).arg(name, formatNumber(*value, 4));
  };
  const std::string metric = m_metric->currentText().toStdString();
  along([&](const MitigationPoint& point) {
    const auto value = point.metrics.find(metric);
    return value == point.metrics.end() ? std::nullopt : std::optional(value->second);
  }, m_metric->currentText());
  along([](const MitigationPoint& point) { return point.textLoss; }, tr("text loss"));
  if (m_curve->baseTextLoss) facts << tr("of the base model %1").arg(formatNumber(*m_curve->baseTextLoss, 4));
  m_facts->setText(facts.join(QStringLiteral(" · ")));
}

void MitigationPanel::showState() {
  const bool running = m_job->active();
  m_job->showOn(m_progress);
  m_measure->setText(running ? tr("Cancel") : m_curve ? tr("Measure at this λ") : tr("Measure"));
  m_measure->setEnabled(!m_run.isEmpty());
  m_export->setEnabled(!m_run.isEmpty() && !running);
  m_state->setStyleSheet(m_problem.isEmpty() ? QString() : "color:" + ui::palette().danger.name());
  m_state->setText(running && m_job->job() ? QString::fromStdString(m_job->job()->detail) : m_problem.isEmpty() ? m_said : m_problem);
  m_state->setVisible(!m_state->text().isEmpty());
}

void MitigationPanel::measure() {
  m_problem.clear();
  m_said.clear();
  std::vector<std::string> arguments;
  if (const auto text = m_text->text().trimmed(); !text.isEmpty()) arguments = {"--text", text.toStdString()};
  const bool another = !m_curve || (!arguments.empty() && m_curve->text != arguments[1]) || (arguments.empty() && !m_curve->text.empty());
  if (!another) arguments.insert(arguments.end(), {"--at", QString::number(lambda()).toStdString()});
  m_job->start(arguments);
}

void MitigationPanel::exportAdapter() {
  const auto folder = QFileDialog::getSaveFileName(this, tr("Folder for the mitigated adapter"), tr("mitigated-adapter"));
  if (folder.isEmpty()) return;
  m_problem.clear();
  m_said = tr("The adapter at λ = %1 goes to %2").arg(QLocale().toString(lambda(), 'f', 2), folder);
  m_job->start({"--out", folder.toStdString(), "--lambda", QString::number(lambda()).toStdString()});
}

}  // namespace rankscope::ui
