// The table of runs as text: copied, or written to a file (runs_view.h).
#include "core/store/store.h"
#include "ui/runs/groups_model.h"
#include "ui/runs/runs_model.h"
#include "ui/runs/runs_view.h"
#include "ui/shell/store_service.h"

#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QSaveFile>

namespace rankscope::ui {

namespace {

constexpr int64_t kMostCopiedRows = 10000;

}  // namespace

// The rows that are selected, or all that fit the filter; in the order and with the columns of the table.
void RunsView::tableAsText(std::function<void(TextTable)> then) {
  if (!m_groupKeys.isEmpty()) {
    TextTable table;
    for (int c = 0; c < m_groups->columnCount(); ++c)
      table.columns.push_back({m_groups->headerData(c, Qt::Horizontal, Qt::DisplayRole).toString(), c >= m_groupKeys.size()});
    for (int r = 0; r < m_groups->rowCount(); ++r) {
      std::vector<TextCell> row;
      for (int c = 0; c < m_groups->columnCount(); ++c) {
        const QModelIndex index = m_groups->index(r, c);
        row.emplace_back(index.data().toString(), index.data(Qt::FontRole).value<QFont>().bold());
      }
      table.rows.push_back(std::move(row));
    }
    then(std::move(table));
    return;
  }
  RunQuery query = m_model->query();
  query.limit = kMostCopiedRows;
  query.offset = 0;
  query.withSparkline = false;
  const QStringList ids = selection().ids();
  if (ids.size() > 1) query.ids = strings(ids);
  store().read(this, "copy", [query](Store& s) { return s.listRuns(query); },
               [this, then = std::move(then)](Result<RunPage> page) {
                 if (!page.ok()) {
                   Q_EMIT statusMessage(QString::fromStdString(page.error().message()));
                   return;
                 }
                 TextTable table;
                 std::vector<QString> columnIds;
                 for (const RunColumn& column : m_model->columns()) {
                   if (column.id == QLatin1String("loss_curve") || column.id == QLatin1String("star")) continue;
                   table.columns.push_back({column.title, column.number});
                   columnIds.push_back(column.id);
                 }
                 for (const RunRow& run : page->rows) {
                   std::vector<TextCell> row;
                   for (const QString& id : columnIds) row.emplace_back(runColumnPlain(run, id));
                   table.rows.push_back(std::move(row));
                 }
                 then(std::move(table));
               });
}

void RunsView::copyTable(QString (TextTable::*as)() const) {
  tableAsText([this, as](const TextTable& table) {
    QApplication::clipboard()->setText((table.*as)());
    Q_EMIT statusMessage(tr("%n row(s) copied", nullptr, static_cast<int>(table.rows.size())));
  });
}

void RunsView::exportTable() {
  const QString file = QFileDialog::getSaveFileName(this, tr("Export table"), QStringLiteral("runs.csv"),
                                                    tr("CSV (*.csv);;Markdown (*.md);;LaTeX (*.tex)"));
  if (file.isEmpty()) return;
  tableAsText([this, file](const TextTable& table) {
    const QString text = file.endsWith(QLatin1String(".md")) ? table.toMarkdown()
                         : file.endsWith(QLatin1String(".tex")) ? table.toLatex() : table.toCsv();
    QSaveFile out(file);
    const QByteArray bytes = text.toUtf8();
    const bool done = out.open(QIODevice::WriteOnly) && out.write(bytes) == bytes.size() && out.commit();
    Q_EMIT statusMessage(done ? tr("Written to %1").arg(file) : tr("%1 could not be written: %2").arg(file, out.errorString()));
  });
}

}  // namespace rankscope::ui
