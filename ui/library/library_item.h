#pragma once
// What the helper tells of models and adapters (models.scan, library.describe), as values: one line of the library's
// table, and everything on the page beside it. Any thread.

#include <QString>
#include <QStringList>

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/config/result.h"

namespace rankscope::ui {

struct LibraryItem {
  bool adapter = false;
  QString path;    // as a config names it: "models:x", "starter:x", or the folder
  QString folder;  // on disk; for a single GGUF file, that file
  QString name, family, dtype, format, tokenizer, problem, licence, licenceSource;
  QString origin, root, revision;  // models, starter, hub or folder; which one; the hub's revision
  double parameters = 0, bytes = 0;
  qint64 files = 0, hidden = 0, layers = 0, vocab = 0, maxPositions = 0;
  QString chatTemplate, chatTemplateProblem;  // the name of a recognised one; why another is not
  // Of an adapter.
  QString method, task, baseNamed, basePath;
  qint64 rank = 0;
  double alpha = 0;
  QStringList targets;
};
LibraryItem readLibraryItem(const nlohmann::json& document);

struct NamedShape {
  QString name, detail;  // "4096 × 4096"; with the dtype of a tensor
  double elements = 0;
};
struct LibraryDetails {
  LibraryItem item;
  QString title;                                   // of the family
  std::vector<std::pair<QString, double>> dtypes;  // with their share of the elements, largest first
  std::vector<std::pair<QString, double>> shards;  // with their bytes
  QStringList heads, headsPresent, defaultTargets;
  std::vector<NamedShape> sites, tensors;
  QStringList missing, misshapen, unused;
  std::vector<Error> problems;
  QString config;  // config.json, indented
};
LibraryDetails readLibraryDetails(const nlohmann::json& document);

QString originTitle(const QString& origin);  // "Models folder", "Starter", "Hugging Face cache", "Added folder"
QString headTitle(const QString& head);      // "language model", "classification", …
QString peftTaskTitle(const QString& task);  // "CAUSAL_LM" -> "language model"

}  // namespace rankscope::ui
