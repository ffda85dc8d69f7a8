#include "ui/shell/plurals.h"

#include <QCoreApplication>

namespace rankscope::ui {

QString EnglishPlurals::translate(const char*, const char* source, const char*, int n) const {
  if (n < 0 || !source) return {};
  QString text = QString::fromUtf8(source);
  return text.replace(QStringLiteral("(s)"), n == 1 ? QString() : QStringLiteral("s"));
}

void installPlurals(QCoreApplication& app) { QCoreApplication::installTranslator(new EnglishPlurals(&app)); }

}  // namespace rankscope::ui
