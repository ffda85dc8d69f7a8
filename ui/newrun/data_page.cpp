#include "ui/newrun/data_page.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPlainTextEdit>
#include <QScrollArea>
#include <QSplitter>
#include <QStackedWidget>
#include <QTabWidget>
#include <QVBoxLayout>

#include "ui/newrun/column_roles.h"
#include "ui/newrun/image_grid.h"
#include "ui/newrun/length_histogram.h"
#include "ui/newrun/option_field.h"
#include "ui/newrun/option_form.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/token_view.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {

DataPage::DataPage(RunDraft* draft, QWidget* parent) : QWidget(parent), m_draft(draft) {
  m_files = new OptionForm(draft);
  m_files->showKeys({"data.task", "data.train", "data.eval", "data.format", "data.header"});
  m_rows = new QLabel;
  m_rows->setWordWrap(true);
  makeCaption(m_rows);
  m_roles = new ColumnRoles(draft);
  m_more = new OptionForm(draft);
  QStringList shown{"data.task", "data.train", "data.eval", "data.format", "data.header"};
  for (const auto& option : optionTable()) {
    if (option.key.starts_with("data.columns.")) shown << QString::fromStdString(option.key);
  }
  m_more->showGroups({"data"}, shown);

  auto* form = new QWidget;
  auto* column = new QVBoxLayout(form);
  column->setContentsMargins(0, 0, space::kUnit, 0);
  column->setSpacing(space::kHalf);
  column->addWidget(m_files);
  column->addWidget(m_rows);
  column->addWidget(m_roles);
  column->addWidget(m_more);
  column->addStretch(1);
  auto* scroll = new QScrollArea;
  scroll->setWidget(form);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);

  m_tokens = new TokenView;
  m_images = new ImageGrid;
  m_shown = new QStackedWidget;
  m_shown->addWidget(m_tokens);
  m_shown->addWidget(m_images);
  m_problems = new QPlainTextEdit;
  m_problems->setObjectName("rowProblems");
  m_problems->setAccessibleName(tr("Rows that could not be read"));
  m_problems->setReadOnly(true);
  m_problems->setFrameShape(QFrame::NoFrame);
  m_problems->setFont(Theme::instance().monoFont());
  m_tabs = new QTabWidget;
  m_tabs->setObjectName("dataTabs");
  m_tabs->setDocumentMode(true);
  auto* preview = new QWidget;
  auto* previewColumn = new QVBoxLayout(preview);
  previewColumn->setContentsMargins(0, space::kHalf, 0, 0);
  previewColumn->setSpacing(space::kHalf);
  m_previewCaption = new QLabel(tr("Tinted tokens enter the loss; grey ones are context."));
  makeCaption(m_previewCaption);
  m_previewCaption->setWordWrap(true);
  previewColumn->addWidget(m_previewCaption);
  previewColumn->addWidget(m_shown, 1);
  m_tabs->addTab(preview, tr("First rows"));
  m_tabs->addTab(m_problems, tr("Row problems"));

  m_lengths = new LengthHistogram;
  m_verdict = new QLabel;
  m_verdict->setWordWrap(true);
  makeCaption(m_verdict);
  auto* lower = new QWidget;
  auto* lowerColumn = new QVBoxLayout(lower);
  lowerColumn->setContentsMargins(0, space::kUnit, 0, 0);
  lowerColumn->setSpacing(space::kHalf);
  lowerColumn->addWidget(m_tabs, 1);
  lowerColumn->addWidget(m_lengths);
  lowerColumn->addWidget(m_verdict);

  auto* split = new QSplitter(Qt::Vertical);
  split->setChildrenCollapsible(false);
  split->addWidget(scroll);
  split->addWidget(lower);
  split->setStretchFactor(0, 5);
  split->setStretchFactor(1, 4);
  auto* whole = new QVBoxLayout(this);
  whole->setContentsMargins(0, 0, 0, 0);
  whole->addWidget(split);

  m_tokens->setMessage(tr("Choose a model and a data file to see the first rows as the model will read them."));
  connect(m_files, &OptionForm::focused, this, &DataPage::focused);
  connect(m_more, &OptionForm::focused, this, &DataPage::focused);
}

void DataPage::setDetails(const DataDetails& details) {
  const QLocale locale;
  QStringList names;
  for (const auto& column : details.columns) names << (column.name.isEmpty() ? tr("(unnamed)") : column.name);
  const bool images = details.format == "images";
  QString text = images ? tr("%1 images").arg(locale.toString(details.rows))
                        : tr("%1 rows, read as %2").arg(locale.toString(details.rows), details.format.toUpper());
  if (!images && !names.isEmpty()) text += tr(", columns: %1").arg(names.mid(0, 8).join(", ") + (names.size() > 8 ? "…" : ""));
  m_rows->setText(text + ".");
  m_rows->setStyleSheet({});
  m_roles->setColumns(details);
  QStringList lines;
  for (const auto& problem : details.problems) {
    lines << (problem.line > 0 ? tr("line %1: %2").arg(locale.toString(problem.line), problem.message) : problem.message);
  }
  if (details.problemCount > qint64(details.problems.size())) {
    lines << tr("… and %1 more").arg(locale.toString(details.problemCount - qint64(details.problems.size())));
  }
  m_problems->setPlainText(lines.isEmpty() ? tr("Every row could be read.") : lines.join('\n'));
  m_tabs->setTabText(1, details.problemCount > 0 ? tr("Row problems (%1)").arg(locale.toString(details.problemCount))
                                                 : tr("Row problems"));
}

void DataPage::setDetailsFailed(const QString& message) {
  m_rows->setText(message);
  m_rows->setStyleSheet(message.isEmpty() ? QString() : "color:" + ui::palette().danger.name());
  m_roles->setColumns({});
  m_problems->setPlainText(message);
  m_tabs->setTabText(1, tr("Row problems"));
}

void DataPage::setPreviewPending(const QString& what, double share) {
  const QString doing = what.isEmpty() ? tr("Reading…") : what + QStringLiteral("…");
  m_previewCaption->setText(share > 0 ? QStringLiteral("%1 %2%").arg(doing).arg(int(100 * share)) : doing);
}

void DataPage::setPreview(const DataPreview& preview) {
  const QLocale locale;
  m_lengths->setVisible(!preview.images);
  m_shown->setCurrentWidget(preview.images && !preview.rows.empty() ? static_cast<QWidget*>(m_images) : m_tokens);
  if (preview.images) {
    m_previewCaption->setText(tr("Images as the model sees them, before random shifts and mirroring.  %1 to train on, %2 to "
                                 "evaluate on, %3 classes.")
                                  .arg(locale.toString(preview.trainRows), locale.toString(preview.evalRows),
                                       locale.toString(preview.labels.size())));
    m_images->setRows(preview.rows);
    if (preview.rows.empty()) m_tokens->setMessage(tr("No image is left after reading. See Row problems."));
    m_verdict->hide();
    return;
  }
  QStringList caption{tr("Tinted tokens enter the loss, grey ones are context.  %1 rows to train on, %2 to evaluate on.")
                          .arg(locale.toString(preview.trainRows), locale.toString(preview.evalRows))};
  if (!preview.chatTemplate.isEmpty()) caption << tr("Chat template: %1.").arg(preview.chatTemplate);
  for (const auto& note : preview.notes) caption << tr("Note: %1.").arg(note);
  m_previewCaption->setText(caption.join("  "));
  if (preview.rows.empty()) {
    m_tokens->setMessage(tr("No row is left after reading. See Row problems."));
  } else {
    m_tokens->setRows(preview.rows);
  }
  m_lengths->setData(preview.edges, preview.counts, double(m_draft->config().integer("data.max_length")), preview.overLimit,
                     preview.tokensLostShare);
  m_roles->setEffectiveRoles(preview.roles);
  m_verdict->setText(m_lengths->verdict());
  m_verdict->setVisible(!m_verdict->text().isEmpty());
}

void DataPage::setPreviewFailed(const QString& message) {
  m_shown->setCurrentWidget(m_tokens);
  m_previewCaption->setText({});
  m_tokens->setMessage(message);
  m_lengths->clear();
  m_verdict->hide();
}

}  // namespace rankscope::ui
