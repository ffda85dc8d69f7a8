#include "core/config/places.h"
#include "core/config/run_config.h"
#include "core/data/prepare.h"
#include "core/text/chat_recognition.h"

namespace rankscope {

Result<DataSettings> DataSettings::fromConfig(const RunConfig& config, const Places& places) {
  DataSettings settings;
  Result<DataTask> task = parseDataTask(config.str("data.task"));
  if (!task) return task.error();
  settings.task = *task;
  Result<std::filesystem::path> train = places.resolve(config.str("data.train"));
  if (!train) return train.error();
  settings.train = *train;
  if (settings.train.empty())
    return Error{ErrorCode::Usage, "no training data is given", "data.train", "", "a file, or a folder of images", "Set data.train to a data file."};
  Result<std::filesystem::path> eval = places.resolve(config.str("data.eval"));
  if (!eval) return eval.error();
  settings.eval = *eval;
  settings.evalFraction = config.real("data.eval_fraction");
  settings.trainLimit = static_cast<uint64_t>(config.integer("data.train_limit"));
  settings.evalLimit = static_cast<uint64_t>(config.integer("data.eval_limit"));
  Result<DataFormat> format = parseDataFormat(config.str("data.format"));
  if (!format) return format.error();
  settings.table.format = *format;
  Result<HeaderMode> header = parseHeaderMode(config.str("data.header"));
  if (!header) return header.error();
  settings.table.header = *header;
  settings.columns.text = config.str("data.columns.text");
  settings.columns.textPair = config.str("data.columns.text_pair");
  settings.columns.label = config.str("data.columns.label");
  settings.columns.prompt = config.str("data.columns.prompt");
  settings.columns.answer = config.str("data.columns.answer");
  settings.columns.promptTemplate = config.str("data.template");
  settings.columns.messages = config.str("data.columns.messages");
  settings.columns.question = config.str("data.columns.question");
  settings.columns.context = config.str("data.columns.context");
  settings.columns.answerStart = config.str("data.columns.answer_start");
  settings.columns.choices = config.list("data.choices");
  settings.labels = config.list("data.labels");
  const std::string chat = config.str("data.chat_template");
  // A prompt template of one's own says all about the text, unless a chat template is named beside it.
  if (settings.task == DataTask::Instruction && !(chat == "auto" && !settings.columns.promptTemplate.empty())) {
    Result<std::filesystem::path> model = places.resolve(config.str("model.path"));
    if (!model) return model.error();
    Result<std::optional<ChatTemplate>> found = chatTemplateFor(chat, *model, places.resources / "templates");
    if (!found) return found.error();
    settings.chatTemplate = std::move(*found);
    settings.lossOnLastTurn = config.str("data.chat_loss") == "last";
  }
  settings.maxLength = config.integer("data.max_length");
  settings.docStride = config.integer("data.doc_stride");
  settings.maskShare = config.real("data.mask_share");
  settings.seed = static_cast<uint64_t>(config.integer("seed"));
  return settings;
}

}  // namespace rankscope
