#pragma once
// A table of files that must be refused, each with words that its message must hold: rows for Qt Test, and the check of one.

#include <QtTest/QtTest>

#include <string>
#include <vector>

namespace rankscope {

struct BrokenFile {
  const char* title;
  std::string bytes, words;
};

inline void declareBroken(const std::vector<BrokenFile>& files) {
  QTest::addColumn<QByteArray>("bytes");
  QTest::addColumn<QString>("words");
  for (const BrokenFile& file : files)
    QTest::newRow(file.title) << QByteArray(file.bytes.data(), static_cast<qsizetype>(file.bytes.size()))
                              << QString::fromStdString(file.words);
}

// `read` makes a Result of the current row's bytes.
template <typename Read>
void verifyRefused(Read read) {
  QFETCH(QByteArray, bytes);
  QFETCH(QString, words);
  const std::string file = bytes.toStdString();
  const auto result = read(file);
  QVERIFY2(!result.ok(), "it was accepted");
  QVERIFY2(QString::fromStdString(result.error().message()).contains(words), result.error().message().c_str());
  QVERIFY(!result.error().hint.empty());
}

}  // namespace rankscope
