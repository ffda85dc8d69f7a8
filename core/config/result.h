#pragma once
// Expected failures are values. An Error carries all a person needs to act on it: what happened, where (file, key, row,
// step), what was found, what was expected, and what to do. No Error without a hint.

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace rankscope {

// Classes of failure; the trainer's exit code follows from them (ARCHITECTURE: Commands and places).
enum class ErrorCode {
  Usage,        // wrong option or config                      -> exit 2
  BadInput,     // a file that cannot be read or is malformed  -> exit 3
  Training,     // not finite, out of memory                   -> exit 4
  Interrupted,  // stopped after a checkpoint                  -> exit 5
  Store,        // store busy or damaged                       -> exit 6
  Io,           // disk full, read-only, permission            -> exit 1
  Internal      // a defect of the program                     -> exit 1
};

struct Error {
  ErrorCode code = ErrorCode::Internal;
  std::string what;      // "rank is out of range"
  std::string where;     // "method.rank", "train.tsv:17", "model.safetensors"
  std::string found;     // "0"
  std::string expected;  // "1 … 384"
  std::string hint;      // "Choose a rank of at least 1."

  // One readable paragraph: "what (where): found …, expected …. hint".
  std::string message() const;
};

// Exit code of rankscope-train for an error of this class.
int exitCode(ErrorCode code);
const char* errorCodeName(ErrorCode code);

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : m_state(std::move(value)) {}
  Result(Error error) : m_state(std::move(error)) {}

  bool ok() const { return std::holds_alternative<T>(m_state); }
  explicit operator bool() const { return ok(); }
  T& value() & { return std::get<T>(m_state); }
  const T& value() const& { return std::get<T>(m_state); }
  // By value, not T&&: `for (auto& x : *call())` must keep what it walks over alive.
  T value() && { return std::get<T>(std::move(m_state)); }
  T* operator->() { return &std::get<T>(m_state); }
  const T* operator->() const { return &std::get<T>(m_state); }
  T& operator*() & { return std::get<T>(m_state); }
  const T& operator*() const& { return std::get<T>(m_state); }
  T operator*() && { return std::get<T>(std::move(m_state)); }
  const Error& error() const { return std::get<Error>(m_state); }

 private:
  std::variant<T, Error> m_state;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : m_error(std::move(error)) {}
  bool ok() const { return !m_error.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *m_error; }

 private:
  std::optional<Error> m_error;
};

// Inside an engine where unwinding is the only sane control flow (a failing step deep in autograd), an Error may
// travel as an exception; it is turned back into a Result at the module's edge.
class ErrorException : public std::exception {
 public:
  explicit ErrorException(Error error) : m_error(std::move(error)), m_text(m_error.message()) {}
  const char* what() const noexcept override { return m_text.c_str(); }
  const Error& error() const { return m_error; }

 private:
  Error m_error;
  std::string m_text;
};

}  // namespace rankscope
