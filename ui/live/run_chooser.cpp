#include "ui/live/run_chooser.h"

#include <QSignalBlocker>
#include <algorithm>

#include "core/store/store.h"
#include "ui/shell/format.h"
#include "ui/shell/store_service.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int64_t kShown = 300;

}  // namespace

RunChooser::RunChooser(StoreService* store, QWidget* parent) : QComboBox(parent), m_store(store) {
  setObjectName("runChooser");
  setAccessibleName(tr("Run"));
  setMinimumWidth(280);
  setMaxVisibleItems(24);
  setSizeAdjustPolicy(QComboBox::AdjustToMinimumContentsLengthWithIcon);
  setMinimumContentsLength(32);
  connect(this, &QComboBox::activated, this, [this](int at) {
    m_id = itemData(at, IdRole).toString();
    Q_EMIT chosen(m_id);
  });
  connect(store, &StoreService::opened, this, &RunChooser::reload);
  connect(store, &StoreService::runsChanged, this, &RunChooser::reload);
  connect(&Theme::instance(), &Theme::changed, this, &RunChooser::reload);
  if (store->isOpen()) reload();
}

void RunChooser::reload() {
  RunQuery query;
  query.limit = kShown;
  query.withMetrics = false;
  query.withSparkline = false;
  m_store->read(this, "runs", [query](Store& s) { return s.listRuns(query); }, [this](Result<RunPage> page) {
    if (!page.ok()) return;
    auto rows = std::move(page->rows);
    std::stable_sort(rows.begin(), rows.end(), [](const RunRow& a, const RunRow& b) { return a.live() > b.live(); });
    QSignalBlocker quiet(this);
    clear();
    for (const auto& row : rows) {
      const auto status = QString::fromStdString(row.status);
      addItem(icon(stateIcon(status), stateColour(status)),
              QStringLiteral("%1   %2").arg(QString::fromStdString(row.name),
                                            row.live() ? stateTitle(status) : formatWhen(row.createdAt)),
              QString::fromStdString(row.id));
      setItemData(count() - 1, status, StatusRole);
      setItemData(count() - 1, tr("%1, %2").arg(QString::fromStdString(row.name), stateTitle(status)), Qt::ToolTipRole);
    }
    m_loaded = true;
    choose(m_id);
    quiet.unblock();
    Q_EMIT reloaded();
  });
}

void RunChooser::choose(const QString& id) {
  m_id = id;
  const QSignalBlocker quiet(this);
  int at = findData(id, IdRole);
  if (at < 0 && !id.isEmpty()) {
    insertItem(0, tr("Run %1").arg(id.left(8)), id);
    at = 0;
  }
  setCurrentIndex(id.isEmpty() ? -1 : at);
}

QString RunChooser::runName() const { return currentText().section("   ", 0, 0); }

}  // namespace rankscope::ui
