#include "ui/library/library_columns.h"

#include <QEvent>
#include <QGuiApplication>
#include <QHeaderView>
#include <QJsonArray>
#include <QJsonObject>
#include <QStyledItemDelegate>
#include <QTableView>
#include <numeric>

#include "ui/library/library_model.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

// A column is as wide as its heading and its texts, within these bounds; where there is no room, down to the least, but for
// figures, which are shown whole.
struct ColumnWidth {
  int least, most;
  bool whole = false;
};
constexpr ColumnWidth kWidths[LibraryModel::ColumnCount] = {{170, 280}, {124, 170}, {60, 120, true}, {40, 90, true}, {60, 110, true},
                                                            {60, 140, true}, {80, 130}, {64, 110}, {96, 240}};
constexpr int kHeading = 32, kSortedHeading = 46;  // px beside a heading's text, without and with the arrow

// A path says most at its ends.
class PathDelegate : public QStyledItemDelegate {
 public:
  using QStyledItemDelegate::QStyledItemDelegate;

 protected:
  void initStyleOption(QStyleOptionViewItem* option, const QModelIndex& index) const override {
    QStyledItemDelegate::initStyleOption(option, index);
    option->textElideMode = Qt::ElideMiddle;
  }
};

}  // namespace

LibraryColumns::LibraryColumns(QTableView* table) : QObject(table), m_table(table) {
  auto* header = table->horizontalHeader();
  header->setHighlightSections(false);
  header->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  header->setStretchLastSection(true);
  header->setSectionsMovable(true);
  header->setMinimumSectionSize(space::scaled(40));
  table->setItemDelegateForColumn(LibraryModel::Where, new PathDelegate(table));
  table->viewport()->installEventFilter(this);
  connect(header, &QHeaderView::sectionResized, this, [this](int column) {
    if (!m_fitting && column != LibraryModel::Where && (QGuiApplication::mouseButtons() & Qt::LeftButton)) m_ownWidths.insert(column);
  });
}

// Texts that may be cut short give up what is missing, each in proportion to what it can spare; where that is not enough,
// what the page beside the table tells anyway leaves it. The last column takes what is left. Widths set by hand stay.
void LibraryColumns::fit() {
  const auto* header = m_table->horizontalHeader();
  const QFontMetrics metrics(header->font());
  int wanted[LibraryModel::ColumnCount], least[LibraryModel::ColumnCount], needed = 0;
  for (int i = 0; i < LibraryModel::ColumnCount; ++i) {
    const int heading = metrics.horizontalAdvance(m_table->model()->headerData(i, Qt::Horizontal).toString()) +
                        (header->sortIndicatorSection() == i ? kSortedHeading : kHeading);
    const int texts = std::max(static_cast<QAbstractItemView*>(m_table)->sizeHintForColumn(i), heading);
    const bool own = m_ownWidths.contains(i);
    wanted[i] = own ? m_table->columnWidth(i) : std::clamp(texts, space::scaled(kWidths[i].least), space::scaled(kWidths[i].most));
    least[i] = own || kWidths[i].whole ? wanted[i] : space::scaled(kWidths[i].least);
    needed += least[i];
  }
  m_fitting = true;
  const int room = m_table->viewport()->width();
  for (const int column : {LibraryModel::Licence, LibraryModel::Tokenizer, LibraryModel::Shape, LibraryModel::Where}) {
    const bool leaves = needed > room;
    m_table->setColumnHidden(column, leaves);
    if (leaves) needed -= std::exchange(least[column], 0), wanted[column] = 0;
  }
  const int spare = std::accumulate(std::begin(wanted), std::end(wanted), 0) - needed;
  const int missing = std::clamp(spare + needed - room, 0, spare);
  int taken = 0, seen = 0;
  for (int i = 0; i < LibraryModel::ColumnCount; ++i) {
    seen += wanted[i] - least[i];
    const int upTo = spare > 0 ? static_cast<int>(static_cast<qint64>(missing) * seen / spare) : 0;
    if (!m_table->isColumnHidden(i) && !m_ownWidths.contains(i)) m_table->setColumnWidth(i, wanted[i] - (upTo - taken));
    taken = upTo;
  }
  m_fitting = false;
}

bool LibraryColumns::eventFilter(QObject* object, QEvent* event) {
  if (event->type() == QEvent::Resize) fit();
  return QObject::eventFilter(object, event);
}

void LibraryColumns::saveTo(QJsonObject* state) const {
  QJsonArray own;
  for (const int column : m_ownWidths) own << column;
  state->insert(QStringLiteral("header"), QString::fromLatin1(m_table->horizontalHeader()->saveState().toBase64()));
  state->insert(QStringLiteral("ownWidths"), own);
}

void LibraryColumns::restoreFrom(const QJsonObject& state) {
  const QByteArray header = QByteArray::fromBase64(state.value(QStringLiteral("header")).toString().toLatin1());
  if (!header.isEmpty()) m_table->horizontalHeader()->restoreState(header);
  m_ownWidths.clear();
  for (const auto& column : state.value(QStringLiteral("ownWidths")).toArray()) m_ownWidths.insert(column.toInt());
  fit();
}

}  // namespace rankscope::ui
