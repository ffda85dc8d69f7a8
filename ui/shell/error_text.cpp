#include "ui/shell/error_text.h"

#include <QCoreApplication>
#include <QStringList>

namespace rankscope::ui {

QString errorText(const Error& error) {
  QString text = QString::fromStdString(error.what);
  if (!text.isEmpty()) text[0] = text[0].toUpper();
  QStringList facts;
  if (!error.found.empty()) facts << QCoreApplication::translate("ErrorText", "found %1").arg(QString::fromStdString(error.found));
  if (!error.expected.empty()) facts << QCoreApplication::translate("ErrorText", "expected %1").arg(QString::fromStdString(error.expected));
  if (!facts.isEmpty()) text += QStringLiteral(": ") + facts.join(QStringLiteral(", "));
  if (!text.endsWith(QLatin1Char('.'))) text += QLatin1Char('.');
  if (!error.hint.empty()) text += QLatin1Char(' ') + QString::fromStdString(error.hint);
  return text;
}

}  // namespace rankscope::ui
