#include "ui/newrun/answers.h"

#include <QHash>
#include <QLocale>

#include "core/config/method_parts.h"
#include "core/config/step_size.h"
#include "ui/shell/answer_fields.h"

namespace rankscope::ui {
namespace {

using nlohmann::json;

using namespace answer;

// Width, height and three bytes a pixel; nothing where they do not fit together.
QImage readImage(const json& image) {
  constexpr qint64 kMost = 4096;
  const auto width = whole(image, "width"), height = whole(image, "height");
  const auto bytes = QByteArray::fromBase64(text(image, "rgb").toLatin1());
  if (width < 1 || height < 1 || width > kMost || height > kMost || bytes.size() != 3 * width * height) return {};
  return QImage(reinterpret_cast<const uchar*>(bytes.constData()), int(width), int(height), int(3 * width),
                QImage::Format_RGB888).copy();
}

QHash<QString, QString> readRoles(const json& answer) {
  QHash<QString, QString> read;
  const auto& roles = member(answer, "roles");
  if (!roles.is_object()) return read;
  for (const auto& [role, column] : roles.items()) {
    if (column.is_string()) read[QString::fromStdString(role)] = QString::fromStdString(column.get<std::string>());
  }
  return read;
}

}  // namespace

ModelCard readModelCard(const json& m) {
  ModelCard card;
  card.path = text(m, "path");
  card.name = text(m, "name");
  card.family = text(m, "family");
  card.dtype = text(m, "dtype");
  const auto& tokenizer = member(m, "tokenizer");
  card.tokenizer = tokenizer.is_object() ? text(tokenizer, "kind") : text(m, "tokenizer");
  card.problem = text(m, "problem");
  const auto& problem = member(m, "problem");
  if (problem.is_object()) card.problem = text(problem, "what") + ". " + text(problem, "hint");
  card.parameters = number(m, "parameters");
  card.bytes = number(m, "bytes");
  card.hidden = whole(m, "hidden");
  card.layers = whole(m, "layers");
  card.vocab = whole(m, "vocab");
  card.maxPositions = whole(m, "max_positions");
  return card;
}

std::vector<ModelCard> readModelCards(const json& answer) {
  std::vector<ModelCard> cards;
  for (const auto& m : items(answer.is_object() ? member(answer, "models") : answer)) {
    if (text(m, "kind") != QLatin1String("adapter")) cards.push_back(readModelCard(m));
  }
  return cards;
}

ModelDetails readModelDetails(const json& answer) {
  ModelDetails details;
  details.card = readModelCard(answer);
  for (const auto& head : items(member(answer, "heads"))) {
    if (head.is_string()) details.heads << QString::fromStdString(head.get<std::string>());
  }
  for (const auto& target : items(member(answer, "default_targets"))) {
    if (target.is_string()) details.defaultTargets.push_back(target.get<std::string>());
  }
  for (const auto& s : items(member(answer, "sites"))) {
    const auto& layer = member(s, "layer");
    SiteInfo site{text(s, "name").toStdString(), text(s, "kind").toStdString(),
                  layer.is_number() ? layer.get<int64_t>() : -1, whole(s, "out"), whole(s, "in")};
    if (const auto operation = text(s, "operation"); !operation.isEmpty()) site.operation = operation.toStdString();
    for (const auto& side : items(member(s, "shape")))
      if (side.is_number_integer()) site.shape.push_back(side.get<int64_t>());
    details.sites.push_back(std::move(site));
  }
  return details;
}

DataDetails readDataDetails(const json& answer) {
  DataDetails details;
  details.format = text(answer, "format");
  for (const auto& c : items(member(answer, "columns"))) {
    details.columns.push_back({text(c, "name"), text(c, "example"), text(c, "kind")});
  }
  details.rows = whole(answer, "rows");
  for (const auto& p : items(member(answer, "problems"))) {
    details.problems.push_back({whole(p, "line"), text(p, "message")});
  }
  details.problemCount = std::max<qint64>(whole(answer, "problem_count"), qint64(details.problems.size()));
  details.guessedRoles = readRoles(answer);
  return details;
}

DataPreview readDataPreview(const json& answer) {
  DataPreview preview;
  for (const auto& r : items(member(answer, "rows"))) {
    PreviewRow row;
    for (const auto& t : items(member(r, "tokens"))) {
      // "label" says whether the token's prediction enters the loss.
      row.tokens.push_back({text(t, "text"), whole(t, "id"), flag(t, "label")});
    }
    row.length = whole(r, "length");
    row.truncated = flag(r, "truncated");
    row.label = text(r, "label");
    row.number = whole(r, "row");
    row.image = readImage(member(r, "image"));
    preview.rows.push_back(std::move(row));
  }
  const auto& histogram = member(answer, "length_histogram");
  for (const auto& e : items(member(histogram, "edges"))) preview.edges << (e.is_number() ? e.get<double>() : 0);
  for (const auto& c : items(member(histogram, "counts"))) preview.counts << (c.is_number() ? c.get<double>() : 0);
  preview.overLimit = number(histogram, "over_limit");
  preview.tokensLostShare = number(histogram, "tokens_lost_share");
  preview.images = text(answer, "format") == "images";
  for (const auto& label : items(member(answer, "labels"))) {
    if (label.is_string()) preview.labels << QString::fromStdString(label.get<std::string>());
  }
  preview.trainRows = whole(answer, "train_rows");
  preview.evalRows = whole(answer, "eval_rows");
  preview.roles = readRoles(answer);
  preview.chatTemplate = text(answer, "chat_template");
  for (const auto& p : items(member(answer, "problems")))
    if (whole(p, "row") == 0) preview.notes << text(p, "message");
  return preview;
}

RunEstimate readEstimate(const json& answer) {
  RunEstimate e;
  e.trainable = number(answer, "trainable");
  e.parameters = number(answer, "parameters");
  e.share = number(answer, "share");
  e.effectiveScale = number(answer, "effective_scale");
  e.learningRate = number(answer, "learning_rate");
  const auto& memory = member(answer, "memory");
  e.program = number(memory, "program");
  e.weights = number(memory, "weights");
  e.adapter = number(memory, "adapter");
  e.gradients = number(memory, "gradients");
  e.optimizer = number(memory, "optimizer");
  e.pageable = number(memory, "pageable");
  e.activations = number(memory, "activations");
  e.logits = number(memory, "logits");
  e.spectrum = number(memory, "spectrum");
  e.total = number(memory, "total");
  e.available = number(memory, "available");
  e.steps = number(answer, "steps");
  e.stepsPerEpoch = number(answer, "steps_per_epoch");
  e.tokensPerEpoch = number(answer, "tokens_per_epoch");
  return e;
}

CheckOutcome readCheck(const json& answer) {
  CheckOutcome outcome;
  const auto& loss = member(answer, "loss");
  outcome.loss = loss.is_number() ? loss.get<double>() : std::nan("");
  outcome.stepSeconds = number(answer, "step_seconds");
  outcome.trainingSeconds = number(answer, "training_seconds");
  outcome.peakMemory = number(answer, "peak_memory");
  for (const auto& remark : items(member(answer, "remarks"))) {
    if (remark.is_string()) outcome.remarks << QString::fromStdString(remark.get<std::string>());
  }
  return outcome;
}

std::vector<ValidationIssue> readIssues(const json& answer) {
  std::vector<ValidationIssue> issues;
  for (const auto& i : items(answer.is_object() ? member(answer, "issues") : answer)) {
    const auto& e = member(i, "error");
    Error error;
    error.code = ErrorCode::Usage;
    error.what = text(e, "what").toStdString();
    error.where = text(e, "where").toStdString();
    error.found = text(e, "found").toStdString();
    error.expected = text(e, "expected").toStdString();
    error.hint = text(e, "hint").toStdString();
    issues.push_back({text(i, "key").toStdString(), std::move(error)});
  }
  return issues;
}

std::optional<double> effectiveScale(const RunConfig& config) {
  const auto parts = partsOf(config);
  const int64_t rank = config.integer("method.rank");
  if (!parts || rank < 1) return std::nullopt;
  return updateScale(*parts, rank, config.real("method.alpha"));
}

QString learningRateText(const RunConfig& config) {
  if (followsMeft(config)) return QObject::tr("by MeFT's step");
  return QLocale().toString(config.real("optim.learning_rate"), 'g', 3);
}

}  // namespace rankscope::ui
