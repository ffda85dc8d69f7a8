#include "ui/library/library_item.h"

#include <QCoreApplication>
#include <QHash>

#include <algorithm>

#include "core/config/json_text.h"
#include "ui/shell/answer_fields.h"

namespace rankscope::ui {
namespace {

using nlohmann::json;
using namespace answer;

QString shapeText(const json& shape) {
  QStringList sizes;
  for (const json& size : items(shape)) sizes << (size.is_number() ? QString::number(size.get<int64_t>()) : QString());
  return sizes.isEmpty() ? QCoreApplication::translate("Library", "scalar") : sizes.join(QStringLiteral(" × "));
}

double elementsOf(const json& shape) {
  double count = 1;
  for (const json& size : items(shape)) count *= size.is_number() ? size.get<double>() : 0;
  return count;
}

Error readError(const json& document) {
  const auto field = [&](const char* key) { return text(document, key).toStdString(); };
  return {ErrorCode::BadInput, field("what"), field("where"), field("found"), field("expected"), field("hint")};
}

QString titled(const char* context, const QHash<QString, const char*>& titles, const QString& key) {
  const auto it = titles.constFind(key);
  return it == titles.constEnd() ? key : QCoreApplication::translate(context, *it);
}

}  // namespace

LibraryItem readLibraryItem(const json& m) {
  LibraryItem item;
  item.adapter = text(m, "kind") == QLatin1String("adapter");
  item.path = text(m, "path");
  item.folder = text(m, "folder");
  item.name = text(m, "name");
  item.family = text(m, "family");
  item.dtype = text(m, "dtype");
  item.format = text(m, "format");
  item.tokenizer = text(m, "tokenizer");
  item.problem = text(m, "problem");
  item.licence = text(member(m, "licence"), "name");
  item.licenceSource = text(member(m, "licence"), "source");
  item.origin = text(m, "origin");
  item.root = text(m, "root");
  item.revision = text(m, "revision");
  item.parameters = number(m, "parameters");
  item.bytes = number(m, "bytes");
  item.files = whole(m, "files");
  item.hidden = whole(m, "hidden");
  item.layers = whole(m, "layers");
  item.vocab = whole(m, "vocab");
  item.maxPositions = whole(m, "max_positions");
  const json& chat = member(m, "chat_template");
  item.chatTemplate = text(chat, "name");
  item.chatTemplateProblem = text(chat, "problem");
  item.method = text(m, "method");
  item.task = text(m, "task");
  item.baseNamed = text(member(m, "base"), "named");
  item.basePath = text(member(m, "base"), "path");
  item.rank = whole(m, "rank");
  item.alpha = number(m, "alpha");
  item.targets = texts(m, "targets");
  return item;
}

LibraryDetails readLibraryDetails(const json& m) {
  LibraryDetails details;
  details.item = readLibraryItem(m);
  details.title = text(m, "title");
  if (const json& dtypes = member(m, "dtypes"); dtypes.is_object()) {
    double total = 0;
    for (const auto& [name, count] : dtypes.items()) total += count.is_number() ? count.get<double>() : 0;
    for (const auto& [name, count] : dtypes.items())
      if (count.is_number() && total > 0)
        details.dtypes.emplace_back(QString::fromStdString(name), count.get<double>() / total);
    std::sort(details.dtypes.begin(), details.dtypes.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  }
  for (const json& shard : items(member(m, "shards"))) details.shards.emplace_back(text(shard, "name"), number(shard, "bytes"));
  details.heads = texts(m, "heads");
  details.headsPresent = texts(m, "heads_present");
  details.defaultTargets = texts(m, "default_targets");
  for (const json& site : items(member(m, "sites")))
    details.sites.push_back({text(site, "name"),
                             text(site, "operation") == QLatin1String("convolution")
                                 ? shapeText(member(site, "shape"))
                                 : QStringLiteral("%1 × %2").arg(whole(site, "out")).arg(whole(site, "in")),
                             number(site, "out") * number(site, "in")});
  for (const json& tensor : items(member(m, "tensors"))) {
    const json& shape = member(tensor, "shape");
    details.tensors.push_back({text(tensor, "name"), shapeText(shape) + QStringLiteral("  ") + text(tensor, "dtype"),
                               elementsOf(shape)});
  }
  details.missing = texts(m, "missing");
  details.misshapen = texts(m, "misshapen");
  details.unused = texts(m, "unused");
  for (const json& problem : items(member(m, "problems")))
    if (problem.is_object()) details.problems.push_back(readError(problem));
  if (const json& config = member(m, "config"); config.is_object())
    details.config = QString::fromStdString(jsonText(config, 2));
  return details;
}

QString originTitle(const QString& origin) {
  static const QHash<QString, const char*> titles = {
      {QStringLiteral("models"), QT_TRANSLATE_NOOP("Library", "Models folder")},
      {QStringLiteral("starter"), QT_TRANSLATE_NOOP("Library", "Starter")},
      {QStringLiteral("hub"), QT_TRANSLATE_NOOP("Library", "Hugging Face cache")},
      {QStringLiteral("folder"), QT_TRANSLATE_NOOP("Library", "Added folder")}};
  return titled("Library", titles, origin);
}

QString headTitle(const QString& head) {
  static const QHash<QString, const char*> titles = {
      {QStringLiteral("causal_lm"), QT_TRANSLATE_NOOP("Library", "language model")},
      {QStringLiteral("sequence_classification"), QT_TRANSLATE_NOOP("Library", "classification")},
      {QStringLiteral("masked_lm"), QT_TRANSLATE_NOOP("Library", "masked tokens")},
      {QStringLiteral("token_span"), QT_TRANSLATE_NOOP("Library", "answer spans")},
      {QStringLiteral("image_classification"), QT_TRANSLATE_NOOP("Library", "image classification")},
      {QStringLiteral("none"), QT_TRANSLATE_NOOP("Library", "none")}};
  return titled("Library", titles, head);
}

QString peftTaskTitle(const QString& task) {
  static const QHash<QString, const char*> heads = {{QStringLiteral("CAUSAL_LM"), "causal_lm"},
                                                    {QStringLiteral("SEQ_CLS"), "sequence_classification"},
                                                    {QStringLiteral("QUESTION_ANS"), "token_span"}};
  const auto head = heads.constFind(task);
  return head == heads.constEnd() ? task : headTitle(QLatin1String(*head));
}

}  // namespace rankscope::ui
