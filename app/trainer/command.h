#pragma once
// What every sub-command of rankscope-train shares: the user's places, where output goes, and how failures end.
//
// A sub-command is one file with one function `void addXCommand(CLI::App& root, CommandContext& context)` that declares
// its options and gives context.run(sub, …) the function to call; it is named in commands.cpp. The global options (--home,
// --json, -v, -q) are accepted before and after the sub-command's name. Everything runs on the main thread.
//
// stdout carries results only: with --json exactly one JSON document (or JSON lines where the command says so); everything
// else goes to stderr.

#include <CLI/CLI.hpp>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/config/places.h"
#include "core/config/result.h"

namespace rankscope {

// A table for people: cells are text, numeric columns are aligned to the right.
struct TextTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  std::vector<size_t> rightAligned;  // column indices
  std::string toText() const;
};

class CommandContext {
 public:
  Places places;
  bool json = false;
  int verbosity = 0;     // -q: -1, -v: 1, -vv: 2
  std::string home;      // --home as given, "" when it was not: to pass on to child processes
  std::string program;   // path of this executable, for starting child processes of itself

  // Names the function that does the sub-command's work; its value is the exit code.
  void run(CLI::App* sub, std::function<int()> body) { m_bodies[sub] = std::move(body); }
  // The body of the innermost sub-command that was given, or null.
  const std::function<int()>* bodyFor(const CLI::App& root) const;

  // With --json the document, else the table (or text).
  void print(const nlohmann::json& document, const TextTable& table) const;
  void print(const nlohmann::json& document, const std::string& text) const;
  // A line to stderr, kept back by -q.
  void note(const std::string& line) const;
  // A line to stderr only with -v.
  void detail(const std::string& line) const;
  void warn(const std::string& line) const;
  // Reports the failure (stderr; with --json also {"error": {…}} on stdout) and returns its exit code.
  int fail(const Error& error) const;
  int fail(const std::vector<Error>& errors) const;  // all of them; the exit code of the first

 private:
  std::map<const CLI::App*, std::function<int()>> m_bodies;
};

nlohmann::json errorDocument(const Error& error);  // {code, what, where, found, expected, hint}

// Human forms used by several commands.
std::string formatBytes(double bytes);      // "1.4 GB"
std::string formatSeconds(double seconds);  // "1 h 04 min", "12.3 s"
std::string formatCount(int64_t count);     // "1,327,104"
std::string formatNumber(double value, int digits = 4);

}  // namespace rankscope
