#include "ui/library/run_output.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QLocale>
#include <QRegularExpression>
#include <QStorageInfo>

#include "core/config/places.h"
#include "core/store/command_job.h"
#include "ui/shell/format.h"

namespace rankscope::ui {
namespace {

QString tr(const char* text) { return QCoreApplication::translate("RunOutput", text); }

constexpr int kLongestName = 80;
constexpr int kMostTries = 1000;
constexpr double kMostShards = 99999;  // model-00001-of-99999.safetensors

// The nearest folder above (or the path itself) that exists.
QFileInfo existingAbove(const QString& path) {
  QFileInfo at(path);
  while (!at.exists() && at.absolutePath() != at.absoluteFilePath()) at = QFileInfo(at.absolutePath());
  return at;
}

bool taken(const QString& path, OutputKind kind) {
  const QFileInfo info(path);
  if (!info.exists()) return false;
  return kind == OutputKind::Gguf || !info.isDir() || !QDir(path).isEmpty();
}

}  // namespace

QString outputTitle(OutputKind kind) {
  switch (kind) {
    case OutputKind::Merged: return tr("Merged model");
    case OutputKind::Peft: return tr("PEFT adapter");
    case OutputKind::Gguf: return tr("GGUF adapter");
  }
  return {};
}

QString outputExplanation(OutputKind kind) {
  switch (kind) {
    case OutputKind::Merged: return tr("A whole model with the update folded in: transformers loads the folder, and so does New run.");
    case OutputKind::Peft: return tr("Only what was trained, for PEFT and transformers; it needs the base model beside it.");
    case OutputKind::Gguf: return tr("Only what was trained, for llama.cpp beside a GGUF of the base model (LLaMA, Mistral and Qwen).");
  }
  return {};
}

JobSpec outputJob(const OutputWish& wish, const std::string& asideSlot) {
  std::vector<std::string> words = {wish.runId.toStdString(), "--out", wish.destination.toStdString()};
  const auto add = [&words](const char* option, const QString& value, const QString& standard) {
    if (value != standard && !value.isEmpty()) words.insert(words.end(), {option, value.toStdString()});
  };
  add("--checkpoint", wish.checkpoint, QStringLiteral("last"));
  if (wish.kind == OutputKind::Merged) {
    add("--weights", wish.weights, QStringLiteral("fp32"));
    add("--shard-size", plainNumber(wish.shardGigabytes), plainNumber(kUsualShard));
  } else {
    add("--as", wish.kind == OutputKind::Gguf ? QStringLiteral("gguf") : QString(), {});
    if (wish.kind == OutputKind::Peft) add("--base", wish.base, {});
  }
  return commandJob(wish.kind == OutputKind::Merged ? "merge" : "export", std::move(words), wish.runId.toStdString(),
                    wish.runName.toStdString(), asideSlot);
}

QString fileNameFor(const QString& runName, const QString& runId) {
  static const QRegularExpression odd(QStringLiteral("[^\\p{L}\\p{N}._-]+"));
  static const QRegularExpression edges(QStringLiteral("^[-.]+|[-.]+$"));
  QString name = runName.trimmed();
  name.replace(odd, QStringLiteral("-"));
  name.truncate(kLongestName);
  name.remove(edges);
  return name.isEmpty() ? QStringLiteral("run-") + runId.left(8) : name;
}

QString usualDestination(const Places& places, const QString& folder, OutputKind kind, const QString& fileName) {
  const QString exports = QString::fromStdString((places.home / "exports").string());
  const QString models = QString::fromStdString(places.models.string());
  const QString in = !folder.isEmpty() ? folder : kind == OutputKind::Merged ? models : exports;
  const QString ending = kind == OutputKind::Merged ? QStringLiteral("-merged")
                         : kind == OutputKind::Peft ? QStringLiteral("-adapter")
                                                    : QStringLiteral(".gguf");
  return QDir(in).filePath(fileName + ending);
}

ShardSize readShardSize(const QString& text, double bytes) {
  ShardSize size;
  QString plain = text.trimmed();
  bool number = false;
  size.gigabytes = plain.replace(QLatin1Char(','), QLatin1Char('.')).toDouble(&number);
  if (!number || !(size.gigabytes >= kSmallestShard && size.gigabytes <= kLargestShard))
    size.problem = tr("Give a number of gigabytes from %1 to %2.").arg(formatNumber(kSmallestShard), formatNumber(kLargestShard, 7));
  else if (bytes > size.gigabytes * 1e9 * kMostShards)
    size.problem = tr("That makes more than %1 files. Give a larger size.").arg(formatNumber(kMostShards, 5));
  return size;
}

Destination lookAtDestination(const QString& path, OutputKind kind) {
  Destination look;
  if (path.isEmpty()) {
    look.problem = tr("Say where it is to be written.");
    return look;
  }
  const QFileInfo info(path);
  if (info.isRelative()) {
    look.problem = tr("Give the whole path, from / on.");
    return look;
  }
  const QFileInfo above = existingAbove(path);
  look.freeBytes = static_cast<double>(QStorageInfo(above.absoluteFilePath()).bytesAvailable());
  if (kind == OutputKind::Gguf && info.isDir()) {
    look.problem = tr("This is a folder; name a file in it, such as adapter.gguf.");
  } else if (kind != OutputKind::Gguf && info.exists() && !info.isDir()) {
    look.problem = tr("This is a file; a new or empty folder is needed.");
  } else if (taken(path, kind)) {
    look.problem = kind == OutputKind::Gguf
                       ? tr("There is such a file already. Nothing is overwritten: choose another name.")
                       : tr("The folder holds %1 already. Nothing is overwritten: choose another name.")
                             .arg(QCoreApplication::translate("RunOutput", "%n file(s)", nullptr,
                                                              static_cast<int>(QDir(path).count()) - 2));
  } else if (!above.isDir()) {
    look.problem = tr("%1 is a file, not a folder.").arg(above.absoluteFilePath());
  } else if (!above.isWritable()) {
    look.problem = tr("You may not write into %1. Choose another place.").arg(above.absoluteFilePath());
  }
  return look;
}

QString freeDestination(const QString& path, OutputKind kind) {
  if (!taken(path, kind)) return path;
  const QString ending = kind == OutputKind::Gguf && path.endsWith(QLatin1String(".gguf")) ? QStringLiteral(".gguf") : QString();
  const QString stem = path.left(path.size() - ending.size());
  for (int number = 2; number < kMostTries; ++number) {
    const QString next = QStringLiteral("%1-%2%3").arg(stem).arg(number).arg(ending);
    if (!taken(next, kind)) return next;
  }
  return path;
}

}  // namespace rankscope::ui
