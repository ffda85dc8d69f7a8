#include "ui/library/shape_tree.h"

#include <QCoreApplication>
#include <QHash>
#include <QStandardItemModel>

#include "ui/shell/format.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

// While the tree grows: children by name in order of appearance.
struct Branch {
  QString name, detail;
  double elements = 0;
  std::vector<Branch> children;
  QHash<QString, size_t> index;

  Branch& child(const QString& part) {
    const auto found = index.constFind(part);
    if (found != index.constEnd()) return children[*found];
    index.insert(part, children.size());
    children.push_back({part, {}, 0, {}, {}});
    return children.back();
  }
};

bool isNumber(const QString& name) {
  bool whole = false;
  name.toLongLong(&whole);
  return whole;
}

// What makes two numbered branches alike: names and shapes of everything below.
QString signature(const ShapeNode& node) {
  QString text = node.detail;
  for (const ShapeNode& child : node.children)
    text += QLatin1Char('{') + child.name + QLatin1Char(':') + signature(child) + QLatin1Char('}');
  return text;
}

ShapeNode finished(const Branch& branch) {
  ShapeNode node{branch.name, branch.detail, branch.elements, 1, {}};
  QString last;
  qint64 lastNumber = -1;
  QString first;
  for (const Branch& each : branch.children) {
    ShapeNode child = finished(each);
    node.elements += child.elements;
    if (isNumber(each.name) && !child.children.empty()) {
      const QString now = signature(child);
      const qint64 number = each.name.toLongLong();
      if (!node.children.empty() && now == last && number == lastNumber + 1) {
        ShapeNode& before = node.children.back();
        before.name = QStringLiteral("%1 … %2").arg(first, each.name);
        before.elements += child.elements;
        ++before.alike;
        lastNumber = number;
        continue;
      }
      last = now;
      lastNumber = number;
      first = each.name;
    } else {
      last.clear();
    }
    // A part with one part below it shares its line.
    if (child.children.size() == 1 && child.detail.isEmpty() && !isNumber(each.name) && child.children[0].alike == 1 &&
        !isNumber(child.children[0].name)) {
      ShapeNode only = std::move(child.children[0]);
      only.name = child.name + QLatin1Char('.') + only.name;
      child = std::move(only);
    }
    node.children.push_back(std::move(child));
  }
  return node;
}

void append(QStandardItem* parent, const ShapeNode& node) {
  auto* name = new QStandardItem(node.name);
  auto* shape = new QStandardItem(
      node.alike > 1 ? QCoreApplication::translate("Library", "%n alike", nullptr, node.alike) : node.detail);
  auto* count = new QStandardItem(node.elements > 0 ? formatCompact(node.elements) : QString());
  count->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
  name->setSizeHint(QSize(0, space::scaled(22)));
  for (auto* item : {shape, count}) item->setForeground(colours().textMuted);
  for (auto* item : {name, shape, count}) item->setEditable(false);
  for (const ShapeNode& child : node.children) append(name, child);
  parent->appendRow({name, shape, count});
}

}  // namespace

ShapeNode shapeTree(const std::vector<NamedShape>& shapes) {
  Branch root;
  for (const NamedShape& shape : shapes) {
    Branch* at = &root;
    for (const QString& part : shape.name.split(QLatin1Char('.'))) at = &at->child(part);
    at->detail = shape.detail;
    at->elements = shape.elements;
  }
  return finished(root);
}

void fillShapeModel(QStandardItemModel* model, const ShapeNode& root) {
  model->clear();
  model->setHorizontalHeaderLabels({QCoreApplication::translate("Library", "Name"), QCoreApplication::translate("Library", "Shape"),
                                    QCoreApplication::translate("Library", "Parameters")});
  model->setHeaderData(2, Qt::Horizontal, static_cast<int>(Qt::AlignRight | Qt::AlignVCenter), Qt::TextAlignmentRole);
  for (const ShapeNode& child : root.children) append(model->invisibleRootItem(), child);
}

}  // namespace rankscope::ui
