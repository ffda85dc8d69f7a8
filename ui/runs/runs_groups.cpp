// Groups and saved views of the table of runs (runs_view.h).
#include "core/store/store.h"
#include "ui/runs/filter_box.h"
#include "ui/runs/groups_model.h"
#include "ui/runs/run_table.h"
#include "ui/runs/runs_view.h"
#include "ui/shell/store_service.h"
#include "ui/theme/theme.h"

#include <QHeaderView>
#include <QInputDialog>
#include <QJsonDocument>
#include <QMenu>
#include <QTableView>
#include <QToolButton>

namespace rankscope::ui {

namespace {

const QStringList kKeys = {QStringLiteral("method"), QStringLiteral("rank"), QStringLiteral("model"), QStringLiteral("data"),
                           QStringLiteral("task"),   QStringLiteral("seed"), QStringLiteral("status"), QStringLiteral("tag")};

QString keyTitle(const QString& key) { return key == QLatin1String("tag") ? RunsView::tr("Tag") : groupKeyTitle(key); }

}  // namespace

void RunsView::buildGroupMenu() {
  m_groupMenu = new QMenu(m_groupButton);
  m_groupButton->setMenu(m_groupMenu);
  connect(m_groupMenu, &QMenu::aboutToShow, this, [this] {
    m_groupMenu->clear();
    connect(m_groupMenu->addAction(tr("Every run by itself")), &QAction::triggered, this, [this] { setGroupKeys({}); });
    connect(m_groupMenu->addAction(tr("Method × rank")), &QAction::triggered, this,
            [this] { setGroupKeys({QStringLiteral("method"), QStringLiteral("rank")}); });
    connect(m_groupMenu->addAction(tr("Data × method × rank")), &QAction::triggered, this, [this] {
      setGroupKeys({QStringLiteral("data"), QStringLiteral("method"), QStringLiteral("rank")});
    });
    m_groupMenu->addSeparator();
    for (const QString& key : kKeys) {
      QAction* action = m_groupMenu->addAction(keyTitle(key));
      action->setCheckable(true);
      action->setChecked(m_groupKeys.contains(key));
      connect(action, &QAction::toggled, this, [this, key](bool on) {
        QStringList keys = m_groupKeys;
        on ? keys.push_back(key) : void(keys.removeAll(key));
        setGroupKeys(keys);
      });
    }
    m_groupMenu->addSeparator();
    connect(m_groupMenu->addAction(tr("By another option…")), &QAction::triggered, this, [this] {
      store().read(this, "groupkeys", [](Store& s) { return s.names(); }, [this](Result<FilterNames> names) {
        QStringList keys;
        if (names.ok())
          for (const std::string& key : names->configKeys) keys << QString::fromStdString(key);
        bool chosen = false;
        const QString key = QInputDialog::getItem(this, tr("Group by"), tr("Option"), keys, 0, true, &chosen);
        if (chosen && !key.isEmpty() && !m_groupKeys.contains(key)) setGroupKeys(m_groupKeys + QStringList{key});
      });
    });
  });
}

void RunsView::setGroupKeys(const QStringList& keys) {
  m_groupKeys = keys;
  QStringList titles;
  for (const QString& key : keys) titles << keyTitle(key);
  m_groupButton->setText(keys.isEmpty() ? tr("Group") : titles.join(QStringLiteral(" × ")));
  m_columnsButton->setEnabled(keys.isEmpty());
  if (keys.isEmpty()) {
    store().drop(this, "groups");
    m_groups->setGroups({}, {}, {});
  } else {
    loadGroups();
  }
  updatePages();
}

void RunsView::loadGroups() {
  GroupQuery query;
  query.runs = m_query;
  for (const QString& key : m_groupKeys) query.keys.push_back(key.toStdString());
  QStringList metrics = {QStringLiteral("eval_loss")};
  for (const QString& metric : m_metricNames)
    if (metric.startsWith(QLatin1String("eval/")) && metric != QLatin1String("eval/loss")) metrics << metric;
  metrics << QStringLiteral("seconds") << QStringLiteral("memory");
  for (const QString& metric : metrics) query.metrics.push_back(metric.toStdString());
  store().read(this, "groups", [query](Store& s) { return s.groupRuns(query); },
               [this, keys = m_groupKeys, metrics](Result<std::vector<RunGroup>> groups) {
                 if (!groups.ok()) {
                   Q_EMIT statusMessage(QString::fromStdString(groups.error().message()));
                   return;
                 }
                 // A metric that no group has would only be a column of dashes.
                 QStringList kept;
                 std::vector<size_t> places;
                 for (qsizetype i = 0; i < metrics.size(); ++i) {
                   const auto at = static_cast<size_t>(i);
                   if (std::any_of(groups->begin(), groups->end(), [at](const RunGroup& g) { return g.statistics[at].n > 0; })) {
                     kept << metrics[i];
                     places.push_back(at);
                   }
                 }
                 for (RunGroup& group : *groups) {
                   std::vector<GroupStatistic> statistics;
                   for (const size_t at : places) statistics.push_back(group.statistics[at]);
                   group.statistics = std::move(statistics);
                 }
                 const bool first = m_groups->columnCount() != static_cast<int>(keys.size() + 1 + kept.size());
                 m_groups->setGroups(keys, kept, std::move(*groups));
                 if (first)
                   for (int i = 0; i < m_groups->columnCount(); ++i)
                     m_groupTable->setColumnWidth(i, i < keys.size() ? 150 : i == keys.size() ? 50 : 150);
                 const QHeaderView* header = m_groupTable->horizontalHeader();
                 if (header->sortIndicatorSection() >= 0) m_groups->sort(header->sortIndicatorSection(), header->sortIndicatorOrder());
               });
}

void RunsView::buildSavedMenu() {
  m_savedMenu = new QMenu(m_savedButton);
  m_savedButton->setMenu(m_savedMenu);
  const auto load = [this] {
    store().read(this, "saved", [](Store& s) { return s.savedViews("runs"); }, [this](Result<std::vector<SavedView>> views) {
      m_savedMenu->clear();
      if (views.ok()) {
        for (const SavedView& saved : *views) {
          const QString name = QString::fromStdString(saved.name);
          const QByteArray body = QByteArray::fromStdString(saved.body.dump());
          QAction* apply = m_savedMenu->addAction(icon(QStringLiteral("bookmark")), name);
          connect(apply, &QAction::triggered, this, [this, body] { restoreState(QJsonDocument::fromJson(body).object()); });
        }
        if (!views->empty()) {
          QMenu* remove = m_savedMenu->addMenu(icon(QStringLiteral("delete")), tr("Remove"));
          for (const SavedView& saved : *views) {
            connect(remove->addAction(QString::fromStdString(saved.name)), &QAction::triggered, this, [this, name = saved.name] {
              store().write(this, {}, [name](Store& s) { return s.deleteView("runs", name); },
                            [this](Result<void> done) {
                              Q_EMIT statusMessage(done.ok() ? tr("View removed") : QString::fromStdString(done.error().message()));
                            });
            });
          }
          m_savedMenu->addSeparator();
        }
      }
      connect(m_savedMenu->addAction(icon(QStringLiteral("add")), tr("Save this arrangement…")), &QAction::triggered, this,
              &RunsView::saveArrangement);
    });
  };
  // Read ahead of being opened: a menu that fills while it is open jumps under the mouse.
  connect(&store(), &StoreService::opened, this, load);
  connect(m_savedMenu, &QMenu::aboutToHide, this, load);
  connect(&store(), &StoreService::queueChanged, this, load);
  load();
}

void RunsView::saveArrangement() {
  bool chosen = false;
  const QString name = QInputDialog::getText(this, tr("Save view"), tr("Name"), QLineEdit::Normal, {}, &chosen).trimmed();
  if (!chosen || name.isEmpty()) return;
  const SavedView view{name.toStdString(), nlohmann::json::parse(QJsonDocument(saveState()).toJson().toStdString())};
  store().write(this, {}, [view](Store& s) { return s.saveView("runs", view); }, [this, name](Result<void> done) {
    Q_EMIT statusMessage(done.ok() ? tr("View “%1” saved").arg(name) : QString::fromStdString(done.error().message()));
  });
}

}  // namespace rankscope::ui
