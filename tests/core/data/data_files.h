#pragma once
// Files of a test's own making, in a folder that goes with it; a base of tests that read data.

#include <QTemporaryDir>

#include <filesystem>
#include <fstream>
#include <string>

#include "core/data/prepare.h"

namespace rankscope {

class DataFiles {
 protected:
  // Folders in between are made.
  std::filesystem::path place(const std::string& name) const {
    const std::filesystem::path path = std::filesystem::path(m_dir.path().toStdString()) / name;
    std::filesystem::create_directories(path.parent_path());
    return path;
  }
  std::filesystem::path file(const std::string& name, const std::string& bytes) const {
    std::ofstream(place(name), std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    return place(name);
  }
  // Every row trains.
  static DataSettings settings(DataTask task, const std::filesystem::path& train) {
    DataSettings result;
    result.task = task;
    result.train = train;
    result.evalFraction = 0;
    return result;
  }

  QTemporaryDir m_dir;
};

}  // namespace rankscope
