#pragma once
// Why a run failed: what, where, what was found and expected, and what to do; with the last lines the trainer printed
// when it died without a word. GUI thread.

#include <QFrame>

#include "core/config/result.h"

class QLabel;
class QToolButton;

namespace rankscope::ui {

class ErrorPanel : public QFrame {
  Q_OBJECT

 public:
  explicit ErrorPanel(QWidget* parent = nullptr);
  void setError(const Error& error, qint64 step, const QString& lastWords = {});
  void clear();
  QString text() const { return m_copyText; }

 private:
  QLabel *m_title, *m_facts, *m_hint, *m_words;
  QToolButton* m_copy;
  QString m_copyText;
};

}  // namespace rankscope::ui
