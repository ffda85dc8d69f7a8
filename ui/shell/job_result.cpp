#include "ui/shell/job_result.h"

#include <QCoreApplication>
#include <QDesktopServices>
#include <QDialogButtonBox>
#include <QDir>
#include <QFormLayout>
#include <QHeaderView>
#include <QLabel>
#include <QLocale>
#include <QPushButton>
#include <QTableWidget>
#include <QUrl>
#include <QVBoxLayout>
#include <cmath>

#include "core/config/task_heads.h"
#include "ui/live/error_panel.h"
#include "ui/shell/answer_fields.h"
#include "ui/shell/facts.h"
#include "ui/shell/format.h"
#include "ui/shell/queue_model.h"
#include "ui/shell/trainer_client.h"
#include "ui/shell/work_unit.h"
#include "ui/theme/theme.h"

namespace rankscope::ui {
namespace {

using namespace answer;

QString tr(const char* text, int n = -1) { return QCoreApplication::translate("JobResult", text, nullptr, n); }

QString nameOf(const Job& job) { return QString::fromStdString(job.spec.name); }

// "2.1e-6": small numbers as they are, whatever the locale's habits with zeros.
QString difference(double value) { return value == 0 ? QStringLiteral("0") : formatNumber(value, 2); }

QString comparedOn(const Json& check) {
  const int rows = static_cast<int>(whole(check, "rows"));
  if (flag(check, "from_data")) return tr("%n row(s) of the data", rows);
  return text(check, "unit") == QLatin1String("images") ? tr("%n made-up image(s)", rows) : tr("%n made-up sequence(s)", rows);
}

QString checkLine(const Json& check) {
  if (!check.is_object()) return {};
  return tr("outputs equal: largest difference %1 on %2").arg(difference(number(check, "largest_difference")), comparedOn(check));
}

QString filesLine(const Json& result) {
  const int count = static_cast<int>(items(member(result, "files")).size());
  if (count == 0) return {};
  return tr("%n file(s)", count) + QStringLiteral(", ") + formatBytes(number(result, "bytes"));
}

// "accuracy 0.874, loss 0.41 on 1,043 rows"
QString scoresLine(const Json& result) {
  const Json& values = member(result, "values");
  if (!values.is_object() || values.empty()) return {};
  QStringList parts;
  for (const auto& [name, value] : values.items())
    parts << QString::fromStdString(name) + QLatin1Char(' ') + formatNumber(value.is_number() ? value.get<double>() : std::nan(""), 5);
  return tr("%1 on %2 rows").arg(parts.join(QStringLiteral(", ")), formatInteger(whole(result, "examples")));
}

struct TableRow {
  QString name, value;
};
QTableWidget* makeTable(const char* objectName, const QString& accessibleName, const QStringList& header, const std::vector<TableRow>& rows) {
  constexpr int kMostShown = 8;
  auto* table = new QTableWidget(static_cast<int>(rows.size()), 2);
  table->setObjectName(QLatin1String(objectName));
  table->setAccessibleName(accessibleName);
  table->setHorizontalHeaderLabels(header);
  table->setProperty("role", QStringLiteral("frame"));
  table->setEditTriggers(QAbstractItemView::NoEditTriggers);
  table->setSelectionBehavior(QAbstractItemView::SelectRows);
  table->setShowGrid(false);
  table->setTabKeyNavigation(false);
  table->verticalHeader()->hide();
  table->verticalHeader()->setDefaultSectionSize(space::rowHeight());
  table->horizontalHeader()->setHighlightSections(false);
  table->horizontalHeader()->setDefaultAlignment(Qt::AlignLeft | Qt::AlignVCenter);
  table->horizontalHeader()->setSectionResizeMode(0, QHeaderView::Stretch);
  table->horizontalHeaderItem(1)->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
  int row = 0;
  for (const TableRow& each : rows) {
    table->setItem(row, 0, new QTableWidgetItem(each.name));
    auto* value = new QTableWidgetItem(each.value);
    value->setTextAlignment(Qt::AlignRight | Qt::AlignVCenter);
    table->setItem(row++, 1, value);
  }
  table->setFixedHeight(std::min(row, kMostShown) * space::rowHeight() + table->horizontalHeader()->sizeHint().height() + 4);
  return table;
}

}  // namespace

bool hasResultPage(const Job& job) {
  return job.spec.kind == "eval" || job.spec.kind == "merge" || job.spec.kind == "export" || job.spec.kind == "import";
}

QString jobOutcomeTitle(const Job& job) {
  const QString kind = QString::fromStdString(job.spec.kind);
  if (job.state == JobState::Done) {
    if (kind == QLatin1String("merge")) return tr("Merged %1").arg(nameOf(job));
    if (kind == QLatin1String("export")) return tr("Exported %1").arg(nameOf(job));
    if (kind == QLatin1String("import")) return tr("Imported %1").arg(nameOf(job));
    if (kind == QLatin1String("eval")) return tr("Evaluated %1").arg(nameOf(job));
    return tr("%1 of %2 is done").arg(jobKindTitle(kind), nameOf(job));
  }
  if (job.state == JobState::Failed) return tr("%1 of %2 failed").arg(jobKindTitle(kind), nameOf(job));
  return tr("%1 of %2: %3").arg(jobKindTitle(kind), nameOf(job), stateTitle(QLatin1String(jobStateName(job.state))));
}

QString jobOutcomeLine(const Job& job) {
  if (job.error) return QString::fromStdString(job.error->what);
  if (!hasResultPage(job)) return {};
  QStringList parts;
  for (const QString& part : {checkLine(member(job.result, "check")), filesLine(job.result), scoresLine(job.result)})
    if (!part.isEmpty()) parts << part;
  return parts.join(QStringLiteral("  ·  "));
}

QString jobFolder(const Job& job) { return hasResultPage(job) ? text(job.result, "folder") : QString(); }

QString commandLineOf(const JobSpec& job) {
  return TrainerClient::shellCommand(
      QStringList{QStringLiteral("rankscope-train"), QString::fromStdString(job.kind)} + texts(job.config, "arguments"));
}

void openFolderOf(const QString& folder, const std::function<void(const QString&)>& say) {
  if (!QDesktopServices::openUrl(QUrl::fromLocalFile(folder))) say(tr("No program opens folders here. It is %1").arg(folder));
}

JobResultDialog::JobResultDialog(const Job& job, QWidget* parent) : QDialog(parent) {
  setObjectName(QStringLiteral("jobResult"));
  setWindowTitle(jobOutcomeTitle(job));
  setMinimumWidth(space::scaled(600));
  auto* column = new QVBoxLayout(this);
  column->setContentsMargins(space::kPage, space::kWide, space::kPage, space::kWide);
  column->setSpacing(space::kUnit);
  const Json& result = job.result;
  const Json& check = member(result, "check");
  const QString state = QLatin1String(jobStateName(job.state));

  auto* head = new QHBoxLayout;
  head->setSpacing(space::kUnit);
  auto* mark = new QLabel;
  const auto paint = [mark, state] {
    mark->setPixmap(iconPixmap(stateIcon(state), stateColour(state), space::kWide, mark->devicePixelRatioF()));
  };
  paint();
  connect(&Theme::instance(), &Theme::changed, mark, paint);
  auto* title = new QLabel(jobOutcomeTitle(job));
  title->setObjectName(QStringLiteral("resultTitle"));
  title->setTextFormat(Qt::PlainText);
  title->setWordWrap(true);
  makeHeading(title);
  head->addWidget(mark, 0, Qt::AlignTop);
  head->addWidget(title, 1);
  column->addLayout(head);
  if (job.error) {
    auto* error = new ErrorPanel;
    error->setAccessibleName(tr("Why it failed"));
    error->setError(*job.error, 0);
    column->addWidget(error);
  }
  if (check.is_object()) {
    auto* said = new QLabel(tr("What was written was read again and answers as the trained model does: the largest difference of a "
                               "logit is %1, where the largest logit is %2 and %3 of it is allowed.")
                                .arg(difference(number(check, "largest_difference")), formatNumber(number(check, "largest_logit"), 3),
                                     formatNumber(number(check, "tolerance"), 2)));
    said->setObjectName(QStringLiteral("resultCheck"));
    said->setWordWrap(true);
    column->addWidget(said);
  }

  auto* form = new QFormLayout;
  form->setHorizontalSpacing(space::kWide);
  form->setVerticalSpacing(space::kHalf);
  const auto fact = [form](const QString& name, const QString& value) { addFact(form, name, value); };
  if (check.is_object())
    fact(tr("Compared on"), text(check, "unit") == QLatin1String("images")
                                ? comparedOn(check)
                                : comparedOn(check) + QStringLiteral(", ") + unitsText(kUsualUnit, number(check, "tokens")));
  fact(tr("What"), text(result, "kind"));
  if (job.state == JobState::Done && job.spec.kind == "eval") {
    const QString file = text(result, "data"), record = text(result, "recorded");
    fact(tr("Data"), file.isEmpty() ? tr("the run's own evaluation data") : file);
    fact(tr("Rows"), formatInteger(whole(result, "examples")));
    if (!record.isEmpty()) fact(tr("In the record as"), record + QStringLiteral("…"));
  }
  if (member(result, "step").is_number()) fact(tr("Step"), formatInteger(whole(result, "step")));
  if (member(result, "sites").is_number())
    fact(tr("Sites"), tr("%1, %2 trained parameters").arg(formatInteger(whole(result, "sites")), formatInteger(whole(result, "trainable"))));
  fact(tr("Remarks"), texts(result, "remarks").join(QLatin1Char('\n')));
  fact(tr("Folder"), jobFolder(job));
  if (job.finishedAt > job.startedAt && job.startedAt > 0) fact(tr("Took"), formatDuration(job.finishedAt - job.startedAt));
  fact(tr("Command"), commandLineOf(job.spec));
  column->addLayout(form);

  std::vector<TableRow> files, scores;
  for (const Json& file : items(member(result, "files"))) files.push_back({text(file, "name"), formatBytes(number(file, "bytes"))});
  if (!files.empty()) column->addWidget(makeTable("resultFiles", tr("Files"), {tr("File"), tr("Size")}, files));
  if (const Json& values = member(result, "values"); values.is_object())
    for (const auto& [name, value] : values.items())
      scores.push_back({QString::fromStdString(name), formatNumber(value.is_number() ? value.get<double>() : std::nan(""), 5)});
  if (!scores.empty()) column->addWidget(makeTable("resultScores", tr("Scores"), {tr("Metric"), tr("Value")}, scores));
  column->addStretch(1);

  auto* buttons = new QDialogButtonBox(QDialogButtonBox::Close);
  const auto say = [this](const QString& message) { Q_EMIT statusMessage(message); };
  const auto go = [&](const QString& label, const char* name, const QString& view, const QJsonObject& request) {
    auto* button = buttons->addButton(label, QDialogButtonBox::ActionRole);
    button->setObjectName(QLatin1String(name));
    connect(button, &QPushButton::clicked, this, [this, view, request] {
      Q_EMIT showView(view, request);
      accept();
    });
  };
  if (const QString folder = jobFolder(job); !folder.isEmpty()) {
    auto* open = buttons->addButton(tr("Open folder"), QDialogButtonBox::ActionRole);
    open->setObjectName(QStringLiteral("openResultFolder"));
    connect(open, &QPushButton::clicked, this, [folder, say] { openFolderOf(folder, say); });
    if (job.spec.kind == "merge") go(tr("Use in New run"), "useResult", QStringLiteral("newrun"), {{QStringLiteral("model"), folder}});
  }
  const QString run = text(result, "run");
  const bool imported = job.spec.kind == "import";
  if (job.state == JobState::Done && (imported || job.spec.kind == "eval") && !run.isEmpty())
    go(tr("Show the run"), "showResultRun", QStringLiteral("runs"), {{QStringLiteral("run"), run}});
  if (job.state == JobState::Done && imported && !run.isEmpty()) {
    go(tr("Evaluate…"), "evaluateResultRun", QStringLiteral("runs"),
       {{QStringLiteral("run"), run}, {QStringLiteral("evaluate"), true}});
    go(tr("Go on training it…"), "goOnFromResult", QStringLiteral("runs"),
       {{QStringLiteral("run"), run}, {QStringLiteral("goOn"), true}});
  }
  column->addWidget(buttons);
  connect(buttons, &QDialogButtonBox::rejected, this, &QDialog::reject);
  buttons->button(QDialogButtonBox::Close)->setDefault(true);
}

}  // namespace rankscope::ui
