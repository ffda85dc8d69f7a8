#include "ui/library/library_details.h"

#include <QFormLayout>
#include <QHBoxLayout>
#include <QHeaderView>
#include <QLabel>
#include <QPushButton>
#include <QScrollArea>
#include <QStandardItemModel>
#include <QTabWidget>
#include <QTextBrowser>
#include <QTreeView>
#include <QVBoxLayout>

#include "ui/library/shape_tree.h"
#include "ui/shell/answer_fields.h"
#include "ui/shell/facts.h"
#include "ui/shell/format.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kMostListed = 8;

QString listed(const QStringList& items) {
  QString text = items.mid(0, kMostListed).join(QStringLiteral("\n"));
  if (items.size() > kMostListed)
    text += QLatin1Char('\n') + LibraryDetailsPanel::tr("and %n more", nullptr, static_cast<int>(items.size()) - kMostListed);
  return text;
}

QTreeView* treeOf(QStandardItemModel* model, const QString& name, const char* objectName) {
  auto* tree = new QTreeView;
  tree->setObjectName(QLatin1String(objectName));
  tree->setAccessibleName(name);
  tree->setModel(model);
  tree->setUniformRowHeights(true);
  tree->setIndentation(space::scaled(14));
  tree->setFrameShape(QFrame::NoFrame);
  tree->setFont(Theme::tabular(tree->font()));
  tree->header()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  tree->header()->setStretchLastSection(false);
  return tree;
}

}  // namespace

LibraryDetailsPanel::LibraryDetailsPanel(TrainerClient& trainer, QWidget* parent) : QWidget(parent), m_trainer(trainer) {
  setAccessibleName(tr("Details"));
  auto* whole = new QVBoxLayout(this);
  whole->setContentsMargins(0, 0, 0, 0);
  whole->setSpacing(0);
  m_empty = new QLabel(tr("Choose a model or an adapter to see what is in it."));
  m_empty->setAlignment(Qt::AlignCenter);
  m_empty->setWordWrap(true);
  m_empty->setMargin(space::kPage);
  makeCaption(m_empty);
  m_page = new QWidget;
  auto* column = new QVBoxLayout(m_page);
  column->setContentsMargins(0, space::kUnit, 0, 0);
  column->setSpacing(space::kUnit);
  buildHead(column);

  m_tabs = new QTabWidget;
  m_tabs->setDocumentMode(true);
  auto* overview = new QScrollArea;
  overview->setAccessibleName(tr("Overview"));
  overview->setFrameShape(QFrame::NoFrame);
  overview->setWidgetResizable(true);
  overview->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  auto* sheet = new QWidget;
  auto* sheetColumn = new QVBoxLayout(sheet);
  sheetColumn->setContentsMargins(space::kUnit + 4, space::kUnit, space::kUnit, space::kUnit);
  sheetColumn->setSpacing(space::kUnit);
  m_problems = new QLabel;
  m_problems->setObjectName(QStringLiteral("libraryProblems"));
  m_problems->setProperty("role", QStringLiteral("error"));
  m_problems->setTextFormat(Qt::PlainText);
  m_problems->setWordWrap(true);
  m_problems->setTextInteractionFlags(Qt::TextSelectableByMouse);
  sheetColumn->addWidget(m_problems);
  m_facts = new QFormLayout;
  m_facts->setHorizontalSpacing(space::kWide);
  m_facts->setVerticalSpacing(5);
  sheetColumn->addLayout(m_facts);
  sheetColumn->addStretch(1);
  overview->setWidget(sheet);
  m_tabs->addTab(overview, tr("Overview"));

  m_siteModel = new QStandardItemModel(this);
  m_tensorModel = new QStandardItemModel(this);
  m_sites = treeOf(m_siteModel, tr("Matrices that can be adapted"), "librarySites");
  m_tensors = treeOf(m_tensorModel, tr("Tensors in the files"), "libraryTensors");
  auto* sitePage = new QWidget;
  auto* siteColumn = new QVBoxLayout(sitePage);
  siteColumn->setContentsMargins(0, 0, 0, 0);
  siteColumn->setSpacing(0);
  m_siteCount = new QLabel;
  makeCaption(m_siteCount);
  m_siteCount->setContentsMargins(space::kUnit + 4, space::kHalf, space::kUnit, space::kHalf);
  m_siteCount->setWordWrap(true);
  siteColumn->addWidget(m_siteCount);
  siteColumn->addWidget(m_sites, 1);
  m_tabs->addTab(sitePage, tr("Sites"));
  m_tabs->addTab(m_tensors, tr("Tensors"));
  m_config = new QTextBrowser;
  m_config->setAccessibleName(tr("Config"));
  m_config->setProperty("role", QStringLiteral("plain"));
  m_config->setFont(Theme::instance().monoFont());
  m_config->setLineWrapMode(QTextEdit::NoWrap);
  m_tabs->addTab(m_config, tr("Config"));
  column->addWidget(m_tabs, 1);
  whole->addWidget(m_empty, 1);
  whole->addWidget(m_page, 1);
  connect(&Theme::instance(), &Theme::changed, this, [this] {
    if (m_complete) show(m_details);  // cells carry the theme's colours
  });
  clear();
}

void LibraryDetailsPanel::buildHead(QVBoxLayout* column) {
  auto* head = new QVBoxLayout;
  head->setContentsMargins(space::kUnit + 4, 0, space::kUnit, 0);
  head->setSpacing(space::kHalf);
  m_name = new QLabel;
  m_name->setObjectName(QStringLiteral("libraryName"));
  m_name->setTextFormat(Qt::PlainText);
  m_name->setWordWrap(true);
  m_name->setTextInteractionFlags(Qt::TextSelectableByMouse);
  makeHeading(m_name);
  m_state = new QLabel;
  m_state->setWordWrap(true);
  makeCaption(m_state);
  head->addWidget(m_name);
  head->addWidget(m_state);
  head->addSpacing(space::kHalf);
  auto* row = new QHBoxLayout;
  row->setSpacing(space::kHalf);
  const auto button = [row](const QString& text, const char* name, const char* iconName) {
    auto* made = new QPushButton(text);
    made->setObjectName(QLatin1String(name));
    if (iconName) made->setIcon(icon(QLatin1String(iconName)));
    row->addWidget(made);
    return made;
  };
  m_use = button(tr("Use in New run"), "useInNewRun", nullptr);
  makePrimary(m_use);
  m_import = button(tr("Import as a run…"), "importAdapterButton", nullptr);
  makePrimary(m_import);
  m_folder = button(tr("Show folder"), "showFolder", "folder");
  m_copy = button(tr("Copy path"), "copyPath", "copy");
  row->addStretch(1);
  head->addLayout(row);
  column->addLayout(head);
  connect(m_use, &QPushButton::clicked, this, [this] { Q_EMIT useAsked(m_item.path); });
  connect(m_import, &QPushButton::clicked, this, [this] { Q_EMIT importAsked(m_item.folder); });
  connect(m_folder, &QPushButton::clicked, this, [this] { Q_EMIT folderAsked(m_item.folder); });
  connect(m_copy, &QPushButton::clicked, this, [this] { Q_EMIT copyAsked(m_item.folder); });
}

void LibraryDetailsPanel::clear() {
  m_item = {};
  m_details = {};
  m_complete = false;
  m_page->hide();
  m_empty->show();
}

void LibraryDetailsPanel::showItem(const LibraryItem& item) {
  const bool same = item.folder == m_item.folder;
  m_item = item;
  m_empty->hide();
  m_page->show();
  if (same && m_complete) return;  // a new scan of the same
  m_complete = false;
  m_vocabulary.clear();
  m_details = {};
  m_details.item = item;
  m_siteModel->clear();
  m_tensorModel->clear();
  m_config->clear();
  show(m_details);
  ask();
}

void LibraryDetailsPanel::ask() {
  const nlohmann::json question{{"path", m_item.folder.toStdString()}};
  m_trainer.request(this, QStringLiteral("library.describe"), question,
                    [this](Result<nlohmann::json> answer) {
                      if (!answer.ok()) {
                        m_details.problems = {answer.error()};
                        showProblems();
                        return;
                      }
                      LibraryDetails details = readLibraryDetails(*answer);
                      // The list knows where it was found and what the hub calls it.
                      details.item.name = m_item.name;
                      details.item.origin = m_item.origin;
                      details.item.root = m_item.root;
                      details.item.revision = m_item.revision;
                      m_details = std::move(details);
                      m_complete = true;
                      show(m_details);
                    },
                    QStringLiteral("library.details"));
  if (m_item.adapter || m_item.tokenizer.isEmpty()) return;
  // Loading it takes longer than headers do: the page stands meanwhile.
  m_trainer.request(this, QStringLiteral("model.tokenizer"), question,
                    [this](Result<nlohmann::json> answer) {
                      m_vocabulary = answer.ok() ? tr("%1 tokens").arg(formatInteger(answer::whole(*answer, "vocabulary")))
                                                 : QString::fromStdString(answer.error().message());
                      showFacts();
                    },
                    QStringLiteral("library.tokenizer"));
}

void LibraryDetailsPanel::show(const LibraryDetails& details) {
  const LibraryItem& item = details.item;
  m_name->setText(item.name);
  QStringList state;
  if (item.adapter)
    state << tr("Adapter") << methodTitle(item.method);
  else
    state << (details.title.isEmpty() ? item.family : details.title);
  if (item.parameters > 0) state << tr("%1 parameters").arg(formatCompact(item.parameters));
  if (item.bytes > 0) state << formatBytes(item.bytes);
  state << originTitle(item.origin);
  state.removeAll(QString());
  m_state->setText(state.join(QStringLiteral("  ·  ")));
  m_use->setVisible(!item.adapter);
  m_import->setVisible(item.adapter);
  m_use->setEnabled(!details.title.isEmpty() || !m_complete);
  m_use->setToolTip(m_use->isEnabled() ? tr("Sets it as the base model of the draft in New run") : tr("This model cannot be trained: see its problems"));
  m_import->setEnabled(item.format != QLatin1String("gguf"));
  m_import->setToolTip(m_import->isEnabled() ? tr("Makes a run of it that can be continued, evaluated and exported")
                                             : tr("llama.cpp's adapters cannot be imported: import the PEFT folder of the same adapter"));
  showFacts();
  showProblems();
  if (!m_complete) {
    m_siteCount->setText(tr("Reading the headers…"));
    return;
  }
  fillShapeModel(m_siteModel, shapeTree(details.sites));
  fillShapeModel(m_tensorModel, shapeTree(details.tensors));
  for (QTreeView* tree : {m_sites, m_tensors}) {
    tree->expandToDepth(2);
    tree->header()->setSectionResizeMode(0, QHeaderView::Stretch);
    for (const int section : {1, 2}) tree->header()->setSectionResizeMode(section, QHeaderView::ResizeToContents);
  }
  m_tabs->setTabVisible(1, !item.adapter);
  double weights = 0;
  for (const NamedShape& site : details.sites) weights += site.elements;
  m_siteCount->setText(details.sites.empty()
                           ? tr("Which matrices there are follows from the family, and this one is not supported.")
                           : tr("%n site(s) that an adapter can sit on", nullptr, static_cast<int>(details.sites.size())) +
                                 tr(", %1 weights; usually adapted: %2").arg(formatCompact(weights), details.defaultTargets.join(QStringLiteral(", "))));
  m_config->setPlainText(details.config);
}

void LibraryDetailsPanel::setFact(const QString& name, const QString& value, const QString& tip) {
  if (QLabel* shown = addFact(m_facts, name, value, tip)) shown->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
}

QString LibraryDetailsPanel::fact(const QString& name) const {
  for (int row = 0; row < m_facts->rowCount(); ++row) {
    const auto* label = qobject_cast<QLabel*>(m_facts->itemAt(row, QFormLayout::LabelRole)->widget());
    if (label && label->text() == name) return qobject_cast<QLabel*>(m_facts->itemAt(row, QFormLayout::FieldRole)->widget())->text();
  }
  return {};
}

void LibraryDetailsPanel::showFacts() {
  while (m_facts->rowCount() > 0) m_facts->removeRow(0);
  const LibraryDetails& d = m_details;
  const LibraryItem& item = d.item;
  if (item.adapter) {
    setFact(tr("Method"), methodTitle(item.method));
    if (item.rank > 0) setFact(tr("Rank, α"), tr("%1, %2").arg(item.rank).arg(formatNumber(item.alpha)));
    setFact(tr("Adapts"), item.targets.join(QStringLiteral(", ")));
    setFact(tr("Task"), peftTaskTitle(item.task));
    setFact(tr("Base model"), item.baseNamed);
    setFact(tr("Here as"), item.basePath);
  } else {
    setFact(tr("Family"), d.title.isEmpty() ? item.family : d.title);
    if (item.layers > 0) setFact(tr("Layers × width"), tr("%1 × %2").arg(item.layers).arg(item.hidden));
    if (item.maxPositions > 0) setFact(tr("Longest input"), tr("%1 tokens").arg(formatInteger(item.maxPositions)));
  }
  if (item.parameters > 0) setFact(tr("Parameters"), formatInteger(static_cast<qint64>(item.parameters)));
  QStringList types;
  // What rounds to everything is named without its share.
  for (const auto& [name, share] : d.dtypes) types << (share > 0.9995 ? name : tr("%1 %2").arg(formatShare(share), name));
  setFact(tr("Number types"), types.isEmpty() ? item.dtype : types.join(QStringLiteral(", ")));
  QStringList files;
  for (const auto& [name, bytes] : d.shards) files << tr("%1, %2").arg(name, formatBytes(bytes));
  if (files.size() > kMostListed + 1) files = files.mid(0, kMostListed) << tr("and %n more", nullptr, static_cast<int>(files.size()) - kMostListed);
  const QString size = item.bytes > 0 ? formatBytes(item.bytes) : QString();
  setFact(tr("Size"), d.shards.size() > 1 ? tr("%1 in %2 files").arg(size).arg(d.shards.size()) : size);
  setFact(d.shards.size() > 1 ? tr("Shards") : tr("File"), files.join(QLatin1Char('\n')));
  if (!item.adapter) {
    setFact(tr("Tokenizer"), m_vocabulary.isEmpty() || item.tokenizer.isEmpty() ? item.tokenizer
                                                                                : tr("%1, %2").arg(item.tokenizer, m_vocabulary));
    if (item.vocab > 0) setFact(tr("Rows for tokens"), formatInteger(item.vocab));
    setFact(tr("Chat template"), item.chatTemplateProblem.isEmpty() ? item.chatTemplate : tr("there is one, and it is not recognised"),
            item.chatTemplateProblem);
    if (m_complete && d.problems.empty() && d.missing.isEmpty() && d.misshapen.isEmpty()) {
      QStringList present, possible;
      for (const QString& head : d.headsPresent) present << headTitle(head);
      for (const QString& head : d.heads)
        // A language model's output is not drawn anew: without it there is none.
        if (!d.headsPresent.contains(head) && head != QLatin1String("none") && head != QLatin1String("causal_lm")) possible << headTitle(head);
      setFact(tr("Heads in it"), present.isEmpty() ? tr("none; a new one is drawn") : present.join(QStringLiteral(", ")));
      setFact(tr("Can be given"), possible.join(QStringLiteral(", ")));
    }
  }
  setFact(tr("Licence"), item.licence.isEmpty() ? tr("not said")
                                                : tr("%1 (%2)").arg(item.licence, item.licenceSource));
  setFact(tr("Revision"), item.revision.left(12), item.revision);
  setFact(tr("Folder"), formatPath(item.folder), item.folder);
}

void LibraryDetailsPanel::showProblems() {
  QStringList lines;
  for (const Error& problem : m_details.problems) lines << QString::fromStdString(problem.message());
  const auto group = [&lines](const QString& title, const QStringList& items) {
    if (!items.isEmpty()) lines << title + QLatin1Char('\n') + listed(items);
  };
  group(tr("Missing tensors:"), m_details.missing);
  group(tr("Tensors of another shape:"), m_details.misshapen);
  if (lines.isEmpty() && !m_complete && !m_details.item.problem.isEmpty()) lines << m_details.item.problem;
  for (QString& line : lines)
    if (!line.isEmpty()) line[0] = line[0].toUpper();
  m_problems->setText(lines.join(QStringLiteral("\n\n")));
  m_problems->setVisible(!lines.isEmpty());
}

}  // namespace rankscope::ui
