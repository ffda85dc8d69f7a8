#include "ui/shell/queue_model.h"

#include "ui/shell/format.h"
#include "ui/shell/job_result.h"
#include "ui/shell/trainer_client.h"
#include "ui/theme/theme.h"

#include <QCoreApplication>
#include <QHash>

namespace rankscope::ui {

namespace {

QString stateName(const Job& job) { return QLatin1String(jobStateName(job.state)); }

}  // namespace

QString jobKindTitle(const QString& kind) {
  static const QHash<QString, const char*> titles = {
      {QStringLiteral("train"), QT_TRANSLATE_NOOP("JobKind", "Train")},
      {QStringLiteral("resume"), QT_TRANSLATE_NOOP("JobKind", "Resume")},
      {QStringLiteral("eval"), QT_TRANSLATE_NOOP("JobKind", "Evaluate")},
      {QStringLiteral("branch"), QT_TRANSLATE_NOOP("JobKind", "Branch")},
      {QStringLiteral("spectrum"), QT_TRANSLATE_NOOP("JobKind", "Spectrum")},
      {QStringLiteral("merge"), QT_TRANSLATE_NOOP("JobKind", "Merge")},
      {QStringLiteral("export"), QT_TRANSLATE_NOOP("JobKind", "Export")},
      {QStringLiteral("import"), QT_TRANSLATE_NOOP("JobKind", "Import")},
  };
  const auto it = titles.constFind(kind);
  return it == titles.constEnd() ? kind : QCoreApplication::translate("JobKind", *it);
}

void QueueModel::setJobs(std::vector<Job> jobs) {
  const bool sameRows = jobs.size() == m_jobs.size() &&
                        std::equal(jobs.begin(), jobs.end(), m_jobs.begin(),
                                   [](const Job& a, const Job& b) { return a.id == b.id; });
  if (sameRows) {
    m_jobs = std::move(jobs);
    if (!m_jobs.empty()) Q_EMIT dataChanged(index(0, 0), index(static_cast<int>(m_jobs.size()) - 1, ColumnCount - 1));
    return;
  }
  beginResetModel();
  m_jobs = std::move(jobs);
  endResetModel();
}

const Job* QueueModel::jobAt(int row) const {
  return row >= 0 && row < static_cast<int>(m_jobs.size()) ? &m_jobs[static_cast<size_t>(row)] : nullptr;
}

int QueueModel::rowOf(qint64 id) const {
  for (size_t i = 0; i < m_jobs.size(); ++i)
    if (m_jobs[i].id == id) return static_cast<int>(i);
  return -1;
}

int QueueModel::rowCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : static_cast<int>(m_jobs.size()); }
int QueueModel::columnCount(const QModelIndex& parent) const { return parent.isValid() ? 0 : ColumnCount; }

QVariant QueueModel::data(const QModelIndex& index, int role) const {
  const Job* job = index.isValid() ? jobAt(index.row()) : nullptr;
  if (!job) return {};
  const QString state = stateName(*job);
  switch (role) {
    case Qt::DisplayRole:
    case Qt::AccessibleTextRole:
      switch (index.column()) {
        case State:
          return job->cancelRequested && job->state == JobState::Running ? tr("Stopping") : stateTitle(state);
        case Name: return QString::fromStdString(job->spec.name);
        case Kind: return jobKindTitle(QString::fromStdString(job->spec.kind));
        case Slot:
          return job->spec.slot == "any"                       ? tr("any device")
                 : job->spec.slot == TrainerClient::kAsideSlot ? tr("beside runs")
                                                               : QString::fromStdString(job->spec.slot);
        case Progress:
          return job->state == JobState::Running && job->progress >= 0 ? formatShare(job->progress) : QString();
        case Detail:
          return job->error || job->state == JobState::Done ? jobOutcomeLine(*job) : QString::fromStdString(job->detail);
        case When:
          return formatWhen(job->finishedAt > 0 ? job->finishedAt : job->startedAt > 0 ? job->startedAt : job->createdAt);
        default: return {};
      }
    case Qt::ToolTipRole:
      if (job->error) return QString::fromStdString(job->error->message());
      return index.column() == Detail ? index.data(Qt::DisplayRole) : QVariant();
    case Qt::DecorationRole:
      return index.column() == State ? QVariant(icon(stateIcon(state), stateColour(state))) : QVariant();
    case Qt::ForegroundRole:
      if (job->error && index.column() == Detail) return colours().danger;
      return job->finishedAt > 0 && index.column() != Name ? QVariant(colours().textMuted) : QVariant();
    case ProgressRole: return job->state == JobState::Running ? job->progress : -1.0;
    case IdRole: return static_cast<qint64>(job->id);
    default: return {};
  }
}

QVariant QueueModel::headerData(int section, Qt::Orientation orientation, int role) const {
  if (orientation != Qt::Horizontal || role != Qt::DisplayRole) return {};
  switch (section) {
    case State: return tr("State");
    case Name: return tr("Name");
    case Kind: return tr("Job");
    case Slot: return tr("Device");
    case Progress: return tr("Progress");
    case Detail: return tr("What it is doing");
    case When: return tr("Since");
    default: return {};
  }
}

}  // namespace rankscope::ui
