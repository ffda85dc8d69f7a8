#include "ui/newrun/newrun_view.h"

#include <QComboBox>
#include <QHBoxLayout>
#include <QLabel>
#include <QLineEdit>
#include <QLocale>
#include <QMenu>
#include <QScrollArea>
#include <QSplitter>
#include <QStackedWidget>
#include <QStandardItemModel>
#include <QToolButton>
#include <QUndoStack>
#include <QVBoxLayout>

#include "core/config/json_text.h"
#include "core/runlog/run_folder.h"
#include "ui/newrun/consequences_panel.h"
#include "ui/newrun/data_page.h"
#include "ui/newrun/method_page.h"
#include "ui/newrun/model_page.h"
#include "ui/newrun/option_field.h"
#include "ui/newrun/option_form.h"
#include "ui/newrun/parent_bar.h"
#include "ui/newrun/rank_slider.h"
#include "ui/newrun/run_draft.h"
#include "ui/newrun/site_table_model.h"
#include "ui/newrun/sites_panel.h"
#include "ui/newrun/step_rail.h"
#include "ui/shell/settings.h"
#include "ui/shell/store_service.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kAskDelay = 180;  // ms after the last edit
const QString kDraftKey = QStringLiteral("newrun.draft");

QString groupOf(const QString& key) {
  const auto* option = findOption(key.toStdString());
  if (!option) return QStringLiteral("run");
  if (option->group == "optim" || option->group == "train") return QStringLiteral("training");
  return QString::fromStdString(option->group);
}

QWidget* scrolled(QWidget* content) {
  auto* frame = new QWidget;
  auto* column = new QVBoxLayout(frame);
  column->setContentsMargins(0, 0, space::kUnit, 0);
  column->addWidget(content);
  column->addStretch(1);
  auto* scroll = new QScrollArea;
  scroll->setWidget(frame);
  scroll->setWidgetResizable(true);
  scroll->setFrameShape(QFrame::NoFrame);
  scroll->setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
  return scroll;
}

}  // namespace

NewRunView::NewRunView(ViewContext& context, QWidget* parent) : View(context, parent) {
  setObjectName("newRunView");
  m_draft = new RunDraft(context.undo, this);
  m_places = places();

  m_rail = new StepRail;
  m_rail->setFixedWidth(space::scaled(208));
  m_rail->addStep("model", tr("Model"), "model");
  m_rail->addStep("data", tr("Data"), "data");
  m_rail->addStep("method", tr("Method"), "method");
  m_rail->addStep("training", tr("Training"), "steps");
  m_rail->addStep("run", tr("Run"), "note");
  m_rail->addStep("changed", tr("Changed"), "diff");
  m_stack = new QStackedWidget;
  m_consequences = new ConsequencesPanel(m_draft);
  m_consequences->setMinimumWidth(space::scaled(320));
  m_help = new QLabel;
  m_help->setObjectName("optionHelp");
  m_help->setWordWrap(true);
  m_help->setMinimumHeight(2 * QFontMetrics(Theme::instance().smallFont()).height() + 4);
  m_help->setAlignment(Qt::AlignLeft | Qt::AlignTop);
  makeCaption(m_help);

  auto* middle = new QWidget;
  auto* middleColumn = new QVBoxLayout(middle);
  middleColumn->setContentsMargins(space::kWide, space::kWide, space::kUnit, space::kUnit);
  middleColumn->setSpacing(space::kUnit);
  middleColumn->addWidget(m_stack, 1);
  middleColumn->addWidget(m_help);
  m_split = new QSplitter(Qt::Horizontal);
  m_split->setChildrenCollapsible(false);
  m_split->addWidget(middle);
  m_split->addWidget(m_consequences);
  m_split->setStretchFactor(0, 1);
  m_split->setStretchFactor(1, 0);
  m_split->setSizes({760, 400});

  auto* page = new QVBoxLayout(this);
  page->setContentsMargins(0, 0, 0, 0);
  page->setSpacing(0);
  buildTop();
  auto* body = new QHBoxLayout;
  body->setContentsMargins(0, 0, 0, 0);
  body->setSpacing(0);
  body->addWidget(m_rail);
  body->addWidget(m_split, 1);
  page->addLayout(body, 1);
  buildPages();

  m_ask.setSingleShot(true);
  m_ask.setInterval(kAskDelay);
  connect(&m_ask, &QTimer::timeout, this, &NewRunView::askConsequences);
  connect(m_draft, &RunDraft::edited, this, &NewRunView::edited);
  connect(m_draft, &RunDraft::issuesChanged, this, &NewRunView::refreshRail);
  connect(m_rail, &StepRail::chosen, this, [this](const QString& id) {
    if (!m_search->text().isEmpty()) m_search->clear();
    showPage(id);
  });
  connect(m_consequences, &ConsequencesPanel::goTo, this, &NewRunView::goTo);
  connect(m_consequences, &ConsequencesPanel::startAsked, this, &NewRunView::start);
  connect(m_consequences, &ConsequencesPanel::queueAsked, this, [this] { queueRuns({m_draft->config()}); });
  connect(m_consequences, &ConsequencesPanel::twinAsked, this, &NewRunView::twins);
  connect(m_consequences, &ConsequencesPanel::checkAsked, this, &NewRunView::runCheck);
  connect(m_consequences, &ConsequencesPanel::checkCancelled, this, [this] {
    trainer().cancel(m_checkRequest);
    m_checkRequest = 0;
    m_consequences->setCheckFailed({});
  });

  addViewAction(tr("Start"), "play", QKeySequence("Ctrl+Return"), [this] { start(); });
  addViewAction(tr("Add to queue"), "queue", QKeySequence("Ctrl+Shift+Return"), [this] {
    if (m_draft->valid()) queueRuns({m_draft->config()});
  });
  addViewAction(tr("Twin…"), "branch", QKeySequence("Ctrl+T"), [this] { twins(); });
  addViewAction(tr("Check"), "check", QKeySequence("F9"), [this] { runCheck(); });
  addViewSeparator();
  addViewAction(tr("Find an option"), "search", QKeySequence("Ctrl+F"), [this] { m_search->setFocus(); });
  addViewAction(tr("Save as preset…"), "save", QKeySequence("Ctrl+S"), [this] { savePreset(); });
  addViewAction(tr("Revert all changes"), "undo", {}, [this] { m_draft->revertAll(); });
  addViewAction(tr("Scan model folders again"), "retry", QKeySequence("F5"), [this] { scanModels(); });

  m_rail->choose("model");
  const auto stored = settings().value(kDraftKey);
  m_restored = stored.isObject() && m_draft->restore(stored.toObject());
  loadPresetList();
  refreshRail();
}

NewRunView::~NewRunView() {
  // The pages write to the draft when an editor loses the focus: they go first, and nobody listens any more.
  m_draft->disconnect(this);
  m_consequences->setCommandMaker(nullptr);
  qDeleteAll(findChildren<QWidget*>(QString(), Qt::FindDirectChildrenOnly));
}

void NewRunView::buildTop() {
  auto* bar = new QWidget;
  bar->setObjectName("newRunBar");
  auto* row = new QHBoxLayout(bar);
  row->setContentsMargins(space::kWide, space::kUnit, space::kWide, space::kUnit);
  row->setSpacing(space::kUnit);
  auto* from = new QLabel(tr("From"));
  makeCaption(from);
  m_preset = new QComboBox;
  m_preset->setObjectName("presetBox");
  m_preset->setAccessibleName(tr("Preset"));
  m_preset->setFixedWidth(space::scaled(320));  // its text changes with every edit; the bar must not jump
  from->setBuddy(m_preset);
  m_presetMenu = new QToolButton;
  m_presetMenu->setObjectName("presetMenu");
  m_presetMenu->setIcon(icon("more"));
  m_presetMenu->setAccessibleName(tr("Preset commands"));
  m_presetMenu->setPopupMode(QToolButton::InstantPopup);
  makeFlat(m_presetMenu);
  auto* menu = new QMenu(m_presetMenu);
  menu->addAction(icon("save"), tr("Save as preset…"), this, &NewRunView::savePreset);
  auto* remove = menu->addAction(icon("delete"), tr("Delete this preset"), this, &NewRunView::deletePreset);
  menu->addAction(icon("undo"), tr("Revert all changes"), m_draft, &RunDraft::revertAll);
  connect(menu, &QMenu::aboutToShow, this, [this, remove] {
    const auto* preset = m_presets.find(m_draft->presetName().toStdString());
    remove->setEnabled(preset && preset->user);
  });
  m_presetMenu->setMenu(menu);
  auto* called = new QLabel(tr("Run name"));
  makeCaption(called);
  m_name = new QLineEdit;
  m_name->setObjectName("runName");
  m_name->setAccessibleName(tr("Run name"));
  called->setBuddy(m_name);
  m_search = new QLineEdit;
  m_search->setObjectName("optionSearch");
  m_search->setAccessibleName(tr("Find an option"));
  m_search->setPlaceholderText(withShortcut(tr("Find an option"), QKeySequence("Ctrl+F")));
  m_search->setClearButtonEnabled(true);
  m_search->setFixedWidth(space::scaled(240));
  m_search->addAction(icon("search"), QLineEdit::LeadingPosition);
  row->addWidget(from);
  row->addWidget(m_preset);
  row->addWidget(m_presetMenu);
  row->addSpacing(space::kWide);
  row->addWidget(called);
  row->addWidget(m_name, 1);
  row->addSpacing(space::kWide);
  row->addWidget(m_search);
  auto* rule = new QFrame;
  rule->setProperty("role", "rule");
  auto* page = static_cast<QVBoxLayout*>(layout());
  page->addWidget(bar);
  page->addWidget(rule);
  m_parent = new ParentBar(settings(), this);
  page->addWidget(m_parent);
  m_consequences->setCommandMaker([this](const RunConfig& config) { return m_parent->commandLine(config); });
  connect(m_parent, &ParentBar::changed, m_consequences, &ConsequencesPanel::refresh);

  connect(m_preset, &QComboBox::activated, this, &NewRunView::choosePreset);
  connect(m_name, &QLineEdit::textEdited, this, [this](const QString& text) { m_draft->setText("name", text); });
  connect(m_search, &QLineEdit::textChanged, this, [this](const QString& text) {
    if (text.trimmed().isEmpty()) {
      showPage(m_rail->current());
    } else {
      if (!m_pages.contains("found")) {
        m_found = new OptionForm(m_draft);
        m_found->setEmptyText(tr("No option has these words. Try fewer, or a key such as optim.learning_rate."));
        m_found->showAll();
        connect(m_found, &OptionForm::focused, this, &NewRunView::showHelp);
        m_pages["found"] = scrolled(m_found);
        m_stack->addWidget(m_pages["found"]);
      }
      m_found->setSearch(text);
      m_stack->setCurrentWidget(m_pages["found"]);
    }
  });
}

void NewRunView::buildPages() {
  const auto add = [this](const QString& id, QWidget* page) {
    m_pages[id] = page;
    m_stack->addWidget(page);
  };
  m_modelPage = new ModelPage(m_draft);
  m_dataPage = new DataPage(m_draft);
  m_methodPage = new MethodPage(m_draft);
  m_training = new OptionForm(m_draft);
  m_training->showGroups({"optim", "train"});
  m_run = new OptionForm(m_draft);
  m_run->showGroups({"run"});
  m_changed = new OptionForm(m_draft);
  m_changed->setEmptyText(tr("Nothing differs from the preset. What you change is coloured, listed here, and goes back with "
                             "one click."));
  m_changed->showAll();
  m_changed->setOnlyChanged(true);
  add("model", m_modelPage);
  add("data", m_dataPage);
  add("method", m_methodPage);
  add("training", scrolled(m_training));
  add("run", scrolled(m_run));
  add("changed", scrolled(m_changed));
  for (auto* form : {m_training, m_run, m_changed}) connect(form, &OptionForm::focused, this, &NewRunView::showHelp);
  connect(m_modelPage, &ModelPage::focused, this, &NewRunView::showHelp);
  connect(m_dataPage, &DataPage::focused, this, &NewRunView::showHelp);
  connect(m_methodPage, &MethodPage::focused, this, &NewRunView::showHelp);
  connect(m_modelPage, &ModelPage::rescanAsked, this, &NewRunView::scanModels);
  connect(m_modelPage, &ModelPage::addFolderAsked, this, &NewRunView::addModelFolder);
  connect(m_modelPage, &ModelPage::libraryAsked, this, [this] {
    Q_EMIT showView("library", {{"item", QString::fromStdString(m_draft->config().str("model.path"))}});
  });
}

void NewRunView::showPage(const QString& id) {
  if (auto* page = m_pages.value(id)) m_stack->setCurrentWidget(page);
  m_help->clear();
}

void NewRunView::goTo(const QString& key) {
  m_search->clear();
  m_rail->choose(groupOf(key));
  showPage(groupOf(key));
  QWidget* page = m_stack->currentWidget();
  QWidget* target = page->findChild<QWidget*>("edit:" + key);
  if (!target && key == "method.rank") target = m_methodPage->rank()->edit();
  if (!target && key.startsWith("data.columns.")) target = page->findChild<QWidget*>("role:" + key.mid(13));
  if (!target && key == "method.target_modules") target = page->findChild<QWidget*>("siteTable");
  if (!target) return;
  for (QWidget* up = target; up; up = up->parentWidget()) {
    if (auto* area = qobject_cast<QScrollArea*>(up)) area->ensureWidgetVisible(target);
  }
  target->setFocus(Qt::OtherFocusReason);
}

void NewRunView::showHelp(OptionField* field) {
  const auto& option = field->option();
  QString text = QStringLiteral("<b>%1</b>  %2").arg(optionTitle(option).toHtmlEscaped(), optionHelp(option).toHtmlEscaped());
  const auto allowed = QString::fromStdString(allowedText(option));
  text += QStringLiteral("<br>") + tr("Allowed: %1").arg(allowed.toHtmlEscaped()) + QStringLiteral(" · ") +
          QString::fromStdString(option.key);
  if (!option.paper.empty()) text += QStringLiteral(" · ") + translatedOption(option.paper).toHtmlEscaped();
  m_help->setText(text);
}

void NewRunView::edited() {
  settings().setValue(kDraftKey, m_draft->save());
  const auto name = QString::fromStdString(m_draft->config().str("name"));
  if (m_name->text() != name) m_name->setText(name);
  m_name->setPlaceholderText(QString::fromStdString(defaultRunName(m_draft->config())));
  makeChanged(m_name, m_draft->isChanged("name"));
  fillPresetBox();
  if (!m_checkedConfig.empty() && m_checkedConfig != jsonText(m_draft->config().toJson())) {
    m_checkedConfig.clear();
    m_consequences->clearCheck();
  }
  refreshRail();
  inspectModel();
  inspectData();
  m_ask.start();
}

void NewRunView::refreshRail() {
  const auto& config = m_draft->config();
  QHash<QString, int> mistakes, changes;
  for (const auto& issue : m_draft->issues()) ++mistakes[groupOf(QString::fromStdString(issue.key))];
  const auto changed = m_draft->changedKeys();
  for (const auto& key : changed) ++changes[groupOf(key)];
  const QLocale locale;
  const auto last = [](const std::string& path) { return QString::fromStdString(path).section('/', -1).section(':', -1); };
  const auto set = [&](const QString& id, const QString& choice) { m_rail->setStep(id, choice, mistakes[id], changes[id]); };
  const auto model = last(config.str("model.path"));
  set("model", model.isEmpty() ? tr("not chosen") : m_modelLine.isEmpty() ? model : m_modelLine);
  const auto file = last(config.str("data.train"));
  set("data", file.isEmpty() ? tr("not chosen") : m_dataLine.isEmpty() ? file : m_dataLine);
  QString method = methodTitle(QString::fromStdString(config.str("method.name")));
  if (m_draft->applies("method.rank")) method += tr(", rank %1").arg(config.integer("method.rank"));
  if (m_draft->applies("method.alpha")) method += tr(", α %1").arg(locale.toString(config.real("method.alpha"), 'g', 4));
  set("method", method);
  set("training", tr("%1, lr %2, batch %3")
                      .arg(config.integer("train.max_steps") > 0
                               ? tr("%1 steps").arg(config.integer("train.max_steps"))
                               : tr("%1 epochs").arg(locale.toString(config.real("train.epochs"), 'g', 4)),
                           learningRateText(config))
                      .arg(config.integer("train.batch_size") * config.integer("train.accumulation")));
  set("run", tr("seed %1").arg(config.integer("seed")));
  m_rail->setStep("changed", changed.isEmpty() ? tr("nothing") : tr("%n option(s)", nullptr, static_cast<int>(changed.size())), 0,
                  static_cast<int>(changed.size()));
}

void NewRunView::onActivated() {
  if (m_modelPage->table()->model()->rowCount() == 0) scanModels();
  edited();
}

void NewRunView::open(const QJsonObject& request) {
  if (request.contains("config")) {
    const RunConfig config = RunConfig::read(fromQt(request.value("config"))).config;
    m_draft->replace(config, tr("Copy the run's config"));
    if (const auto branch = request.value("branch").toString(); !branch.isEmpty())
      m_parent->setRun(branch, request.value("name").toString(), config);
    else
      m_parent->clear();
    m_rail->choose("changed");
  } else if (request.contains("model")) {
    m_draft->set("model.path", request.value("model").toString().toStdString());
    m_rail->choose("model");
  } else if (request.contains("preset")) {
    const auto name = request.value("preset").toString();
    if (const auto* preset = m_presets.find(name.toStdString())) {
      m_draft->startFrom(name, preset->config);
    } else {
      m_pendingPreset = name;  // the list is still being read
    }
  }
}

QJsonObject NewRunView::saveState() const {
  QJsonArray sizes;
  for (int size : m_split->sizes()) sizes << size;
  return {{"step", m_rail->current()}, {"split", sizes}};
}

void NewRunView::restoreState(const QJsonObject& state) {
  if (const auto step = state.value("step").toString(); !step.isEmpty()) m_rail->choose(step);
  QList<int> sizes;
  for (const auto& size : state.value("split").toArray()) sizes << size.toInt();
  if (sizes.size() == 2 && sizes[0] > 0 && sizes[1] > 0) m_split->setSizes(sizes);
}

}  // namespace rankscope::ui
