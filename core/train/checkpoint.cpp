#include "core/train/checkpoint.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>

#include "core/config/files.h"
#include "core/config/json_text.h"
#include "core/io/safetensors.h"
#include "core/io/safetensors_writer.h"

namespace rankscope {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int kCheckpointVersion = 1;
constexpr int64_t kManifestLimit = 1 << 20;
constexpr int64_t kTrainerLimit = 16 << 20;
constexpr const char* kUnfinishedPrefix = ".writing-";

struct TensorFile {
  const char* name;
  TensorMap CheckpointContents::*tensors;
};
constexpr TensorFile kTensorFiles[] = {{"trainable.safetensors", &CheckpointContents::trainable},
                                       {"optimizer.safetensors", &CheckpointContents::optimizer},
                                       {"method.safetensors", &CheckpointContents::method}};

Error damaged(const fs::path& file, std::string what, std::string found, std::string expected) {
  return {ErrorCode::BadInput, std::move(what), pathText(file), std::move(found), std::move(expected),
          "The checkpoint is damaged; resume from an earlier one (rankscope-train branch RUN --at STEP)."};
}

Error failedToWrite(const fs::path& file, int reason) {
  Error error = systemError(reason, "the checkpoint cannot be written", file);
  error.code = ErrorCode::Io;  // a folder that has gone is as curable as a full disk
  return error;
}

struct FileSum {
  int64_t bytes = 0;
  uint32_t crc = 0;
};

Result<FileSum> sumOf(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return damaged(file, "a file of the checkpoint cannot be read", std::strerror(errno), "a readable file");
  FileSum sum;
  std::vector<char> buffer(1 << 20);
  uLong crc = crc32(0, nullptr, 0);
  while (in.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || in.gcount() > 0) {
    crc = crc32(crc, reinterpret_cast<const Bytef*>(buffer.data()), static_cast<uInt>(in.gcount()));
    sum.bytes += in.gcount();
  }
  if (in.bad()) return damaged(file, "a file of the checkpoint cannot be read", std::strerror(errno), "a readable file");
  sum.crc = static_cast<uint32_t>(crc);
  return sum;
}

Result<void> syncPath(const fs::path& path, bool folder) {
  const int fd = ::open(path.c_str(), folder ? O_RDONLY | O_DIRECTORY | O_CLOEXEC : O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failedToWrite(path, errno);
  const int failed = ::fsync(fd) != 0 ? errno : 0;
  ::close(fd);
  if (failed) return failedToWrite(path, failed);
  return {};
}

std::string folderName(int64_t step) { return fmt::format("step-{:08d}", step); }

int64_t stepOfFolder(const std::string& name) {
  if (name.rfind("step-", 0) != 0) return -1;
  int64_t step = -1;
  const auto [end, failure] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
  return failure == std::errc() && end == name.data() + name.size() ? step : -1;
}

// JSON has no infinity; a best value that is not finite is written as null.
json numberOrNull(double value) { return std::isfinite(value) ? json(value) : json(nullptr); }

json toJson(const TrainerState& state) {
  return {{"version", kCheckpointVersion},
          {"step", state.step},
          {"tokens", state.tokens},
          {"seconds", state.seconds},
          {"life", state.life},
          {"threads", state.threads},
          {"compute_dtype", state.computeDtype},
          {"best", {{"metric", state.bestMetric}, {"value", numberOrNull(state.bestValue)}, {"step", state.bestStep}}},
          {"bad_evaluations", state.badEvaluations},
          {"last_evaluated_step", state.lastEvaluatedStep},
          {"last_evaluation", state.lastEvaluation},
          {"labels", state.labels}};
}

Result<TrainerState> trainerStateFrom(const json& document, const fs::path& file) {
  try {
    if (document.at("version").get<int>() != kCheckpointVersion)
      return damaged(file, "the checkpoint is of another version", document.at("version").dump(),
                     std::to_string(kCheckpointVersion));
    TrainerState state;
    state.step = document.at("step").get<int64_t>();
    state.tokens = document.at("tokens").get<int64_t>();
    state.seconds = document.at("seconds").get<double>();
    state.life = document.at("life").get<int64_t>();
    state.threads = document.at("threads").get<int>();
    state.computeDtype = document.at("compute_dtype").get<std::string>();
    const json& best = document.at("best");
    state.bestMetric = best.at("metric").get<std::string>();
    state.bestValue = best.at("value").is_null() ? 0 : best.at("value").get<double>();
    state.bestStep = best.at("step").get<int64_t>();
    state.badEvaluations = document.at("bad_evaluations").get<int64_t>();
    state.lastEvaluatedStep = document.at("last_evaluated_step").get<int64_t>();
    state.lastEvaluation = document.at("last_evaluation");
    state.labels = document.at("labels").get<std::vector<std::string>>();
    if (state.step < 0) return damaged(file, "the checkpoint's step is negative", std::to_string(state.step), "0 or more");
    return state;
  } catch (const json::exception& problem) {
    return damaged(file, "the trainer's state cannot be read", problem.what(), "the fields that version 1 has");
  }
}

Result<CheckpointInfo> fill(const fs::path& folder, const CheckpointContents& contents) {
  std::vector<std::string> names;
  for (const TensorFile& file : kTensorFiles) {
    NamedTensors tensors;
    for (const auto& [name, tensor] : contents.*file.tensors) tensors.emplace_back(name, tensor.detach());
    if (auto saved = writeSafetensors(folder / file.name, tensors); !saved) return saved.error();
    names.emplace_back(file.name);
  }
  if (auto saved = writeFileAtomically(folder / "trainer.json", toJson(contents.trainer).dump(2)); !saved)
    return saved.error();
  names.emplace_back("trainer.json");

  CheckpointInfo info;
  info.step = contents.trainer.step;
  json manifest = {{"version", kCheckpointVersion}, {"step", info.step}, {"files", json::object()}};
  for (const std::string& name : names) {
    if (auto synced = syncPath(folder / name, false); !synced) return synced.error();
    Result<FileSum> sum = sumOf(folder / name);
    if (!sum) return sum.error();
    manifest["files"][name] = {{"bytes", sum->bytes}, {"crc32", fmt::format("{:08x}", sum->crc)}};
    info.bytes += sum->bytes;
  }
  if (auto saved = writeFileAtomically(folder / "manifest.json", manifest.dump(2)); !saved) return saved.error();
  if (auto synced = syncPath(folder, true); !synced) return synced.error();
  return info;
}

Result<json> readJson(const fs::path& file, int64_t limit) {
  Result<std::string> bytes = readFileBounded(file, static_cast<size_t>(limit));
  if (!bytes) return bytes.error();
  Result<json> document = parseJson(*bytes, pathText(file));
  if (document && !document->is_object())
    return damaged(file, "the file is not a JSON object", describeJson(*document), "a JSON object");
  return document;
}

Result<TensorMap> readTensors(const fs::path& path) {
  auto file = SafetensorsFile::open(path);
  if (!file) return file.error();
  TensorMap tensors;
  for (const TensorInfo& info : (*file)->header().tensors) {
    Result<at::Tensor> tensor = (*file)->tensor(info.name);
    if (!tensor) return tensor.error();
    tensors.emplace(info.name, tensor->clone());  // the mapping goes, the checkpoint may be pruned
  }
  return tensors;
}

// Swaps two folders' names in one step, so that no kill can leave the checkpoint without its name.
bool exchangeNames(const fs::path& a, const fs::path& b) {
  return ::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) == 0;
}

}  // namespace

Result<CheckpointInfo> writeCheckpoint(const fs::path& runDir, const CheckpointContents& contents) {
  const fs::path parent = runDir / "checkpoints";
  std::error_code failure;
  fs::create_directories(parent, failure);
  if (failure) return failedToWrite(parent, failure.value());
  const std::string name = folderName(contents.trainer.step);
  const fs::path temporary = parent / (kUnfinishedPrefix + name);
  const fs::path final = parent / name;
  fs::remove_all(temporary, failure);
  fs::create_directory(temporary, failure);
  if (failure) return failedToWrite(temporary, failure.value());

  Result<CheckpointInfo> info = fill(temporary, contents);
  if (!info) {
    fs::remove_all(temporary, failure);  // gives the space back at once
    Error error = info.error();
    error.code = ErrorCode::Io;
    return error;
  }
  // The same step again (asked for by hand after the scheduled one): the new one takes the old one's name.
  if (fs::exists(final) && exchangeNames(temporary, final)) {
    fs::remove_all(temporary, failure);
  } else {
    fs::remove_all(final, failure);  // a file system without an exchange; older checkpoints remain
    fs::rename(temporary, final, failure);
    if (failure) return failedToWrite(final, failure.value());
  }
  if (auto synced = syncPath(parent, true); !synced) return synced.error();
  info->path = final;
  return info;
}

Result<CheckpointContents> readCheckpoint(const fs::path& checkpoint) {
  Result<json> manifest = readJson(checkpoint / "manifest.json", kManifestLimit);
  if (!manifest) return manifest.error();
  const json& files = manifest->contains("files") ? (*manifest)["files"] : json();
  if (!files.is_object()) return damaged(checkpoint / "manifest.json", "the manifest lists no files", "", "\"files\"");
  const auto verify = [&](const std::string& name) -> Result<void> {
    const auto entry = files.find(name);
    if (entry == files.end() || !entry->is_object())
      return damaged(checkpoint / "manifest.json", "a file is not in the manifest", "", name);
    Result<FileSum> sum = sumOf(checkpoint / name);
    if (!sum) return sum.error();
    const std::string crc = fmt::format("{:08x}", sum->crc);
    const json bytes = entry->value("bytes", json()), expectedCrc = entry->value("crc32", json());
    if (bytes != json(sum->bytes))
      return damaged(checkpoint / name, "the file has another length than the manifest says",
                     fmt::format("{} bytes", sum->bytes), bytes.dump() + " bytes");
    if (expectedCrc != json(crc))
      return damaged(checkpoint / name, "the file's checksum is wrong", crc, expectedCrc.dump());
    return {};
  };

  CheckpointContents contents;
  if (auto good = verify("trainer.json"); !good) return good.error();
  Result<json> document = readJson(checkpoint / "trainer.json", kTrainerLimit);
  if (!document) return document.error();
  Result<TrainerState> state = trainerStateFrom(*document, checkpoint / "trainer.json");
  if (!state) return state.error();
  contents.trainer = std::move(*state);
  for (const TensorFile& file : kTensorFiles) {
    if (auto good = verify(file.name); !good) return good.error();
    Result<TensorMap> tensors = readTensors(checkpoint / file.name);
    if (!tensors) return tensors.error();
    contents.*file.tensors = std::move(*tensors);
  }
  return contents;
}

std::vector<CheckpointInfo> listCheckpoints(const fs::path& runDir) {
  std::vector<CheckpointInfo> found;
  std::error_code failure;
  for (fs::directory_iterator it(runDir / "checkpoints", failure), end; !failure && it != end; it.increment(failure)) {
    const int64_t step = stepOfFolder(it->path().filename().string());
    if (step < 0) continue;
    CheckpointInfo info{it->path(), step, 0};
    std::error_code ignored;
    for (fs::directory_iterator file(it->path(), ignored), last; !ignored && file != last; file.increment(ignored)) {
      std::error_code unknown;
      const auto size = file->file_size(unknown);
      if (!unknown) info.bytes += static_cast<int64_t>(size);
    }
    found.push_back(std::move(info));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
  return found;
}

void pruneCheckpoints(const fs::path& runDir, int64_t keep, int64_t bestStep) {
  std::error_code failure;
  std::vector<fs::path> leftovers;
  for (fs::directory_iterator it(runDir / "checkpoints", failure), end; !failure && it != end; it.increment(failure))
    if (it->path().filename().string().rfind(kUnfinishedPrefix, 0) == 0) leftovers.push_back(it->path());
  for (const fs::path& path : leftovers) fs::remove_all(path, failure);
  int64_t kept = 0;
  for (const CheckpointInfo& info : listCheckpoints(runDir))
    if (kept++ >= std::max<int64_t>(1, keep) && info.step != bestStep) fs::remove_all(info.path, failure);
}

Result<FoundCheckpoint> findGoodCheckpoint(const fs::path& runDir, int64_t atStep, std::vector<Error>& warnings) {
  for (const CheckpointInfo& info : listCheckpoints(runDir)) {
    if (atStep >= 0 && info.step > atStep) continue;
    Result<CheckpointContents> contents = readCheckpoint(info.path);
    if (contents) return FoundCheckpoint{info, std::move(*contents)};
    warnings.push_back(contents.error());
  }
  return Error{ErrorCode::BadInput,
               "the run has no checkpoint to go on from",
               pathText(runDir / "checkpoints"),
               warnings.empty() ? "none" : fmt::format("{} damaged", warnings.size()),
               atStep >= 0 ? fmt::format("one at step {} or before", atStep) : "a whole checkpoint",
               "Start the run again from its config.json: rankscope-train train --config " +
                   pathText(runDir / "config.json")};
}

}  // namespace rankscope
