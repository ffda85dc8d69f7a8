#include "ui/shell/work_unit.h"

#include <QCoreApplication>

#include "ui/shell/format.h"

namespace rankscope::ui {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("WorkUnit", text); }

bool isImages(const std::string& unit) { return unit == "images"; }

}  // namespace

QString unitTitle(const std::string& unit) { return isImages(unit) ? tr("Images") : tr("Tokens"); }

QString unitsText(const std::string& unit, double count) {
  return (isImages(unit) ? tr("%1 images") : tr("%1 tokens")).arg(formatCompact(count));
}

QString speedUnit(const std::string& unit) { return isImages(unit) ? tr("images/s") : tr("tokens/s"); }

}  // namespace rankscope::ui
