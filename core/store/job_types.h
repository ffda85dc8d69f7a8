#pragma once
// The queue: jobs with a frozen config, taken in order of position, one at a time per device slot. Spectra: packed
// arrays with shape and dtype. Plain values.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/config/result.h"

namespace rankscope {

enum class JobState { Queued, Held, Running, Done, Failed, Cancelled };
const char* jobStateName(JobState state);
std::optional<JobState> jobStateFromName(const std::string& name);

struct JobSpec {
  std::string kind = "train";  // train resume evaluate spectrum merge export import
  std::string name;            // shown in the queue
  nlohmann::json config;       // train: a complete RunConfig; else the command's parameters
  std::string slot = "any";    // "cpu", "cuda:0", … or "any"
  std::string runId;           // the run it will make or is about; "" = a new uuid is given to a train job
  std::string group;           // jobs of one sweep share it
  bool held = false;
};

struct Job {
  int64_t id = 0;
  JobSpec spec;
  JobState state = JobState::Queued;
  int64_t position = 0;  // order among queued and held ones, ascending
  int attempts = 0;
  double createdAt = 0, startedAt = 0, finishedAt = 0;  // 0 = not yet
  bool cancelRequested = false;                         // of a running job: its runner stops it
  std::string worker;                                   // who claimed it: "host pid start-time"
  std::string detail;                                   // last word of progress
  double progress = -1;                                 // 0 … 1; -1 = unknown
  std::optional<Error> error;
  nlohmann::json result;
};

// A packed array of spectra: singular values, similarity matrices, curves over training.
enum class ArrayType { Float32, Float64, Int32, UInt8 };
size_t arrayTypeSize(ArrayType type);

struct ArrayBlob {
  ArrayType type = ArrayType::Float32;
  std::vector<int64_t> shape;
  std::string bytes;    // row-major, little-endian
  nlohmann::json meta;  // whatever the producer needs beside it (rank, epsilon, method of computation, seconds)
  int64_t elements() const;
  std::vector<double> toDoubles() const;
  static ArrayBlob fromFloats(std::vector<int64_t> shape, const std::vector<float>& values);
  static ArrayBlob fromDoubles(std::vector<int64_t> shape, const std::vector<double>& values);
};

struct SpectrumKey {
  std::string owner;  // a run's id, or "model:<content hash>" for spectra of base weights
  int64_t step = -1;  // -1 = of no step
  std::string site;   // name of the weight matrix; "" = of the whole run
  std::string name;   // "singular_values", "similarity", "intruders", …
};
struct SpectrumInfo {
  SpectrumKey key;
  ArrayType type = ArrayType::Float32;
  std::vector<int64_t> shape;
  int64_t packedBytes = 0;
  double savedAt = 0;
  nlohmann::json meta;
};

}  // namespace rankscope
