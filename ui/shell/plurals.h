#pragma once
// English plurals for texts with a count: "%n run(s)" reads "1 run" and "2 runs". Installed below real translations, which
// bring plural forms of their own.

#include <QTranslator>

class QCoreApplication;

namespace rankscope::ui {

class EnglishPlurals : public QTranslator {
 public:
  using QTranslator::QTranslator;
  bool isEmpty() const override { return false; }
  QString translate(const char* context, const char* source, const char* disambiguation, int n) const override;
};

void installPlurals(QCoreApplication& app);

}  // namespace rankscope::ui
