#include "ui/newrun/method_card.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QVBoxLayout>

#include "core/config/method_texts.h"
#include "ui/newrun/method_drawing.h"
#include "ui/newrun/run_draft.h"
#include "ui/shell/facts.h"
#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kCaptionWidth = 72;

QLabel* words(const char* name) {
  auto* label = new QLabel;
  label->setObjectName(name);
  label->setWordWrap(true);
  label->setTextFormat(Qt::PlainText);
  label->setTextInteractionFlags(Qt::TextSelectableByMouse);
  return label;
}

}  // namespace

MethodCard::MethodCard(QWidget* parent) : QWidget(parent) {
  setObjectName("methodCard");
  m_title = new QLabel;
  m_title->setObjectName("methodTitle");
  makeHeading(m_title);
  m_group = new QLabel;
  makeCaption(m_group);
  m_drawing = new MethodDrawing;
  m_formula = words("methodFormula");
  m_formula->setAccessibleName(tr("Formula"));
  m_does = words("methodDoes");
  m_heading = new QHBoxLayout;
  m_heading->setSpacing(space::kUnit);
  m_heading->addWidget(m_title);
  m_heading->addWidget(m_group, 1, Qt::AlignLeft | Qt::AlignVCenter);
  FactGrid facts(kCaptionWidth);
  m_choose = facts.add(tr("For"), "methodFor").value;
  m_avoid = facts.add(tr("Against"), "methodAgainst").value;
  m_trains = facts.add(tr("Trains"), "methodTrains").value;
  m_memory = facts.add(tr("Memory"), "methodMemory").value;
  m_merge = facts.add(tr("Merging"), "methodMerge").value;
  m_files = facts.add(tr("Saved as"), "methodFiles").value;
  const FactGrid::Row paper = facts.add(tr("Paper"), "methodCitation");
  m_citationCaption = paper.caption;
  m_citation = paper.value;
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(space::kUnit);
  column->addLayout(m_heading);
  column->addWidget(m_drawing);
  column->addWidget(m_formula);
  column->addWidget(m_does);
  column->addLayout(facts.layout());
  column->addStretch(1);
}

void MethodCard::setMethod(const QString& method, qint64 rank) {
  m_drawing->setMethod(method, rank);
  if (method == m_method) return;
  m_method = method;
  const MethodText* text = methodText(method.toStdString());
  if (!text) return;
  const auto& choices = findOption("method.name")->choices;
  for (const auto& choice : choices)
    if (choice.value == text->method) m_title->setText(translatedOption(choice.title));
  m_group->setText(translatedOption(methodGroupText(text->group).title));
  m_formula->setText(translatedOption(text->formula));
  m_does->setText(translatedOption(text->does));
  m_choose->setText(translatedOption(text->choose));
  m_avoid->setText(translatedOption(text->avoid));
  m_merge->setText(translatedOption(text->merge));
  m_files->setText(translatedOption(text->files));
  m_citation->setText(QString::fromUtf8(text->citation));
  m_citation->setVisible(*text->citation);
  m_citationCaption->setVisible(*text->citation);
  showCost();
}

void MethodCard::addToHeading(QWidget* widget) { m_heading->addWidget(widget); }

void MethodCard::setEstimate(const std::optional<RunEstimate>& estimate) {
  m_estimate = estimate;
  showCost();
}

void MethodCard::showCost() {
  const MethodText* text = methodText(m_method.toStdString());
  if (!text) return;
  const QLocale locale;
  const QString rule = translatedOption(text->count);
  if (m_estimate && m_estimate->trainable > 0) {
    const double share = m_estimate->trainable / std::max(1.0, m_estimate->parameters);
    m_trains->setText(tr("%1: here %2 parameters, %3% of the model, its head included")
                          .arg(rule, locale.toString(qlonglong(m_estimate->trainable)),
                               locale.toString(100 * share, 'f', share < 0.001 ? 4 : 2)));
    QStringList parts;
    if (m_estimate->adapter > 0) parts << tr("%1 of new weights").arg(formatBytes(m_estimate->adapter));
    parts << tr("%1 of gradients").arg(formatBytes(m_estimate->gradients));
    parts << tr("%1 of moments").arg(formatBytes(m_estimate->optimizer));
    m_memory->setText(tr("%1, beside %2 for the model")
                          .arg(parts.join(QStringLiteral(" + ")), formatBytes(m_estimate->weights)));
  } else {
    m_trains->setText(rule);
    m_memory->setText(tr("Choose a model and data to see it"));
  }
}

}  // namespace rankscope::ui
