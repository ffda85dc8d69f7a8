#include "app/trainer/data_documents.h"

#include "core/config/files.h"
#include "core/data/prepare.h"
#include "core/text/base64.h"
#include "core/train/model_inputs.h"

namespace rankscope {
namespace {

// Pieces of byte-level vocabularies and cells of foreign files need not be UTF-8; JSON must be.
std::string clean(const std::string& text) { return cleanUtf8(text, 4096); }

// As the model sees it, before it is normalised; three bytes a pixel.
nlohmann::json imageDocument(const Image& image) {
  const std::string_view bytes(reinterpret_cast<const char*>(image.pixels.data()), image.pixels.size());
  return {{"width", image.width}, {"height", image.height}, {"rgb", toBase64(bytes)}};
}

nlohmann::json rowsDocument(const TokenizedSet& set, size_t rows, const Tokenizer* tokenizer, const DataSettings& settings,
                            const std::vector<std::string>& labels) {
  nlohmann::json list = nlohmann::json::array();
  for (const PreviewRow& row : previewRows(set, rows, tokenizer, settings, labels)) {
    nlohmann::json tokens = nlohmann::json::array();
    for (const PreviewToken& token : row.tokens)
      tokens.push_back({{"text", clean(token.text)}, {"id", token.id}, {"label", token.label}});
    list.push_back({{"tokens", tokens}, {"row", row.row}, {"length", row.length}, {"truncated", row.truncated},
                    {"label", row.label.empty() ? nlohmann::json() : nlohmann::json(clean(row.label))}});
    if (!row.image.pixels.empty()) list.back()["image"] = imageDocument(row.image);
  }
  return list;
}

nlohmann::json idOrNull(int32_t id) { return id < 0 ? nlohmann::json() : nlohmann::json(id); }

}  // namespace

nlohmann::json rolesDocument(const ColumnRoles& roles) {
  return {{"text", clean(roles.text)}, {"text_pair", clean(roles.textPair)}, {"label", clean(roles.label)},
          {"prompt", clean(roles.prompt)}, {"answer", clean(roles.answer)},
          {"messages", clean(roles.messages)}, {"template", clean(roles.promptTemplate)},
          {"question", clean(roles.question)}, {"context", clean(roles.context)}, {"answer_start", clean(roles.answerStart)}};
}

nlohmann::json problemsDocument(const ProblemList& problems) {
  nlohmann::json list = nlohmann::json::array();
  for (const DataProblem& problem : problems.items)
    list.push_back({{"row", problem.row}, {"line", problem.line}, {"message", clean(problem.message)}});
  return list;
}

Result<nlohmann::json> inspectDataDocument(const std::filesystem::path& file, const TableOptions& options,
                                           const std::string& task) {
  Result<TableInspection> inspected = inspectTable(file, options);
  if (!inspected) return inspected.error();
  DataTask chosen = inspected->guessedTask;
  ColumnRoles roles = inspected->guessed;
  if (!task.empty()) {
    Result<DataTask> parsed = parseDataTask(task);
    if (!parsed) return parsed.error();
    chosen = *parsed;
    std::vector<std::string> names;
    for (const ColumnSummary& column : inspected->columns) names.push_back(column.name);
    roles = guessRoles(chosen, names, inspected->sample);
  }
  nlohmann::json columns = nlohmann::json::array();
  for (const ColumnSummary& column : inspected->columns)
    columns.push_back({{"name", clean(column.name)}, {"kind", column.kind}, {"example", clean(column.example)}});
  return nlohmann::json{{"format", dataFormatName(inspected->format)}, {"header", inspected->header},
                        {"rows", inspected->rows}, {"bytes", inspected->bytes}, {"columns", columns},
                        {"problems", problemsDocument(inspected->problems)}, {"problem_count", inspected->problems.total},
                        {"task", dataTaskName(chosen)}, {"roles", rolesDocument(roles)}};
}

Result<ConfigData> prepareConfigData(const RunConfig& config, const Places& places, const std::atomic<bool>* cancel,
                                     const std::function<void(double, const std::string&)>& progress) {
  Result<DataSettings> settings = DataSettings::fromConfig(config, places);
  if (!settings) return settings.error();
  Result<std::filesystem::path> model = places.resolve(config.str("model.path"));
  if (!model) return model.error();
  Result<std::unique_ptr<Tokenizer>> loaded = loadModelInputs(*model, config, *settings);
  if (!loaded) return loaded.error();
  PrepareOptions options;
  options.threads = static_cast<int>(config.integer("train.threads"));
  options.cacheFolder = places.cache.empty() ? std::filesystem::path() : places.cache / "tokens";
  options.cancel = cancel;
  options.progress = progress;
  Result<PreparedData> data = prepareData(*settings, loaded->get(), options);
  if (!data) return data.error();
  return ConfigData{std::move(*settings), std::move(*loaded), std::move(*data)};
}

Result<nlohmann::json> previewDataDocument(const RunConfig& config, const Places& places, size_t rows,
                                           const std::atomic<bool>* cancel,
                                           const std::function<void(double, const std::string&)>& progress) {
  Result<ConfigData> read = prepareConfigData(config, places, cancel, progress);
  if (!read) return read.error();
  const PreparedData* const data = &read->data;
  const auto& chat = read->settings.chatTemplate;

  const DataStatistics& statistics = data->trainStatistics;
  const LengthHistogram histogram = statistics.histogram();
  nlohmann::json labels = nlohmann::json::array();
  for (const std::string& label : data->labels) labels.push_back(clean(label));
  return nlohmann::json{{"rows", rowsDocument(data->train, rows, read->tokenizer.get(), read->settings, data->labels)},
                        {"length_histogram", {{"edges", histogram.edges}, {"counts", histogram.counts},
                                              {"over_limit", statistics.overLimit},
                                              {"tokens_lost_share", statistics.lostShare()}}},
                        {"train_rows", data->train.size()}, {"eval_rows", data->eval.size()},
                        {"tokens", data->train.tokens()}, {"labels", labels},
                        {"format", dataFormatName(data->format)}, {"roles", rolesDocument(data->roles)},
                        {"chat_template", chat ? nlohmann::json(chat->title) : nlohmann::json()},
                        {"problems", problemsDocument(data->trainProblems)},
                        {"problem_count", data->trainProblems.total + data->evalProblems.total}};
}

nlohmann::json tokensDocument(const Tokenizer& tokenizer, const Encoding& encoding) {
  nlohmann::json tokens = nlohmann::json::array();
  for (size_t i = 0; i < encoding.size(); ++i)
    tokens.push_back({{"id", encoding.ids[i]}, {"piece", clean(tokenizer.idToPiece(encoding.ids[i]))},
                      {"begin", encoding.spans[i].begin}, {"end", encoding.spans[i].end},
                      {"type", encoding.typeIds.empty() ? 0 : encoding.typeIds[i]}});
  const SpecialIds& special = tokenizer.special();
  return {{"kind", tokenizer.kind()}, {"vocab_size", tokenizer.vocabSize()},
          {"special", {{"bos", idOrNull(special.bos)}, {"eos", idOrNull(special.eos)}, {"pad", idOrNull(special.pad)},
                       {"unk", idOrNull(special.unk)}, {"cls", idOrNull(special.cls)}, {"sep", idOrNull(special.sep)},
                       {"mask", idOrNull(special.mask)}}},
          {"ids", encoding.ids}, {"tokens", tokens}, {"text", cleanUtf8(tokenizer.decode(encoding.ids), 1u << 20)}};
}

}  // namespace rankscope
