#pragma once
// What a model's folder brings for reading data, and what its config says of its classes. Free functions, any thread.

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/config/run_config.h"
#include "core/data/prepare.h"

namespace rankscope {

// The tokenizer; or null for a task that reads images: how the model wants them then goes into settings.image.
Result<std::unique_ptr<Tokenizer>> loadModelInputs(const std::filesystem::path& model, const RunConfig& config,
                                                   DataSettings& settings);

// Names of the classes that a model's head was trained for, in order; empty where config.json gives none of its own.
std::vector<std::string> classNamesOf(const nlohmann::json& modelConfig);
// Where the data's classes are those of the model under the same names, they take the model's order, so that the rows of
// its head mean what they were trained to mean.
void takeModelsOrder(PreparedData& data, const std::vector<std::string>& modelNames);

}  // namespace rankscope
