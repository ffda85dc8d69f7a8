#pragma once
// A run's result as something other programs load: what to write, where to, and the command that does it. Plain values;
// the functions that look at the disk are for worker threads.

#include <QString>

#include <string>
#include <vector>

#include "core/store/job_types.h"

namespace rankscope {
struct Places;
}

namespace rankscope::ui {

enum class OutputKind { Merged, Peft, Gguf };

// As merge's --shard-size: its default, and what it takes.
inline constexpr double kUsualShard = 5, kSmallestShard = 0.001, kLargestShard = 1e6;

struct OutputWish {
  OutputKind kind = OutputKind::Merged;
  QString runId, runName;
  QString destination;                          // folder; for GGUF the file
  QString checkpoint = QStringLiteral("last");  // "last", "best", or a step
  QString weights = QStringLiteral("fp32");     // of a merged model
  double shardGigabytes = kUsualShard;          // of a merged model: its largest file of weights
  QString base;                                 // how a PEFT adapter's config names its base; "" = its folder
};

QString outputTitle(OutputKind kind);        // "Merged model"
QString outputExplanation(OutputKind kind);  // what it is for, one sentence
JobSpec outputJob(const OutputWish& wish, const std::string& asideSlot);

// "lora-r8-reviews-s0" from any name; never empty, no separators.
QString fileNameFor(const QString& runName, const QString& runId);
// In `folder`, or in the kind's usual place when that is empty; not yet looked at.
QString usualDestination(const Places& places, const QString& folder, OutputKind kind, const QString& fileName);

struct Destination {
  QString problem;       // why it cannot be written there; empty: it can
  double freeBytes = -1;  // on that disk; negative: not known
};
// The size that was typed ("2.5", "2,5"), or why it cannot be used; `bytes`: of all weights, 0 when not known.
struct ShardSize {
  double gigabytes = 0;
  QString problem;
};
ShardSize readShardSize(const QString& text, double bytes);

Destination lookAtDestination(const QString& path, OutputKind kind);
// The path, or the first of path-2, path-3, … at which nothing stands yet.
QString freeDestination(const QString& path, OutputKind kind);

}  // namespace rankscope::ui
