#pragma once
// Asks what to make of a run's result and where to put it: a merged model, a PEFT adapter or a GGUF adapter. Shows the
// command that will do it, refuses a place where something stands (never overwrites) and says why. GUI thread; the disk
// is looked at on a worker thread.

#include <QDialog>
#include <QTimer>

#include "core/config/places.h"
#include "ui/library/run_output.h"

class QComboBox;
class QLabel;
class QLineEdit;
class QPushButton;
class QRadioButton;

namespace rankscope::ui {

class Settings;

// What the dialog has to know of the run.
struct OutputSubject {
  QString runId, name, method;
  double parameters = 0, trainable = 0;
  std::vector<std::pair<qint64, bool>> checkpoints;  // step, is the best
};

class OutputDialog : public QDialog {
  Q_OBJECT

 public:
  OutputDialog(OutputSubject subject, OutputKind kind, const Places& places, Settings& settings, QWidget* parent);
  OutputWish wish() const;

 private:
  void buildKinds(class QVBoxLayout* column);
  void setKind(OutputKind kind);
  QString reasonAgainst(OutputKind kind) const;
  void propose();  // a destination that is free
  void look();     // at the one that stands there
  void showDestination(const Destination& destination);
  void refresh();
  double bytes() const;
  void sayShards();

  OutputSubject m_subject;
  OutputKind m_kind;
  Places m_places;
  Settings& m_settings;
  QTimer m_wait;
  quint64 m_asked = 0;
  QString m_proposed;  // as long as it is not edited it follows the kind
  bool m_free = false, m_shardsGood = true;
  std::vector<std::pair<OutputKind, QRadioButton*>> m_kinds;
  QLabel *m_explanation, *m_about, *m_command, *m_weightsLabel, *m_shardLabel, *m_shardNote, *m_baseLabel;
  QLineEdit *m_destination, *m_shard, *m_base;
  QComboBox *m_checkpoint, *m_weights;
  QPushButton* m_ok;
};

}  // namespace rankscope::ui
