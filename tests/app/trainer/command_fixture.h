#pragma once
// Runs rankscope-train as a user does, in a home of its own. Blocking; one thread.

#include <QProcess>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/core/train/train_fixture.h"

namespace rankscope::test {

struct Answer {
  int code = -1;
  bool crashed = false;
  std::string out, err;
  nlohmann::json document() const { return nlohmann::json::parse(out, nullptr, false); }
};

inline QStringList withHome(const Home& home, const QStringList& words) {
  return QStringList{QStringLiteral("--home"), QString::fromStdString(home.places.home.string())} + words;
}

inline void startCommand(QProcess& process, const Home& home, const QStringList& words) {
  process.start(QStringLiteral(RANKSCOPE_BIN_DIR "/rankscope-train"), withHome(home, words));
}

inline Answer answerOf(QProcess& process, int milliseconds = 180000) {
  Answer answer;
  if (!process.waitForFinished(milliseconds)) {
    process.kill();
    process.waitForFinished(5000);
    answer.err = "did not end in time: " + process.readAllStandardError().toStdString();
    return answer;
  }
  answer.crashed = process.exitStatus() != QProcess::NormalExit;
  answer.code = process.exitCode();
  answer.out = process.readAllStandardOutput().toStdString();
  answer.err = process.readAllStandardError().toStdString();
  return answer;
}

inline Answer ask(const Home& home, const QStringList& words, const std::string& input = {}) {
  QProcess process;
  startCommand(process, home, words);
  process.write(input.data(), static_cast<qint64>(input.size()));
  process.closeWriteChannel();
  return answerOf(process);
}

// The home's usual small run as a file for --config.
inline QString configFile(const Home& home, const std::vector<std::string>& change = {}) {
  const std::filesystem::path file = home.places.home / "config.json";
  if (Result<void> written = writeFileAtomically(file, home.config(change).toSparseJson().dump(2)); !written)
    qFatal("%s", written.error().message().c_str());
  return QString::fromStdString(file.string());
}

}  // namespace rankscope::test
