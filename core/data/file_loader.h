#pragma once
// One pass over one data file: read, tokenised on several threads (the same result as on one), kept in the token cache.
// For prepare.cpp, which makes training and evaluation sets of it. One loader, one call, one thread.

#include <map>
#include <string>
#include <vector>

#include "core/data/prepare.h"
#include "core/data/task.h"

namespace rankscope {

// Class numbers are provisional until all labels are known. The references given must outlive the loader.
class FileLoader {
 public:
  // Labels given: any other is an error. stopAfter: rows to read, 0 = all.
  FileLoader(const std::filesystem::path& path, const DataSettings& settings, const Tokenizer* tokenizer,
             const PrepareOptions& options, std::vector<std::string> labels, uint64_t stopAfter);

  // For a document task the set holds whole documents without special tokens.
  Result<PreparedFile> load();

 private:
  Result<void> loadText();
  Result<void> loadRows(TableReader& reader, const RowTask& task);
  Result<void> flush(const std::vector<Row>& rows, const RowTask& task);
  void addExample(const EncodedRow& encoded, int32_t classLabel, const Row& row);
  void addQuestion(QuestionText question, const Row& row);
  Result<int32_t> classOf(const std::string& label, const Row& row);
  Result<void> finishLabels();
  std::string key(const std::string& contentHash) const;

  std::filesystem::path m_path;
  const DataSettings& m_settings;
  const Tokenizer* m_tokenizer;  // null: images are read
  const PrepareOptions& m_options;
  uint64_t m_stopAfter;
  uint64_t m_usedRows = 0;
  std::shared_ptr<const std::string> m_lastContext;
  PreparedFile m_file;
  std::shared_ptr<ImageStore> m_images;
  bool m_labelsGiven = false;
  std::map<std::string, int32_t> m_classOf;
};

}  // namespace rankscope
