#include "ui/runs/details_panel.h"

#include "core/config/option_spec.h"
#include "core/config/task_heads.h"
#include "core/store/store.h"
#include "ui/plots/plot.h"
#include "ui/runs/config_list.h"
#include "ui/runs/note_editor.h"
#include "ui/runs/run_columns.h"
#include "ui/runs/run_delegates.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/shell/work_unit.h"
#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QFormLayout>
#include <QHBoxLayout>
#include <QLabel>
#include <QListWidget>
#include <QPushButton>
#include <QScrollArea>
#include <QStackedWidget>
#include <QTabWidget>
#include <QToolButton>
#include <QVBoxLayout>

#include <cmath>

namespace rankscope::ui {

namespace {

QString qs(const std::string& text) { return QString::fromStdString(text); }

struct Fact {
  const char* key;
  const char* title;
};
constexpr Fact kFacts[] = {
    {"method", QT_TRANSLATE_NOOP("DetailsPanel", "Method")},   {"model", QT_TRANSLATE_NOOP("DetailsPanel", "Model")},
    {"data", QT_TRANSLATE_NOOP("DetailsPanel", "Data")},       {"chat", QT_TRANSLATE_NOOP("DetailsPanel", "Chat template")}, {"best", QT_TRANSLATE_NOOP("DetailsPanel", "Best")},
    {"losses", QT_TRANSLATE_NOOP("DetailsPanel", "Loss")},     {"steps", QT_TRANSLATE_NOOP("DetailsPanel", "Steps")},
    {"time", QT_TRANSLATE_NOOP("DetailsPanel", "Time")},       {"memory", QT_TRANSLATE_NOOP("DetailsPanel", "Peak memory")},
    {"trainable", QT_TRANSLATE_NOOP("DetailsPanel", "Trainable")}, {"device", QT_TRANSLATE_NOOP("DetailsPanel", "Device")},
    {"seed", QT_TRANSLATE_NOOP("DetailsPanel", "Seed")},       {"created", QT_TRANSLATE_NOOP("DetailsPanel", "Created")},
    {"finished", QT_TRANSLATE_NOOP("DetailsPanel", "Finished")}, {"id", QT_TRANSLATE_NOOP("DetailsPanel", "Id")},
};

CurvePoints pointsOf(const Series& series) {
  return {series.axis(Axis::Step), series.epochs, series.axis(Axis::Tokens), series.seconds, series.values, {}, {}};
}

}  // namespace

DetailsPanel::DetailsPanel(ViewContext& context, QWidget* parent) : QWidget(parent), m_context(context) {
  setAccessibleName(tr("Details"));
  auto* layout = new QVBoxLayout(this);
  layout->setContentsMargins(0, 0, 0, 0);
  m_pages = new QStackedWidget(this);
  m_empty = new QLabel(tr("Select a run to see what it did.\nSelect several to compare them."), m_pages);
  m_empty->setAlignment(Qt::AlignCenter);
  m_empty->setWordWrap(true);
  makeCaption(m_empty);
  m_pages->addWidget(m_empty);
  m_pages->addWidget(buildSingle());
  m_pages->addWidget(buildMany());
  layout->addWidget(m_pages);
  connect(&Theme::instance(), &Theme::changed, this, [this] { refresh({}); });
}

QWidget* DetailsPanel::buildSingle() {
  auto* page = new QWidget(m_pages);
  auto* layout = new QVBoxLayout(page);
  layout->setContentsMargins(0, space::kUnit, 0, 0);
  layout->setSpacing(space::kHalf);

  auto* head = new QHBoxLayout;
  head->setContentsMargins(space::kUnit, 0, space::kUnit, 0);
  m_colour = new QToolButton(page);
  m_colour->setAccessibleName(tr("Colour of the run"));
  m_colour->setToolTip(tr("Colour in all plots"));
  connect(m_colour, &QToolButton::clicked, this, &DetailsPanel::colourAsked);
  m_name = new QLabel(page);
  makeHeading(m_name);
  m_name->setTextFormat(Qt::PlainText);
  m_name->setWordWrap(true);
  m_name->setTextInteractionFlags(Qt::TextSelectableByMouse);
  auto* rename = new QToolButton(page);
  rename->setIcon(icon(QStringLiteral("edit")));
  rename->setAccessibleName(tr("Rename"));
  rename->setToolTip(tr("Rename (F2)"));
  connect(rename, &QToolButton::clicked, this, &DetailsPanel::renameAsked);
  head->addWidget(m_colour);
  head->addWidget(m_name, 1);
  head->addWidget(rename);
  layout->addLayout(head);

  m_state = new QLabel(page);
  m_state->setMargin(0);
  m_state->setWordWrap(true);
  auto* stateRow = new QVBoxLayout;
  stateRow->setContentsMargins(space::kUnit + 4, 0, space::kUnit, 0);
  stateRow->addWidget(m_state);
  layout->addLayout(stateRow);
  m_problem = new QLabel(page);
  m_problem->setProperty("role", QStringLiteral("error"));
  m_problem->setWordWrap(true);
  m_problem->setTextInteractionFlags(Qt::TextSelectableByMouse);
  stateRow->addWidget(m_problem);

  auto* tagRow = new QHBoxLayout;
  tagRow->setContentsMargins(space::kUnit + 4, 0, space::kUnit, 0);
  m_tags = new QLabel(page);
  m_tags->setWordWrap(true);
  makeCaption(m_tags);
  auto* tag = new QToolButton(page);
  tag->setIcon(icon(QStringLiteral("tag")));
  tag->setAccessibleName(tr("Edit tags"));
  tag->setToolTip(tr("Edit tags (T)"));
  connect(tag, &QToolButton::clicked, this, &DetailsPanel::tagsAsked);
  tagRow->addWidget(m_tags, 1);
  tagRow->addWidget(tag);
  layout->addLayout(tagRow);

  auto* buttons = new QHBoxLayout;
  buttons->setContentsMargins(space::kUnit, 0, space::kUnit, space::kHalf);
  const auto go = [&](const QString& text, const char* iconName, const QString& view) {
    auto* button = new QPushButton(icon(QLatin1String(iconName)), text, page);
    makeFlat(button);
    connect(button, &QPushButton::clicked, this, [this, view] { Q_EMIT openAsked(view); });
    buttons->addWidget(button);
  };
  go(tr("Live"), "view-live", QStringLiteral("live"));
  go(tr("Spectrum"), "view-spectrum", QStringLiteral("spectrum"));
  m_resume = new QPushButton(icon(QStringLiteral("resume")), tr("Resume"), page);
  makeFlat(m_resume);
  m_resume->setToolTip(tr("Go on from the last checkpoint"));
  connect(m_resume, &QPushButton::clicked, this, [this] { Q_EMIT resumeAsked(m_ids.value(0)); });
  buttons->addWidget(m_resume);
  m_evaluate = new QPushButton(icon(QStringLiteral("evaluate")), tr("Evaluate"), page);
  m_evaluate->setObjectName(QStringLiteral("evaluateRun"));
  makeFlat(m_evaluate);
  m_evaluate->setToolTip(tr("Score it on its own data or on other (E)"));
  connect(m_evaluate, &QPushButton::clicked, this, [this] { Q_EMIT evaluateAsked(m_ids.value(0)); });
  buttons->addWidget(m_evaluate);
  buttons->addStretch(1);
  layout->addLayout(buttons);

  m_tabs = new QTabWidget(page);
  m_tabs->setDocumentMode(true);
  auto* overview = new QWidget(m_tabs);
  auto* overviewLayout = new QVBoxLayout(overview);
  overviewLayout->setContentsMargins(0, 0, 0, 0);
  overviewLayout->setSpacing(0);
  m_curves = new Plot(overview);
  m_curves->setTitle(tr("Loss"));
  m_curves->setFixedHeight(210);
  m_curves->setSmoothing(0.6);
  m_curves->setEmptyText(tr("No points yet"));
  overviewLayout->addWidget(m_curves);
  auto* scroll = new QScrollArea(overview);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setWidgetResizable(true);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  auto* factsWidget = new QWidget(scroll);
  m_facts = new QFormLayout(factsWidget);
  m_facts->setContentsMargins(space::kUnit + 4, space::kUnit, space::kUnit, space::kUnit);
  m_facts->setHorizontalSpacing(space::kWide);
  m_facts->setVerticalSpacing(5);
  m_facts->setLabelAlignment(Qt::AlignLeft);
  for (const Fact& fact : kFacts) {
    auto* title = new QLabel(tr(fact.title), factsWidget);
    makeCaption(title);
    auto* value = new QLabel(factsWidget);
    value->setWordWrap(true);
    value->setTextInteractionFlags(Qt::TextSelectableByMouse);
    value->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);  // a long word must not widen the panel
    value->setAccessibleName(tr(fact.title));
    m_facts->addRow(title, value);
    m_factLabels.insert(QLatin1String(fact.key), value);
  }
  scroll->setWidget(factsWidget);
  overviewLayout->addWidget(scroll, 1);
  m_tabs->addTab(overview, tr("Overview"));

  m_config = new ConfigList(m_tabs);
  m_tabs->addTab(m_config, tr("Configuration"));
  m_note = new NoteEditor(m_tabs);
  connect(m_note, &NoteEditor::edited, this, &DetailsPanel::noteEdited);
  m_tabs->addTab(m_note, tr("Note"));
  layout->addWidget(m_tabs, 1);
  return page;
}

QWidget* DetailsPanel::buildMany() {
  auto* page = new QWidget(m_pages);
  auto* layout = new QVBoxLayout(page);
  layout->setContentsMargins(space::kUnit + 4, space::kUnit + 4, space::kUnit, space::kUnit);
  m_manyTitle = new QLabel(page);
  makeHeading(m_manyTitle);
  m_compareMany = new QPushButton(icon(QStringLiteral("view-compare"), colours().accentText), tr("Compare them"), page);
  makePrimary(m_compareMany);
  connect(m_compareMany, &QPushButton::clicked, this, [this] { Q_EMIT openAsked(QStringLiteral("compare")); });
  auto* tags = new QPushButton(icon(QStringLiteral("tag")), tr("Edit tags…"), page);
  connect(tags, &QPushButton::clicked, this, &DetailsPanel::tagsAsked);
  auto* row = new QHBoxLayout;
  row->addWidget(m_compareMany);
  row->addWidget(tags);
  row->addStretch(1);
  m_manyList = new QListWidget(page);
  m_manyList->setAccessibleName(tr("Selected runs"));
  m_manyList->setFrameShape(QFrame::NoFrame);
  m_manyList->setSelectionMode(QAbstractItemView::NoSelection);
  layout->addWidget(m_manyTitle);
  layout->addLayout(row);
  layout->addWidget(m_manyList, 1);
  return page;
}

void DetailsPanel::showRuns(const QStringList& ids) {
  if (ids == m_ids) return;
  saveNote();
  const bool other = ids.value(0) != m_ids.value(0) || ids.size() != m_ids.size();
  m_ids = ids;
  if (other) {
    m_curves->clearCurves();
    m_row = {};
  }
  load();
}

void DetailsPanel::refresh(const QStringList& changed) {
  if (m_ids.isEmpty()) return;
  if (changed.isEmpty() || std::any_of(m_ids.begin(), m_ids.end(), [&](const QString& id) { return changed.contains(id); }))
    load();
}

void DetailsPanel::load() {
  StoreService& store = *m_context.store;
  if (m_ids.isEmpty()) {
    store.drop(this, "run");
    m_pages->setCurrentIndex(0);
    return;
  }
  if (m_ids.size() > 1) {
    m_pages->setCurrentIndex(2);
    m_manyTitle->setText(tr("%n run(s) selected", nullptr, static_cast<int>(m_ids.size())));
    RunQuery query;
    for (const QString& id : m_ids.mid(0, 200)) query.ids.push_back(id.toStdString());
    query.includeArchived = true;
    query.limit = 200;
    query.withSparkline = query.withMetrics = false;
    store.read(this, "run", [query](Store& s) { return s.listRuns(query); }, [this](Result<RunPage> page) {
      if (!page.ok()) return;
      m_manyList->clear();
      for (const RunRow& row : page->rows) {
        QPixmap swatch(4, 12);
        swatch.fill(colourOfRun(row));
        QString text = qs(row.name);
        if (std::isfinite(row.bestValue)) text += QStringLiteral("   ") + runColumnText(row, QStringLiteral("best"));
        new QListWidgetItem(QIcon(swatch), text, m_manyList);
      }
    });
    return;
  }
  const std::string id = m_ids.first().toStdString();
  struct Answer {
    RunRow row;
    nlohmann::json config;
  };
  store.read(this, "run",
             [id](Store& s) -> Result<Answer> {
               auto row = s.run(id);
               if (!row.ok()) return row.error();
               auto config = s.runConfig(id);
               return Answer{std::move(*row), config.ok() ? std::move(*config) : nlohmann::json()};
             },
             [this](Result<Answer> answer) {
               if (!answer.ok()) {
                 m_pages->setCurrentIndex(0);
                 return;
               }
               m_config->setConfig(std::move(answer->config));
               show(answer->row);
             });
  loadCurves();
}

void DetailsPanel::loadCurves() {
  struct Answer {
    RunRow row;  // whose colour the curve has: the panel may still show the one before
    Series train, eval;
  };
  m_context.store->read(this, "curves",
                        [id = m_ids.first().toStdString()](Store& s) {
                          Answer answer;
                          if (auto row = s.run(id); row.ok()) answer.row = std::move(*row);
                          if (auto train = s.readSeries(id, "train/loss"); train.ok()) answer.train = std::move(*train);
                          if (auto eval = s.readSeries(id, "eval/loss"); eval.ok()) answer.eval = std::move(*eval);
                          return answer;
                        },
                        [this](Result<Answer> answer) {
                          if (!answer.ok()) return;
                          CurveStyle style;
                          style.colour = answer->row.id.empty() ? colours().accent : colourOfRun(answer->row);
                          if (answer->train.size() > 0)
                            m_curves->setCurve(QStringLiteral("train"), tr("train"), style, pointsOf(answer->train));
                          CurveStyle evalStyle;
                          evalStyle.colour = categoryColour(5);
                          evalStyle.points = true;
                          evalStyle.smoothable = false;
                          evalStyle.order = 1;
                          if (answer->eval.size() > 0)
                            m_curves->setCurve(QStringLiteral("eval"), tr("eval"), evalStyle, pointsOf(answer->eval));
                        });
}

void DetailsPanel::show(const RunRow& row) {
  m_row = row;
  m_pages->setCurrentIndex(1);
  m_name->setText(qs(row.name));
  QPixmap swatch(14, 14);
  swatch.fill(colourOfRun(row));
  m_colour->setIcon(QIcon(swatch));
  const QString state = qs(row.status);
  QString text = stateTitle(state);
  if (row.totalSteps > 0) text += tr(" · step %1 of %2").arg(formatInteger(row.step), formatInteger(row.totalSteps));
  if (row.live() && std::isfinite(row.etaSeconds)) text += tr(" · %1 left").arg(formatDuration(row.etaSeconds));
  if (row.lives > 1) text += tr(" · started %n time(s)", nullptr, row.lives);
  m_state->setText(text);
  QPalette p = m_state->palette();
  p.setColor(QPalette::WindowText, stateColour(state));
  m_state->setPalette(p);
  const bool failed = state == QLatin1String("failed") || state == QLatin1String("interrupted");
  m_problem->setText(failed ? qs(row.statusDetail) : QString());
  m_problem->setVisible(failed && !row.statusDetail.empty());
  m_resume->setVisible(failed || state == QLatin1String("stopped"));
  m_evaluate->setVisible(!row.live() && state != QLatin1String("queued") && !row.trashed);
  QStringList tags;
  for (const std::string& tag : row.tags) tags << qs(tag);
  m_tags->setText(tags.isEmpty() ? tr("no tags") : tags.join(QStringLiteral("  ·  ")));

  const auto set = [this](const char* key, const QString& value) {
    if (QLabel* label = m_factLabels.value(QLatin1String(key))) {
      label->setText(value.isEmpty() ? QString::fromUtf8(kDash) : value);
      label->setToolTip(value);
    }
  };
  QString method = methodTitle(qs(row.method));
  if (row.rank) method += tr(", rank %1").arg(*row.rank);
  if (row.rank && std::isfinite(row.alpha)) method += tr(", α %1").arg(formatNumber(row.alpha));
  set("method", method);
  set("model", qs(row.modelName));
  set("data", qs(row.dataName) + (row.task.empty() ? QString() : QStringLiteral("  (%1)").arg(qs(row.task).replace(QLatin1Char('_'), QLatin1Char(' ')))));
  QString chat = qs(row.chatTemplate);
  for (const OptionChoice& choice : findOption("data.chat_template")->choices)
    if (choice.value == row.chatTemplate) chat = QCoreApplication::translate("options", choice.title.c_str());
  set("chat", chat);
  m_facts->setRowVisible(m_factLabels.value(QStringLiteral("chat")), !row.chatTemplate.empty());
  set("best", std::isfinite(row.bestValue) ? tr("%1 = %2 at step %3").arg(shortMetric(qs(row.bestMetric)), formatNumber(row.bestValue, 5), formatInteger(row.bestStep)) : QString());
  set("losses", tr("train %1, eval %2").arg(formatNumber(row.lastTrainLoss), formatNumber(row.lastEvalLoss)));
  m_curves->setWorkTitle(unitTitle(unitOfTask(row.task)));
  set("steps", tr("%1 steps, %2").arg(formatInteger(row.step), unitsText(unitOfTask(row.task), static_cast<double>(row.tokens))));
  set("time", formatDuration(row.seconds));
  set("memory", row.peakMemory > 0 ? formatBytes(static_cast<double>(row.peakMemory)) : QString());
  set("trainable", runColumnText(row, QStringLiteral("trainable")));
  set("device", QStringList{qs(row.device), qs(row.computeDtype), qs(row.host)}.filter(QRegularExpression(QStringLiteral("."))).join(QStringLiteral(", ")));
  set("seed", QString::number(row.seed));
  set("created", formatWhenLong(row.createdAt));
  set("finished", formatWhenLong(row.finishedAt));
  set("id", qs(row.id).left(8) + QStringLiteral("…"));
  m_factLabels.value(QStringLiteral("id"))->setToolTip(qs(row.id));

  m_note->setNote(qs(row.id), qs(row.note));
  if (std::exchange(m_editNote, false)) m_note->edit();
}

void DetailsPanel::focusNote() {
  m_tabs->setCurrentWidget(m_note);
  m_editNote = m_row.id != m_ids.value(0).toStdString();  // its row is still being read
  if (!m_editNote) m_note->edit();
}

void DetailsPanel::saveNote() { m_note->save(); }

}  // namespace rankscope::ui
