#include "core/config/result.h"

#include <fmt/format.h>

namespace rankscope {

std::string Error::message() const {
  std::string text = what;
  if (!where.empty()) text += fmt::format(" ({})", where);
  if (!found.empty() && !expected.empty())
    text += fmt::format(": found {}, expected {}", found, expected);
  else if (!found.empty())
    text += fmt::format(": found {}", found);
  else if (!expected.empty())
    text += fmt::format(": expected {}", expected);
  if (!text.empty() && text.back() != '.') text += '.';
  if (!hint.empty()) text += ' ' + hint;
  return text;
}

int exitCode(ErrorCode code) {
  switch (code) {
    case ErrorCode::Usage: return 2;
    case ErrorCode::BadInput: return 3;
    case ErrorCode::Training: return 4;
    case ErrorCode::Interrupted: return 5;
    case ErrorCode::Store: return 6;
    case ErrorCode::Io:
    case ErrorCode::Internal: return 1;
  }
  return 1;
}

const char* errorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::Usage: return "usage";
    case ErrorCode::BadInput: return "bad_input";
    case ErrorCode::Training: return "training";
    case ErrorCode::Interrupted: return "interrupted";
    case ErrorCode::Store: return "store";
    case ErrorCode::Io: return "io";
    case ErrorCode::Internal: return "internal";
  }
  return "internal";
}

}  // namespace rankscope
