#pragma once
// Asks for an adapter made elsewhere (a PEFT folder, or a file of LoRA's factors) that becomes a run, and for its base
// model where the adapter does not name one that is here. The helper reads the headers while one types. GUI thread.

#include <QDialog>
#include <QTimer>

#include "core/store/job_types.h"
#include "ui/library/library_item.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;

namespace rankscope::ui {

class TrainerClient;

struct ImportWish {
  QString adapter, base, name, alpha, task;  // empty: as the adapter tells it
};
JobSpec importJob(const ImportWish& wish, const std::string& asideSlot);

class ImportDialog : public QDialog {
  Q_OBJECT

 public:
  ImportDialog(TrainerClient& trainer, const QString& adapter, QWidget* parent);
  ImportWish wish() const;

 private:
  void look();
  void showAdapter(const Result<nlohmann::json>& answer);
  void lookAtBase();
  void lookWhetherItFits(const QString& base);
  void refresh();

  TrainerClient& m_trainer;
  QTimer m_wait;
  LibraryItem m_item;
  QString m_adapterProblem, m_baseProblem, m_baseFacts;
  bool m_known = false;      // the adapter was read
  bool m_baseKnown = false;  // and the base model, which it fits
  QLineEdit *m_adapter, *m_base, *m_name, *m_alpha;
  QComboBox* m_task;
  QLabel *m_about, *m_problem, *m_aboutBase, *m_command, *m_alphaLabel;
  QPushButton* m_ok;
};

}  // namespace rankscope::ui
