#include "ui/library/library_view.h"

#include <QClipboard>
#include <QComboBox>
#include <QFileDialog>
#include <QFileInfo>
#include <QGuiApplication>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QKeyEvent>
#include <QLabel>
#include <QLineEdit>
#include <QMenu>
#include <QProgressBar>
#include <QPushButton>
#include <QSplitter>
#include <QStackedWidget>
#include <QTableView>
#include <QToolButton>
#include <QVBoxLayout>

#include "core/config/places.h"
#include "ui/library/library_columns.h"
#include "ui/library/library_details.h"
#include "ui/library/model_folders.h"
#include "ui/library/run_exchange.h"
#include "ui/shell/answer_fields.h"
#include "ui/shell/format.h"
#include "ui/shell/job_result.h"
#include "ui/shell/settings.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {

LibraryView::LibraryView(ViewContext& context, QWidget* parent)
    : View(context, parent), m_model(new LibraryModel(this)), m_rows(new LibraryFilter(this)),
      m_exchange(new RunExchange(context, this)) {
  m_rows->setSourceModel(m_model);
  connect(m_exchange, &RunExchange::said, this, &View::statusMessage);
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(0, 0, 0, 0);
  column->setSpacing(0);
  buildTop();
  buildCentre();
  buildActions();
  chosenMoved();
  updatePages();
}

void LibraryView::buildTop() {
  auto* bar = new QWidget(this);
  bar->setProperty("role", QStringLiteral("bar"));
  auto* row = new QHBoxLayout(bar);
  row->setContentsMargins(space::kUnit, space::kUnit, space::kUnit, space::kUnit - 1);
  row->setSpacing(space::kUnit);
  m_filter = new QLineEdit(bar);
  m_filter->setObjectName(QStringLiteral("libraryFilter"));
  m_filter->setAccessibleName(tr("Filter"));
  m_filter->setPlaceholderText(withShortcut(tr("Filter: name, family, type, licence, folder"), QKeySequence::Find));
  m_filter->setClearButtonEnabled(true);
  m_filter->addAction(icon(QStringLiteral("filter")), QLineEdit::LeadingPosition);
  row->addWidget(m_filter, 1);
  m_kind = new QComboBox(bar);
  m_kind->setObjectName(QStringLiteral("libraryKind"));
  m_kind->setAccessibleName(tr("Kind"));
  m_kind->addItems({tr("Models and adapters"), tr("Models"), tr("Adapters")});
  row->addWidget(m_kind);
  m_count = new QLabel(bar);
  m_count->setObjectName(QStringLiteral("libraryCount"));
  makeCaption(m_count);
  m_count->setMinimumWidth(space::scaled(110));
  m_count->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  m_busy = new QProgressBar(bar);
  m_busy->setAccessibleName(tr("Folders are being read"));
  m_busy->setRange(0, 0);
  m_busy->setFixedWidth(64);
  m_busy->hide();
  row->addWidget(m_busy);
  row->addWidget(m_count);
  m_folders = new QToolButton(bar);
  m_folders->setObjectName(QStringLiteral("libraryFolders"));
  m_folders->setText(tr("Folders"));
  m_folders->setIcon(icon(QStringLiteral("folder")));
  m_folders->setToolButtonStyle(Qt::ToolButtonTextBesideIcon);
  m_folders->setPopupMode(QToolButton::InstantPopup);
  m_folders->setToolTip(tr("Which folders are searched"));
  m_folders->setAccessibleName(m_folders->text());
  auto* menu = new QMenu(m_folders);
  connect(menu, &QMenu::aboutToShow, this, &LibraryView::fillFoldersMenu);
  m_folders->setMenu(menu);
  row->addWidget(m_folders);
  layout()->addWidget(bar);
  connect(m_filter, &QLineEdit::textChanged, this, [this](const QString& text) {
    m_rows->setWords(text);
    updatePages();
  });
  connect(m_kind, &QComboBox::currentIndexChanged, this, [this](int index) {
    m_rows->setKind(static_cast<LibraryKind>(index));
    updatePages();
  });
  m_filter->installEventFilter(this);
}

void LibraryView::buildCentre() {
  m_splitter = new QSplitter(Qt::Horizontal, this);
  m_splitter->setChildrenCollapsible(false);
  m_splitter->setHandleWidth(1);
  m_pages = new QStackedWidget(m_splitter);
  m_table = new QTableView(m_pages);
  m_table->setObjectName(QStringLiteral("libraryTable"));
  m_table->setAccessibleName(tr("Models and adapters"));
  m_table->setModel(m_rows);
  m_table->setSelectionBehavior(QAbstractItemView::SelectRows);
  m_table->setSelectionMode(QAbstractItemView::SingleSelection);
  m_table->setEditTriggers(QAbstractItemView::NoEditTriggers);
  m_table->setShowGrid(false);
  m_table->setFrameShape(QFrame::NoFrame);
  m_table->setTabKeyNavigation(false);
  m_table->setWordWrap(false);
  m_table->setFont(Theme::tabular(m_table->font()));
  m_table->setContextMenuPolicy(Qt::ActionsContextMenu);
  m_table->verticalHeader()->hide();
  m_table->verticalHeader()->setDefaultSectionSize(space::rowHeight());
  m_table->setHorizontalScrollMode(QAbstractItemView::ScrollPerPixel);
  m_columns = new LibraryColumns(m_table);
  m_table->setSortingEnabled(true);
  m_table->sortByColumn(LibraryModel::Name, Qt::AscendingOrder);
  m_pages->addWidget(m_table);
  m_empty = new QLabel(m_pages);
  m_empty->setObjectName(QStringLiteral("libraryEmpty"));
  m_empty->setAlignment(Qt::AlignCenter);
  m_empty->setWordWrap(true);
  m_empty->setMargin(space::kPage * 2);
  makeCaption(m_empty);
  m_pages->addWidget(m_empty);
  m_details = new LibraryDetailsPanel(trainer(), m_splitter);
  m_details->setMinimumWidth(space::scaled(340));
  m_splitter->addWidget(m_pages);
  m_splitter->addWidget(m_details);
  m_splitter->setStretchFactor(0, 1);
  m_splitter->setSizes({950, 420});
  layout()->addWidget(m_splitter);
  static_cast<QVBoxLayout*>(layout())->setStretchFactor(m_splitter, 1);
  connect(m_table->selectionModel(), &QItemSelectionModel::selectionChanged, this, &LibraryView::chosenMoved);
  // Focus alone makes a row the current one: it is chosen then, as it looks, but not while the first ones come in.
  connect(m_table->selectionModel(), &QItemSelectionModel::currentRowChanged, this, [this](const QModelIndex& now) {
    if (m_scanned && now.isValid() && !m_table->selectionModel()->isRowSelected(now.row())) m_table->selectRow(now.row());
  });
}

void LibraryView::buildActions() {
  addViewAction(tr("Filter…"), QStringLiteral("filter"), QKeySequence::Find, [this] {
    m_filter->setFocus(Qt::ShortcutFocusReason);
    m_filter->selectAll();
  });
  addViewAction(tr("Scan the folders again"), QStringLiteral("retry"), QKeySequence(QStringLiteral("F5")), [this] { scan(); });
  addViewAction(tr("Add a folder…"), QStringLiteral("add"), {}, [this] { addFolder(); });
  addViewSeparator();
  m_use = addViewAction(tr("Use in New run"), QStringLiteral("view-newrun"), QKeySequence(QStringLiteral("Ctrl+Return")), [this] {
    if (const LibraryItem* item = current()) Q_EMIT showView(QStringLiteral("newrun"), {{QStringLiteral("model"), item->path}});
  });
  m_import = addViewAction(tr("Import an adapter…"), QStringLiteral("import"), QKeySequence(QStringLiteral("Ctrl+I")), [this] {
    const LibraryItem* item = current();
    m_exchange->importAdapter(item && item->adapter ? item->folder : QString());
  });
  m_show = addViewAction(tr("Show folder"), QStringLiteral("folder"), {}, [this] {
    if (const LibraryItem* item = current()) {
      const QFileInfo info(item->folder);
      openFolderOf(info.isFile() ? info.absolutePath() : item->folder, [this](const QString& text) { Q_EMIT statusMessage(text); });
    }
  });
  m_copy = addViewAction(tr("Copy path"), QStringLiteral("copy"), QKeySequence::Copy, [this] {
    if (const LibraryItem* item = current()) {
      QGuiApplication::clipboard()->setText(item->folder);
      Q_EMIT statusMessage(tr("Path copied"));
    }
  });
  m_table->addActions({m_use, m_import, m_show, m_copy});
  connect(m_table, &QTableView::doubleClicked, this, [this] {
    if (const LibraryItem* item = current()) (item->adapter ? m_import : m_use)->trigger();
  });
  connect(m_details, &LibraryDetailsPanel::useAsked, m_use, &QAction::trigger);
  connect(m_details, &LibraryDetailsPanel::importAsked, m_import, &QAction::trigger);
  connect(m_details, &LibraryDetailsPanel::folderAsked, m_show, &QAction::trigger);
  connect(m_details, &LibraryDetailsPanel::copyAsked, m_copy, &QAction::trigger);
}

// From the filter into the list, as in Runs; Escape drops what was typed.
bool LibraryView::eventFilter(QObject* object, QEvent* event) {
  if (object != m_filter || event->type() != QEvent::KeyPress) return View::eventFilter(object, event);
  const int key = static_cast<QKeyEvent*>(event)->key();
  if (key == Qt::Key_Return || key == Qt::Key_Enter || key == Qt::Key_Down) {
    m_table->setFocus(Qt::TabFocusReason);
    if (!m_table->currentIndex().isValid() && m_rows->rowCount() > 0) m_table->selectRow(0);
    return true;
  }
  if (key != Qt::Key_Escape || m_filter->text().isEmpty()) return false;
  m_filter->clear();
  return true;
}

void LibraryView::scan() {
  if (m_scan != 0) trainer().cancel(m_scan);
  m_problem.clear();
  nlohmann::json question = scanQuestion(places(), settings());
  question["adapters"] = question["stream"] = true;
  m_scan = trainer().request(
      this, QStringLiteral("models.scan"), question, [this](Result<nlohmann::json> answer) { finishScan(answer); },
      QStringLiteral("library.scan"), [this](const nlohmann::json& progress) {
        const auto item = progress.find("item");
        if (item == progress.end()) return;
        m_model->add(readLibraryItem(*item));
        updatePages();
      });
  updatePages();
}

void LibraryView::finishScan(const Result<nlohmann::json>& answer) {
  m_scan = 0;
  m_scanned = true;
  if (answer.ok()) {
    QStringList folders;
    for (const nlohmann::json& document : answer::items(*answer)) {
      LibraryItem item = readLibraryItem(document);
      folders << item.folder;
      m_model->add(std::move(item));
    }
    m_model->keepOnly(folders);
  } else {
    m_problem = QString::fromStdString(answer.error().message());
  }
  if (!m_pending.isEmpty()) choose(m_model->rowOf(m_pending));
  m_pending.clear();
  if (!current() && m_rows->rowCount() > 0) m_table->selectRow(0);
  updatePages();
  chosenMoved();
  m_columns->fit();
}

void LibraryView::addFolder() {
  const QString folder = QFileDialog::getExistingDirectory(this, tr("Folder with models or adapters"));
  if (folder.isEmpty()) return;
  addModelFolder(settings(), folder);
  scan();
}

void LibraryView::fillFoldersMenu() {
  QMenu* menu = m_folders->menu();
  menu->clear();
  menu->addAction(icon(QStringLiteral("add")), tr("Add a folder…"), this, &LibraryView::addFolder);
  menu->addAction(icon(QStringLiteral("retry")), tr("Scan them again"), this, &LibraryView::scan);
  menu->addSection(tr("Searched"));
  const QStringList added = addedModelFolders(settings());
  for (const QString& folder : modelFolders(places(), settings())) {
    if (!added.contains(folder)) {
      menu->addAction(folder)->setEnabled(false);
      continue;
    }
    QMenu* one = menu->addMenu(icon(QStringLiteral("folder")), folder);
    one->addAction(icon(QStringLiteral("delete")), tr("Search it no longer"), this, [this, folder] {
      removeModelFolder(settings(), folder);
      scan();
    });
  }
  menu->addAction(tr("Hugging Face's cache"))->setEnabled(false);
}

void LibraryView::choose(int sourceRow) {
  const QModelIndex row = m_rows->mapFromSource(m_model->index(std::max(0, sourceRow), 0));
  if (sourceRow < 0 || !row.isValid()) return;
  m_table->selectRow(row.row());
  m_table->scrollTo(row);
}

const LibraryItem* LibraryView::current() const {
  const QModelIndex row = m_table->currentIndex();
  return row.isValid() && m_table->selectionModel()->isRowSelected(row.row()) ? m_model->itemAt(m_rows->mapToSource(row).row()) : nullptr;
}

void LibraryView::chosenMoved() {
  const LibraryItem* item = current();
  if (item)
    m_details->showItem(*item);
  else
    m_details->clear();
  m_use->setEnabled(item && !item->adapter);
  m_import->setText(item && item->adapter ? tr("Import as a run…") : tr("Import an adapter…"));
  m_show->setEnabled(item);
  m_copy->setEnabled(item);
}

void LibraryView::updatePages() {
  const int shown = m_rows->rowCount(), all = m_model->rowCount();
  m_busy->setVisible(m_scan != 0);
  m_count->setText(shown == all ? tr("%n found", nullptr, all) : tr("%1 of %2").arg(shown).arg(all));
  if (shown > 0) {
    m_pages->setCurrentWidget(m_table);
    return;
  }
  m_empty->setText(!m_problem.isEmpty()      ? m_problem
                   : all > 0                 ? tr("Nothing here fits the filter.")
                   : m_scan != 0 || !m_scanned ? tr("Reading the folders…")
                       : tr("No model was found. Put a folder with config.json and its weights into %1, or add a folder of your own under "
                            "Folders. What Hugging Face's programs have fetched appears here by itself.")
                             .arg(QString::fromStdString(places().models.string())));
  m_pages->setCurrentWidget(m_empty);
}

void LibraryView::onActivated() {
  if (!m_scanned && m_scan == 0) scan();
  m_table->setFocus(Qt::OtherFocusReason);
}

void LibraryView::open(const QJsonObject& request) {
  if (request.contains(QStringLiteral("filter"))) m_filter->setText(request.value(QStringLiteral("filter")).toString());
  const QString wanted = request.value(QStringLiteral("item")).toString();
  if (wanted.isEmpty()) return;
  const int row = m_model->rowOf(wanted);
  if (row >= 0 && !m_rows->mapFromSource(m_model->index(row, 0)).isValid()) {
    m_filter->clear();
    m_kind->setCurrentIndex(0);
  }
  if (row < 0) {
    m_pending = wanted;
    scan();  // it was made a moment ago
    return;
  }
  choose(row);
}

QJsonObject LibraryView::saveState() const {
  QJsonObject state{{QStringLiteral("splitter"), QString::fromLatin1(m_splitter->saveState().toBase64())},
                    {QStringLiteral("filter"), m_filter->text()},
                    {QStringLiteral("kind"), m_kind->currentIndex()}};
  m_columns->saveTo(&state);
  return state;
}

void LibraryView::restoreState(const QJsonObject& state) {
  m_columns->restoreFrom(state);
  const QByteArray splitter = QByteArray::fromBase64(state.value(QStringLiteral("splitter")).toString().toLatin1());
  if (!splitter.isEmpty()) m_splitter->restoreState(splitter);
  m_filter->setText(state.value(QStringLiteral("filter")).toString());
  m_kind->setCurrentIndex(state.value(QStringLiteral("kind")).toInt());
}

}  // namespace rankscope::ui
