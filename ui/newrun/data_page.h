#pragma once
// Picks the data: files and format, columns mapped to roles, and what becomes of it: the first rows as tokens with the
// loss mask in colour, the lengths and what the cut-off costs, or images over their classes; rows that could not be read.
// GUI thread.

#include <QWidget>

#include "ui/newrun/answers.h"

class QLabel;
class QPlainTextEdit;
class QSplitter;
class QStackedWidget;
class QTabWidget;

namespace rankscope::ui {

class ColumnRoles;
class ImageGrid;
class LengthHistogram;
class OptionField;
class OptionForm;
class RunDraft;
class TokenView;

class DataPage : public QWidget {
  Q_OBJECT

 public:
  explicit DataPage(RunDraft* draft, QWidget* parent = nullptr);
  void setDetails(const DataDetails& details);
  void setDetailsFailed(const QString& message);
  void setPreview(const DataPreview& preview);
  void setPreviewPending(const QString& what = {}, double share = 0);
  void setPreviewFailed(const QString& message);
  OptionForm* form() const { return m_files; }
  OptionForm* moreForm() const { return m_more; }
  ColumnRoles* roles() const { return m_roles; }
  TokenView* tokens() const { return m_tokens; }
  ImageGrid* images() const { return m_images; }

 Q_SIGNALS:
  void focused(OptionField* field);

 private:
  RunDraft* m_draft;
  OptionForm* m_files;
  OptionForm* m_more;
  ColumnRoles* m_roles;
  QStackedWidget* m_shown;  // tokens or images
  TokenView* m_tokens;
  ImageGrid* m_images;
  LengthHistogram* m_lengths;
  QLabel* m_rows;
  QLabel* m_verdict;
  QLabel* m_previewCaption;
  QPlainTextEdit* m_problems;
  QTabWidget* m_tabs;
};

}  // namespace rankscope::ui
