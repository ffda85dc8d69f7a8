#pragma once
// The helper that answers the workbench's quick questions: JSON lines in, JSON lines out.
//   {"id":n,"method":"…","params":{…},"slot":"…"} -> {"id":n,"progress":{…}}* then {"id":n,"result":…} or {"id":n,"error":{…}}
//   {"method":"cancel","params":{"id":n}}
// A request with a slot cancels older ones of the same slot. Reading happens on the caller's thread, work on others;
// every answer is one line, written whole.

#include <atomic>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/config/result.h"

namespace rankscope {

struct ServeCall {
  const Places& places;
  const nlohmann::json& params;
  const std::atomic<bool>& cancelled;
  std::function<void(nlohmann::json)> progress;
};

// Each lane works through its questions in turn, on a thread of its own.
enum class ServeLane {
  Quick,  // answered from headers and configs
  Heavy,  // loads data, tokenizers or models
  Search  // walks through folders
};

struct ServeMethod {
  const char* name;
  ServeLane lane;
  Result<nlohmann::json> (*answer)(const ServeCall& call);
};
const std::vector<ServeMethod>& serveMethods();

// Reads `in` until its end; returns 0.
int serve(std::istream& in, std::ostream& out, const Places& places);

}  // namespace rankscope
