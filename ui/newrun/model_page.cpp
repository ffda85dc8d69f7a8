#include "ui/newrun/model_page.h"

#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QStandardItemModel>
#include <QTableView>
#include <QVBoxLayout>

#include "ui/newrun/option_field.h"
#include "ui/newrun/option_form.h"
#include "ui/newrun/run_draft.h"
#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

enum Column { Name, Family, Parameters, Dtype, Size, Shape, Tokenizer, ColumnCount };
constexpr int kPathRole = Qt::UserRole + 1;
constexpr int kColumnGap = 12, kWidestColumn = 320;

}  // namespace

ModelPage::ModelPage(RunDraft* draft, QWidget* parent) : QWidget(parent), m_draft(draft) {
  m_items = new QStandardItemModel(0, ColumnCount, this);
  m_items->setHorizontalHeaderLabels({tr("Model"), tr("Family"), tr("Parameters"), tr("Type"), tr("Size"),
                                      tr("Layers × width"), tr("Tokenizer")});
  m_table = new QTableView;
  m_table->setObjectName("modelTable");
  m_table->setAccessibleName(tr("Models"));
  m_table->setModel(m_items);
  m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_table->setSelectionMode(QAbstractItemView::SingleSelection);
  m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_table->setShowGrid(false);
  m_table->setTabKeyNavigation(false);
  m_table->setWordWrap(false);
  m_table->setFont(Theme::tabular(m_table->font()));
  m_table->verticalHeader()->hide();
  m_table->verticalHeader()->setDefaultSectionSize(space::rowHeight());
  m_table->horizontalHeader()->setStretchLastSection(true);
  m_table->horizontalHeader()->setHighlightSections(false);
  m_table->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  for (const int column : {int(Parameters), int(Size), int(Shape)}) {
    m_items->setHeaderData(column, Qt::Horizontal, int(Qt::AlignRight | Qt::AlignVCenter), Qt::TextAlignmentRole);
  }

  m_state = new QLabel;
  makeCaption(m_state);
  m_state->setWordWrap(true);
  m_rescan = new QPushButton(tr("Scan again"));
  m_rescan->setObjectName("rescanModels");
  auto* add = new QPushButton(tr("Add folder…"));
  add->setObjectName("addModelFolder");
  add->setToolTip(tr("A folder whose sub-folders hold config.json and safetensors files"));
  auto* library = new QPushButton(tr("More in Library"));
  library->setObjectName("openLibrary");
  library->setToolTip(tr("Every model and adapter with its tensors, licence, tokenizer and problems"));
  makeFlat(library);
  auto* buttons = new QHBoxLayout;
  buttons->addWidget(m_state, 1);
  buttons->addWidget(library);
  buttons->addWidget(add);
  buttons->addWidget(m_rescan);

  m_form = new OptionForm(draft);
  m_form->showGroups({"model"});
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(space::kUnit);
  column->addWidget(m_form);
  column->addWidget(m_table, 1);
  column->addLayout(buttons);

  fitColumns();
  connect(m_rescan, &QPushButton::clicked, this, &ModelPage::rescanAsked);
  connect(add, &QPushButton::clicked, this, &ModelPage::addFolderAsked);
  connect(library, &QPushButton::clicked, this, &ModelPage::libraryAsked);
  connect(m_form, &OptionForm::focused, this, &ModelPage::focused);
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) {
    if (m_selecting || !now.isValid()) return;
    m_draft->set("model.path", m_items->index(now.row(), Name).data(kPathRole).toString().toStdString());
  });
  connect(draft, &RunDraft::edited, this, [this] { showCurrent(); });
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    if (!m_folders.isEmpty()) setModels(m_cards, m_folders);  // cells carry the theme's colours
  });
}

void ModelPage::setScanning(bool scanning) {
  m_rescan->setEnabled(!scanning);
  if (scanning) m_state->setText(tr("Reading model folders…"));
}

void ModelPage::setScanFailed(const QString& message) {
  setScanning(false);
  m_state->setText(message);
}

void ModelPage::setModels(std::vector<ModelCard> cards, const QStringList& folders) {
  setScanning(false);
  m_cards = cards;
  m_folders = folders;
  m_selecting = true;
  m_items->setRowCount(0);
  m_table->clearSpans();
  const QLocale locale;
  for (const auto& card : cards) {
    const auto item = [](const QString& text, bool right = false) {
      auto* made = new QStandardItem(text);
      made->setTextAlignment((right ? Qt::AlignRight : Qt::AlignLeft) | Qt::AlignVCenter);
      made->setToolTip(text);
      return made;
    };
    if (!card.problem.isEmpty()) {
      // What is wrong takes the place of figures that nobody can use.
      QList<QStandardItem*> row{item(card.name), item(card.problem)};
      row[0]->setData(card.path, kPathRole);
      row[0]->setToolTip(card.path);
      row[0]->setForeground(ui::palette().textMuted);
      row[1]->setForeground(ui::palette().danger);
      row[1]->setSizeHint(QSize(0, 0));  // spans the other columns, and must not widen the one that it starts in
      m_items->appendRow(row);
      m_table->setSpan(m_items->rowCount() - 1, Family, 1, ColumnCount - Family);
      continue;
    }
    QList<QStandardItem*> row{
        item(card.name),
        item(card.family),
        item(card.parameters > 0 ? formatCompact(card.parameters) : QString(), true),
        item(card.dtype),
        item(card.bytes > 0 ? formatBytes(card.bytes) : QString(), true),
        item(card.layers > 0 ? QStringLiteral("%1 × %2").arg(card.layers).arg(card.hidden) : QString(), true),
        item(card.tokenizer)};
    row[Name]->setData(card.path, kPathRole);
    row[Name]->setToolTip(card.path);
    m_items->appendRow(row);
  }
  m_selecting = false;
  fitColumns();
  QStringList shown;
  for (const QString& folder : folders) shown << formatPath(folder);
  m_state->setText(cards.empty() ? tr("No models found. Put a folder with config.json and safetensors files into %1, or add "
                                      "a folder.").arg(shown.value(0))
                                 : tr("%n model(s) in %1 and Hugging Face's cache", nullptr, static_cast<int>(cards.size())).arg(shown.join(", ")));
  m_state->setToolTip(folders.join('\n'));
  showCurrent();
}

void ModelPage::fitColumns() {
  for (int column = 0; column < ColumnCount - 1; ++column) {
    m_table->resizeColumnToContents(column);
    const int wanted = std::max(m_table->columnWidth(column), m_table->horizontalHeader()->sectionSizeHint(column));
    m_table->setColumnWidth(column, std::min(wanted + kColumnGap, kWidestColumn));
  }
}

void ModelPage::showCurrent() {
  const auto path = QString::fromStdString(m_draft->config().str("model.path"));
  m_selecting = true;
  int found = -1;
  for (int row = 0; row < m_items->rowCount(); ++row) {
    if (m_items->index(row, Name).data(kPathRole).toString() == path) found = row;
  }
  if (found >= 0) {
    m_table->setCurrentIndex(m_items->index(found, 0));
  } else {
    m_table->clearSelection();
    m_table->setCurrentIndex({});
  }
  m_selecting = false;
}

}  // namespace rankscope::ui
