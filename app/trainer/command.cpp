#include "app/trainer/command.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>

namespace rankscope {
namespace {

// Columns on screen of UTF-8 text: one per code point, which holds for the names and symbols used here.
size_t displayWidth(const std::string& text) {
  size_t width = 0;
  for (unsigned char c : text) width += (c & 0xC0) != 0x80;
  return width;
}

const CLI::App* innermost(const CLI::App* app) {
  for (;;) {
    const auto given = app->get_subcommands();
    if (given.empty()) return app;
    app = given.back();
  }
}

}  // namespace

std::string TextTable::toText() const {
  std::vector<size_t> widths(header.size(), 0);
  const auto widen = [&](const std::vector<std::string>& row) {
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) widths[i] = std::max(widths[i], displayWidth(row[i]));
  };
  widen(header);
  for (const auto& row : rows) widen(row);

  std::string text;
  const auto append = [&](const std::vector<std::string>& row) {
    std::string line;
    for (size_t i = 0; i < widths.size(); ++i) {
      const std::string cell = i < row.size() ? row[i] : std::string();
      const std::string gap(widths[i] - displayWidth(cell), ' ');
      const bool right = std::find(rightAligned.begin(), rightAligned.end(), i) != rightAligned.end();
      if (i > 0) line += "  ";
      line += right ? gap + cell : cell + gap;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  append(header);
  std::string rule;
  for (size_t i = 0; i < widths.size(); ++i) rule += (i > 0 ? "  " : "") + std::string(widths[i], '-');
  text += rule + '\n';
  for (const auto& row : rows) append(row);
  return text;
}

const std::function<int()>* CommandContext::bodyFor(const CLI::App& root) const {
  const auto found = m_bodies.find(innermost(&root));
  return found == m_bodies.end() ? nullptr : &found->second;
}

void CommandContext::print(const nlohmann::json& document, const TextTable& table) const {
  print(document, table.toText());
}

void CommandContext::print(const nlohmann::json& document, const std::string& text) const {
  // Foreign text (samples, file names) may hold bytes that are not UTF-8; they are replaced, not fatal.
  if (json)
    fmt::print(stdout, "{}\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  else
    fmt::print(stdout, "{}{}", text, text.empty() || text.back() == '\n' ? "" : "\n");
  std::fflush(stdout);
}

void CommandContext::note(const std::string& line) const {
  if (verbosity >= 0) fmt::print(stderr, "{}\n", line);
}

void CommandContext::detail(const std::string& line) const {
  if (verbosity >= 1) fmt::print(stderr, "{}\n", line);
}

void CommandContext::warn(const std::string& line) const { fmt::print(stderr, "warning: {}\n", line); }

int CommandContext::fail(const Error& error) const { return fail(std::vector<Error>{error}); }

int CommandContext::fail(const std::vector<Error>& errors) const {
  if (errors.empty()) return 0;
  for (const Error& error : errors) fmt::print(stderr, "error: {}\n", error.message());
  if (json) {
    nlohmann::json document = {{"error", errorDocument(errors.front())}};
    if (errors.size() > 1) {
      document["errors"] = nlohmann::json::array();
      for (const Error& error : errors) document["errors"].push_back(errorDocument(error));
    }
    fmt::print(stdout, "{}\n", document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
    std::fflush(stdout);
  }
  return exitCode(errors.front().code);
}

nlohmann::json errorDocument(const Error& error) {
  return {{"code", errorCodeName(error.code)}, {"what", error.what},         {"where", error.where},
          {"found", error.found},              {"expected", error.expected}, {"hint", error.hint}};
}

std::string formatBytes(double bytes) {
  const char* const units[] = {"B", "kB", "MB", "GB", "TB"};
  size_t unit = 0;
  while (std::abs(bytes) >= 999.5 && unit + 1 < std::size(units)) bytes /= 1000, ++unit;
  return fmt::format("{:.{}f} {}", bytes, unit == 0 || bytes >= 99.5 ? 0 : 1, units[unit]);
}

std::string formatSeconds(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "–";
  if (seconds < 60) return fmt::format("{:.1f} s", seconds);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02d} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02d} min", whole / 3600, whole % 3600 / 60);
}

std::string formatCount(int64_t count) {
  std::string digits = std::to_string(count < 0 ? -count : count);
  for (int64_t i = static_cast<int64_t>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<size_t>(i), ",");
  return count < 0 ? "-" + digits : digits;
}

std::string formatNumber(double value, int digits) {
  if (!std::isfinite(value)) return "not finite";
  return fmt::format("{:.{}g}", value, digits);
}

}  // namespace rankscope
