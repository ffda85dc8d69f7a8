#pragma once
// Data files as JSON: what is in one, and what the model will read of it. For `data`, `tokenize` and serve.

#include <atomic>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "core/config/places.h"
#include "core/config/result.h"
#include "core/config/run_config.h"
#include "core/data/prepare.h"
#include "core/data/roles.h"
#include "core/text/tokenizer.h"

namespace rankscope {

// {format, header, rows, bytes, columns:[{name, example, kind, role}], problems:[{row, line, message}], problem_count,
//  task, roles}. Roles are guessed for `task`, or for the task that the
// columns suggest when it is empty.
Result<nlohmann::json> inspectDataDocument(const std::filesystem::path& file, const TableOptions& options,
                                           const std::string& task = {});

// {text, text_pair, label, prompt, answer, messages, template, question, context, answer_start}
nlohmann::json rolesDocument(const ColumnRoles& roles);
// [{row, line, message}]
nlohmann::json problemsDocument(const ProblemList& problems);

// What the config's run would read.
struct ConfigData {
  DataSettings settings;
  std::unique_ptr<Tokenizer> tokenizer;  // null for images
  PreparedData data;
};
Result<ConfigData> prepareConfigData(const RunConfig& config, const Places& places, const std::atomic<bool>* cancel = nullptr,
                                     const std::function<void(double, const std::string&)>& progress = {});

// {rows:[{tokens:[{text, id, label}], row, length, truncated, label}], length_histogram:{edges, counts, over_limit,
//  tokens_lost_share}, train_rows, eval_rows, tokens, labels, format, roles, chat_template (a title, or null), problems,
//  problem_count}. Rows of images come from all over the set, since classes lie together, and carry
//  image:{width, height, rgb (base64)} in place of tokens.
Result<nlohmann::json> previewDataDocument(const RunConfig& config, const Places& places, size_t rows,
                                           const std::atomic<bool>* cancel = nullptr,
                                           const std::function<void(double, const std::string&)>& progress = {});

// {kind, vocab_size, special:{…}, ids, tokens:[{id, piece, begin, end, type}], text (decoded again)}
nlohmann::json tokensDocument(const Tokenizer& tokenizer, const Encoding& encoding);

}  // namespace rankscope
