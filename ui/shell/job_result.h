#pragma once
// How a job of the queue ended, for people: the check of what was written, its files, or why it failed. One line for the
// queue's table and for the notice at its end; all of it in a window. GUI thread.

#include <QDialog>
#include <QJsonObject>

#include <functional>

#include "core/store/job_types.h"

namespace rankscope::ui {

// Imports, exports, merges and evaluations: their end is told to the user, and their result has a page.
bool hasResultPage(const Job& job);
QString jobOutcomeTitle(const Job& job);  // "Merged lora-r8-reviews-s0"
QString jobOutcomeLine(const Job& job);   // "outputs equal: largest difference 2.1e-6 on 8 rows · 5 files, 7.6 MB"
QString jobFolder(const Job& job);        // in which the files lie; empty: none

QString commandLineOf(const JobSpec& job);  // "rankscope-train merge …", to show and copy

class JobResultDialog : public QDialog {
  Q_OBJECT

 public:
  explicit JobResultDialog(const Job& job, QWidget* parent = nullptr);

 Q_SIGNALS:
  void showView(const QString& viewId, const QJsonObject& request);
  void statusMessage(const QString& text);
};

// Opens a folder with the desktop's program; says so where there is none.
void openFolderOf(const QString& folder, const std::function<void(const QString&)>& say);

}  // namespace rankscope::ui
