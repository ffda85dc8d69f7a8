#pragma once
// What the helper (`rankscope-train serve`) answers to the new-run view's questions, read defensively from JSON: a
// missing or odd field leaves its default, never an exception. Plain values, any thread.

#include <QString>
#include <QHash>
#include <QImage>
#include <QStringList>
#include <QVector>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "core/config/run_config.h"
#include "ui/newrun/site_selection.h"

namespace rankscope::ui {

struct ModelCard {
  QString path, name, family, dtype, tokenizer, problem;
  double parameters = 0, bytes = 0;
  qint64 hidden = 0, layers = 0, vocab = 0, maxPositions = 0;
};
ModelCard readModelCard(const nlohmann::json& document);
std::vector<ModelCard> readModelCards(const nlohmann::json& answer);

struct ModelDetails {
  ModelCard card;
  QStringList heads;
  std::vector<std::string> defaultTargets;
  std::vector<SiteInfo> sites;
};
ModelDetails readModelDetails(const nlohmann::json& answer);

struct DataColumn {
  QString name, example, kind;
};
struct RowProblem {
  qint64 line = 0;
  QString message;
};
struct DataDetails {
  QString format;
  std::vector<DataColumn> columns;
  qint64 rows = 0;
  std::vector<RowProblem> problems;
  qint64 problemCount = 0;
  QHash<QString, QString> guessedRoles;  // role -> column name
};
DataDetails readDataDetails(const nlohmann::json& answer);

struct PreviewToken {
  QString text;
  qint64 id = 0;
  bool inLoss = false;
};
struct PreviewRow {
  std::vector<PreviewToken> tokens;
  qint64 length = 0;
  bool truncated = false;
  QString label;
  qint64 number = 0;  // in its file, from 1
  QImage image;       // of image data, as the model sees it
};
struct DataPreview {
  std::vector<PreviewRow> rows;
  bool images = false;
  QStringList labels;  // the classes in order
  QVector<double> edges, counts;
  double overLimit = 0, tokensLostShare = 0;
  qint64 trainRows = 0, evalRows = 0;
  QHash<QString, QString> roles;  // role -> column that the task takes, guessed or given
  QString chatTemplate;           // its title; empty without one
  QStringList notes;              // about the whole file
};
DataPreview readDataPreview(const nlohmann::json& answer);

struct RunEstimate {
  double trainable = 0, parameters = 0, share = 0, effectiveScale = 0, learningRate = 0;  // 0: not known yet
  double program = 0, weights = 0, adapter = 0, gradients = 0, optimizer = 0, pageable = 0, activations = 0, logits = 0, spectrum = 0;
  double total = 0, available = 0;
  double steps = 0, stepsPerEpoch = 0, tokensPerEpoch = 0;
};
RunEstimate readEstimate(const nlohmann::json& answer);

// One batch for real.
struct CheckOutcome {
  double loss = 0, stepSeconds = 0, trainingSeconds = 0, peakMemory = 0;
  QStringList remarks;  // what the trainer found worth saying: rows passed over, defaults taken
};
CheckOutcome readCheck(const nlohmann::json& answer);

std::vector<ValidationIssue> readIssues(const nlohmann::json& answer);

// Factor on the update under a config (core/config/method_parts.h); none for a method without factors.
std::optional<double> effectiveScale(const RunConfig& config);

// The learning rate in words: the number, or where it comes from when it follows from the steps.
QString learningRateText(const RunConfig& config);

}  // namespace rankscope::ui
