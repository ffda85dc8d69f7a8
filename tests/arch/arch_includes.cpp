// The arrows of ARCHITECTURE 2 and STYLE_ANCHORS 10.1, read from the includes of every source file: which folder may
// include which, where Qt, LibTorch and SQLite may be seen at all (also through other headers), and that headers are
// named from the top of the tree.
#include <QtTest/QtTest>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path kRoot = RANKSCOPE_SOURCE_DIR;

// folder -> folders it may include besides itself.
const std::map<std::string, std::set<std::string>>& arrows() {
  static const std::set<std::string> engine = {"core/config", "core/runlog", "core/io",       "core/text",
                                               "core/data",   "core/models", "core/methods",  "core/optim",
                                               "core/train",  "core/eval",   "core/spectrum", "kernels"};
  static const std::map<std::string, std::set<std::string>> table = {
      {"core/config", {}},
      {"core/runlog", {"core/config"}},
      {"core/store", {"core/config", "core/runlog"}},
      {"core/io", {"core/config", "core/runlog"}},
      {"core/text", {"core/config", "core/io"}},
      {"core/data", {"core/config", "core/io", "core/text"}},
      {"core/eval", {"core/config"}},
      {"core/models", {"core/config", "core/io", "kernels"}},
      {"core/optim", {"core/config", "core/io", "kernels"}},
      {"core/methods", {"core/config", "core/io", "core/models", "core/optim", "kernels"}},
      {"core/spectrum", {"core/config", "core/io", "core/methods", "core/models", "core/runlog", "kernels"}},
      // The trainer writes to the run's folder and never touches the store.
      {"core/train", engine},
      {"kernels", {"core/config"}},
      {"app/trainer",
       [] {
         std::set<std::string> all = engine;
         all.insert("core/store");
         return all;
       }()},
      {"ui", {"core/config", "core/runlog", "core/store"}},
      {"app/workbench", {"ui", "core/config", "core/runlog", "core/store"}},
  };
  return table;
}

// The folder of the table that a file belongs to; "" when none.
std::string layerOf(const std::string& file) {
  for (const auto& [folder, allowed] : arrows())
    if (file.compare(0, folder.size() + 1, folder + "/") == 0) return folder;
  return {};
}

struct Include {
  std::string name;
  bool quoted = false;
  int line = 0;
};

std::vector<Include> includesOf(const fs::path& file) {
  std::vector<Include> found;
  std::ifstream in(file);
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    size_t at = line.find_first_not_of(" \t");
    if (at == std::string::npos || line[at] != '#') continue;
    at = line.find_first_not_of(" \t", at + 1);
    if (at == std::string::npos || line.compare(at, 7, "include") != 0) continue;
    const size_t open = line.find_first_of("\"<", at);
    if (open == std::string::npos) continue;
    const bool quoted = line[open] == '"';
    const size_t close = line.find(quoted ? '"' : '>', open + 1);
    if (close != std::string::npos) found.push_back({line.substr(open + 1, close - open - 1), quoted, number});
  }
  return found;
}

bool isSource(const fs::path& file) {
  static const std::set<std::string> endings = {".h", ".cpp", ".cu", ".cuh"};
  return endings.count(file.extension().string()) == 1;
}

bool isTorch(const std::string& name) {
  for (const char* start : {"torch/", "ATen/", "c10/", "caffe2/"})
    if (name.compare(0, std::string(start).size(), start) == 0) return true;
  return false;
}
bool isQt(const std::string& name) {
  return (name.size() > 1 && name[0] == 'Q' && name[1] >= 'A' && name[1] <= 'Z') || name.compare(0, 2, "Qt") == 0 ||
         name == "qcustomplot.h";
}
bool isSqlite(const std::string& name) { return name.compare(0, 10, "SQLiteCpp/") == 0 || name == "sqlite3.h"; }

}  // namespace

class ArchIncludes : public QObject {
  Q_OBJECT

  std::map<std::string, std::vector<Include>> m_files;  // by path from the top

  // Every file of `folder` that reaches an include for which `banned` holds, with the way there.
  QStringList reaching(const std::string& folder, const std::function<bool(const std::string&)>& banned) const {
    QStringList found;
    for (const auto& [file, direct] : m_files) {
      if (layerOf(file) != folder) continue;
      std::set<std::string> seen = {file};
      std::vector<std::pair<std::string, std::string>> open = {{file, file}};
      bool reported = false;
      while (!open.empty() && !reported) {
        const auto [at, way] = open.back();
        open.pop_back();
        for (const Include& include : m_files.at(at)) {
          if (!include.quoted && banned(include.name)) {
            found << QString::fromStdString(way + " -> <" + include.name + ">");
            reported = true;
            break;
          }
          if (m_files.count(include.name) && seen.insert(include.name).second)
            open.emplace_back(include.name, way + " -> " + include.name);
        }
      }
    }
    return found;
  }

 private Q_SLOTS:
  void initTestCase() {
    for (const char* top : {"core", "kernels", "ui", "app"}) {
      if (!fs::exists(kRoot / top)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(kRoot / top))
        if (entry.is_regular_file() && isSource(entry.path()))
          m_files[fs::relative(entry.path(), kRoot).generic_string()] = includesOf(entry.path());
    }
    QVERIFY2(m_files.size() > 100, "the sources were not found");
  }

  // The reader of includes itself: forms that occur, and some that must not be taken for one.
  void readsIncludes() {
    QTemporaryDir folder;
    const fs::path file = fs::path(folder.path().toStdString()) / "x.h";
    std::ofstream(file) << "#include \"a/b.h\"\n  #  include <QString>\n// #include <no>\nconst char* t = \"#include "
                           "<no>\";\n#include <torch/x.h> // y\n";
    const auto found = includesOf(file);
    QCOMPARE(found.size(), size_t{3});
    QVERIFY(found[0].name == "a/b.h" && found[0].quoted && found[1].name == "QString" && found[2].line == 5);
    QVERIFY(isQt("QString") && isQt("QtTest/QtTest") && isQt("qcustomplot.h") && !isQt("Queue.h") && !isQt("queue"));
    QVERIFY(isTorch("ATen/core/Tensor.h") && !isTorch("torchless.h"));
  }

  void everyFolderHasItsPlace() {
    QStringList strays;
    for (const auto& [file, includes] : m_files)
      if (layerOf(file).empty()) strays << QString::fromStdString(file);
    QVERIFY2(strays.isEmpty(), qPrintable("no layer is named in this test for:\n" + strays.join('\n')));
  }

  void foldersIncludeOnlyWhatTheyMay() {
    QStringList wrong;
    for (const auto& [file, includes] : m_files) {
      const std::string from = layerOf(file);
      for (const Include& include : includes) {
        const std::string to = layerOf(include.name);
        if (to.empty() || to == from || arrows().at(from).count(to)) continue;
        wrong << QString::fromStdString(file + ":" + std::to_string(include.line) + " includes " + include.name);
      }
    }
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
  }

  void noQtInCoreKernelsAndTrainer() {
    for (const auto& [folder, allowed] : arrows()) {
      if (folder == "ui" || folder == "app/workbench") continue;
      const QStringList found = reaching(folder, isQt);
      QVERIFY2(found.isEmpty(), qPrintable(found.join('\n')));
    }
  }

  // LibTorch may be seen by the engine alone: neither by the interface nor by what it shares with the trainer, nor by
  // the parts that must work without tensors.
  void torchOnlyInTheEngine() {
    for (const char* folder :
         {"ui", "app/workbench", "core/config", "core/runlog", "core/store", "core/text", "core/eval", "core/data"}) {
      const QStringList found = reaching(folder, isTorch);
      QVERIFY2(found.isEmpty(), qPrintable(found.join('\n')));
    }
  }

  void sqliteOnlyInTheStore() {
    QStringList wrong;
    for (const auto& [file, includes] : m_files)
      for (const Include& include : includes)
        if (isSqlite(include.name) && layerOf(file) != "core/store")
          wrong << QString::fromStdString(file + " includes " + include.name);
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
  }

  // "core/config/result.h", never "result.h" or "../config/result.h"; what is quoted is ours and exists.
  void ownHeadersAreNamedFromTheTop() {
    QStringList wrong;
    for (const auto& [file, includes] : m_files)
      for (const Include& include : includes) {
        if (!include.quoted) continue;
        const std::string& name = include.name;
        const bool generated = name == "rankscope_version.h" || name.compare(0, 4, "moc_") == 0 ||
                               name.compare(0, 3, "ui_") == 0 ||
                               (name.size() > 4 && name.compare(name.size() - 4, 4, ".moc") == 0);
        if (!generated && !fs::exists(kRoot / name))
          wrong << QString::fromStdString(file + ":" + std::to_string(include.line) + " includes \"" + name + "\"");
      }
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
  }

  void headersAreGuardedAndTorchIsNarrow() {
    QStringList wrong;
    for (const auto& [file, includes] : m_files) {
      for (const Include& include : includes)  // 25 s a file; the precompiled header has what is needed
        if (include.name == "torch/torch.h" || include.name == "torch/extension.h")
          wrong << QString::fromStdString(file + " includes " + include.name);
      // A precompiled header is itself compiled, where the guard would be a warning.
      if (fs::path(file).extension() != ".h" || file.find("_pch.h") != std::string::npos) continue;
      std::ifstream in(kRoot / file);
      std::stringstream text;
      text << in.rdbuf();
      if (text.str().find("#pragma once") == std::string::npos)
        wrong << QString::fromStdString(file + " has no #pragma once");
    }
    QVERIFY2(wrong.isEmpty(), qPrintable(wrong.join('\n')));
  }
};

QTEST_GUILESS_MAIN(ArchIncludes)
#include "arch_includes.moc"
