#include "ui/live/samples_panel.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QSignalBlocker>
#include <QSlider>
#include <QTextBrowser>
#include <QVBoxLayout>
#include <algorithm>

#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {

SamplesPanel::SamplesPanel(QWidget* parent) : QWidget(parent) {
  m_slider = new QSlider(Qt::Horizontal);
  m_slider->setObjectName("sampleSlider");
  m_slider->setAccessibleName(tr("Step of the samples"));
  m_slider->setTickPosition(QSlider::TicksBelow);
  m_slider->setPageStep(1);
  m_step = new QLabel;
  m_step->setFont(Theme::tabular(m_step->font()));
  m_step->setMinimumWidth(120);
  m_text = new QTextBrowser;
  m_text->setObjectName("sampleText");
  m_text->setAccessibleName(tr("Generated samples"));
  m_text->setFrameShape(QFrame::NoFrame);
  m_text->setOpenLinks(false);
  auto* bar = new QHBoxLayout;
  bar->setSpacing(space::kUnit);
  bar->addWidget(m_step);
  bar->addWidget(m_slider, 1);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, space::kHalf, 0, 0);
  column->setSpacing(space::kHalf);
  column->addLayout(bar);
  column->addWidget(m_text, 1);
  connect(m_slider, &QSlider::valueChanged, this, &SamplesPanel::showStep);
  connect(&Theme::instance(), &Theme::changed, this, [this] { showStep(m_slider->value()); });
  showStep(-1);
}

void SamplesPanel::sync(const RunHistory* history) {
  static const std::vector<SampleText> none;
  const auto& samples = history ? history->samples() : none;
  if (samples.size() == m_samples.size() && (samples.empty() || samples.back().step == m_samples.back().step)) return;
  const bool atEnd = m_slider->value() == m_slider->maximum() || m_steps.empty();
  m_samples = samples;
  m_steps.clear();
  for (const auto& sample : m_samples) {
    if (m_steps.empty() || m_steps.back() != sample.step) m_steps.push_back(sample.step);
  }
  const QSignalBlocker quiet(m_slider);
  m_slider->setRange(0, std::max(0, count() - 1));
  m_slider->setEnabled(count() > 1);
  if (atEnd) m_slider->setValue(count() - 1);
  showStep(m_slider->value());
}

void SamplesPanel::showStep(int at) {
  if (m_steps.empty() || at < 0) {
    m_step->clear();
    m_slider->setEnabled(false);
    m_text->setHtml(QStringLiteral("<p style='color:%1'>%2</p>")
                        .arg(ui::palette().textMuted.name(),
                             tr("No samples yet. Give the run sample prompts (train.sample_prompts) in New run, or press Sample "
                                "while it trains.")));
    return;
  }
  const int64_t step = m_steps[static_cast<size_t>(std::min(at, count() - 1))];
  m_step->setText(tr("step %1  (%2 of %3)").arg(formatInteger(step)).arg(at + 1).arg(count()));
  const auto escaped = [](const std::string& text) {
    return QString::fromStdString(text).toHtmlEscaped().replace('\n', QStringLiteral("<br>"));
  };
  QString html;
  for (const auto& sample : m_samples) {
    if (sample.step != step) continue;
    html += QStringLiteral("<p style='margin:0 0 12px 0'><span style='color:%1'>%2</span><span>%3</span>")
                .arg(ui::palette().textMuted.name(), escaped(sample.prompt), escaped(sample.text));
    const auto first = std::find_if(m_samples.begin(), m_samples.end(), [&](const SampleText& s) { return s.prompt == sample.prompt; });
    if (first->step != step) {
      html += QStringLiteral("<br><span style='color:%1'>%2 %3</span>")
                  .arg(ui::palette().textMuted.name(), tr("at step %1:").arg(formatInteger(first->step)), escaped(first->text));
    }
    html += QStringLiteral("</p>");
  }
  m_text->setHtml(html);
}

}  // namespace rankscope::ui
