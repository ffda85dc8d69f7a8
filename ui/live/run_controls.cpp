#include "ui/live/run_controls.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QtConcurrent>

#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

constexpr int kTick = 200;          // the waiting time counts visibly
constexpr int kNoteStays = 6000;    // ms after an acknowledgement
constexpr qint64 kLong = 4000;      // ms after which the trainer's doing is given as the reason

struct Wish {
  Command command;
  const char* text;
  const char* icon;
  const char* tip;
};

const Wish kWishes[] = {
    {Command::Pause, QT_TRANSLATE_NOOP("RunControls", "Pause"), "pause",
     QT_TRANSLATE_NOOP("RunControls", "Hold training after the present step")},
    {Command::Continue, QT_TRANSLATE_NOOP("RunControls", "Continue"), "play",
     QT_TRANSLATE_NOOP("RunControls", "Go on training")},
    {Command::Checkpoint, QT_TRANSLATE_NOOP("RunControls", "Checkpoint"), "save",
     QT_TRANSLATE_NOOP("RunControls", "Save a checkpoint after the present step")},
    {Command::Evaluate, QT_TRANSLATE_NOOP("RunControls", "Evaluate"), "evaluate",
     QT_TRANSLATE_NOOP("RunControls", "Evaluate after the present step")},
    {Command::Sample, QT_TRANSLATE_NOOP("RunControls", "Sample"), "sample",
     QT_TRANSLATE_NOOP("RunControls", "Generate the sample prompts after the present step")},
    {Command::Stop, QT_TRANSLATE_NOOP("RunControls", "Stop"), "stop",
     QT_TRANSLATE_NOOP("RunControls", "Save a checkpoint and end; the run can be resumed")},
};

}  // namespace

RunControls::RunControls(QWidget* parent) : QWidget(parent) {
  setObjectName("runControls");
  auto* row = new QHBoxLayout(this);
  row->setContentsMargins(0, 0, 0, 0);
  row->setSpacing(space::kHalf);
  m_note = new QLabel;
  m_note->setObjectName("controlNote");
  m_note->setAccessibleName(tr("State of the last command"));
  m_note->setAlignment(Qt::AlignRight | Qt::AlignVCenter);
  makeCaption(m_note);
  m_note->setSizePolicy(QSizePolicy::Ignored, QSizePolicy::Preferred);
  row->addWidget(m_note, 1);
  row->addSpacing(space::kHalf);
  for (const auto& wish : kWishes) {
    auto* button = new QPushButton(tr(wish.text));
    button->setObjectName("command:" + QString::fromLatin1(commandName(wish.command)));
    button->setIcon(icon(wish.icon));
    const QString iconName = QString::fromLatin1(wish.icon);
    connect(&Theme::instance(), &Theme::changed, button, [button, iconName] { button->setIcon(icon(iconName)); });
    connect(button, &QPushButton::clicked, this, [this, command = wish.command] { send(command); });
    row->addWidget(button);
    m_buttons[static_cast<int>(wish.command)] = button;
  }
  m_resume = new QPushButton(tr("Resume"));
  m_resume->setObjectName("resumeRun");
  const auto resumeIcon = [this] { m_resume->setIcon(icon("resume", ui::palette().accentText)); };
  resumeIcon();
  connect(&Theme::instance(), &Theme::changed, m_resume, resumeIcon);
  m_resume->setToolTip(tr("Go on from the newest good checkpoint, to the same bits as without the interruption"));
  makePrimary(m_resume);
  row->addWidget(m_resume);
  connect(m_resume, &QPushButton::clicked, this, &RunControls::resumeAsked);
  m_writer.setMaxThreadCount(1);
  m_clock.start();
  m_tick.setInterval(kTick);
  connect(&m_tick, &QTimer::timeout, this, &RunControls::showNote);
  m_fade.setSingleShot(true);
  m_fade.setInterval(kNoteStays);
  connect(&m_fade, &QTimer::timeout, this, [this] {
    m_lastNote.clear();
    showNote();
  });
  refresh(nullptr, std::nullopt);
}

void RunControls::setRun(const QString& id, const std::filesystem::path& folder) {
  m_run = id;
  m_folder = folder;
  m_pending.clear();
  m_acksSeen = 0;
  m_lastNote.clear();
  m_tick.stop();
  refresh(nullptr, std::nullopt);
}

QString RunControls::reason(Command command) const {
  if (m_run.isEmpty()) return tr("No run is chosen");
  if (!m_known) return tr("Not known yet whether this run is going");
  if (m_ended) return tr("This run has ended");
  if (!m_live) return tr("The trainer of this run is not running");
  for (const auto& pending : m_pending) {
    if (pending.command == command) return tr("Asked already");
  }
  const bool paused = m_state == "paused";
  if (command == Command::Pause && paused) return tr("It is paused");
  if (command == Command::Continue && !paused) return tr("It is not paused");
  if (m_state == "loading" && command != Command::Stop) return tr("It is still loading");
  return {};
}

void RunControls::send(Command command) {
  if (!reason(command).isEmpty()) return;
  Pending pending;
  pending.command = command;
  pending.since = m_clock.elapsed();
  m_pending.push_back(pending);
  m_lastNote.clear();
  m_tick.start();
  const QString run = m_run;
  QtConcurrent::run(&m_writer, [folder = m_folder, command] { return ControlWriter::send(folder, command); })
      .then(this, [this, run, command](const Result<std::string>& sent) {
        if (run != m_run) return;
        for (qsizetype i = 0; i < m_pending.size(); ++i) {
          if (m_pending[i].command != command || m_pending[i].written) continue;
          if (sent.ok()) {
            m_pending[i].written = true;
            m_pending[i].id = QString::fromStdString(*sent);
          } else {
            m_pending.removeAt(i);
            m_lastNote = tr("Not sent: %1").arg(QString::fromStdString(sent.error().message()));
            m_fade.start();
          }
          break;
        }
        showNote();
      });
  refresh(nullptr, std::nullopt);
}

void RunControls::refresh(const RunHistory* history, std::optional<Liveness> liveness) {
  if (liveness) {
    m_known = true;
    m_live = *liveness == Liveness::Live || *liveness == Liveness::Unknown;
  }
  if (history) {
    m_state = QString::fromStdString(history->state());
    m_doing = QString::fromStdString(history->doing());
    m_ended = history->ended();
    const auto& acks = history->acknowledged();
    if (m_acksSeen > acks.size()) m_acksSeen = 0;
    for (; m_acksSeen < acks.size(); ++m_acksSeen) {
      const auto& ack = acks[m_acksSeen];
      for (qsizetype i = 0; i < m_pending.size(); ++i) {
        const bool same = m_pending[i].written ? m_pending[i].id.toStdString() == ack.id
                                               : ack.command == commandName(m_pending[i].command);
        if (!same) continue;
        const double seconds = double(m_clock.elapsed() - m_pending[i].since) / 1000;
        m_lastNote = tr("%1: done at step %2, after %3 s")
                         .arg(m_buttons[static_cast<int>(m_pending[i].command)]->text().remove('&'))
                         .arg(QLocale().toString(qlonglong(ack.appliedStep)), QLocale().toString(seconds, 'f', 1));
        m_fade.start();
        m_pending.removeAt(i);
        break;
      }
    }
    if (m_ended) m_pending.clear();
  }
  const bool paused = m_state == "paused";
  for (const auto& wish : kWishes) {
    auto* button = m_buttons[static_cast<int>(wish.command)];
    const QString why = reason(wish.command);
    button->setEnabled(why.isEmpty());
    button->setToolTip(why.isEmpty() ? tr(wish.tip) : why);
  }
  button(Command::Pause)->setVisible(!paused);
  button(Command::Continue)->setVisible(paused);
  const bool resumable = !m_run.isEmpty() && m_known && !m_live && m_state != "finished" && !m_state.isEmpty();
  m_resume->setVisible(resumable);
  for (auto* each : m_buttons) {
    if (resumable) each->hide();
  }
  if (!resumable) {
    for (auto command : {Command::Checkpoint, Command::Evaluate, Command::Sample, Command::Stop}) button(command)->show();
  }
  showNote();
}

void RunControls::showNote() {
  if (m_pending.isEmpty()) {
    m_tick.stop();
    m_note->setText(m_lastNote);
    m_note->setToolTip(m_lastNote);
    return;
  }
  const auto& first = m_pending.front();
  const qint64 waited = m_clock.elapsed() - first.since;
  const QString name = m_buttons[static_cast<int>(first.command)]->text().remove('&');
  const QString seconds = QLocale().toString(double(waited) / 1000, 'f', 1);
  QString text;
  if (!m_live) {
    text = tr("%1: the trainer is gone; nothing will happen").arg(name);
  } else if (waited > kLong && !m_doing.isEmpty()) {
    text = tr("%1: waiting %2 s for the trainer, which is busy: %3").arg(name, seconds, m_doing);
  } else if (m_state == "evaluating" || m_state == "checkpointing" || m_state == "sampling") {
    text = tr("%1: waiting %2 s until it is done %3").arg(name, seconds, stateTitle(m_state).toLower());
  } else if (m_state == "loading") {
    text = tr("%1: waiting %2 s until the model is loaded").arg(name, seconds);
  } else {
    text = tr("%1: waiting %2 s for the present step to end").arg(name, seconds);
  }
  m_note->setText(text);
  m_note->setToolTip(text);
}

QString RunControls::note() const { return m_note->text(); }

}  // namespace rankscope::ui
