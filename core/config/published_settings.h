#pragma once
// Settings that the methods were published with, in one list: the method's page of the workbench offers them, and --published
// of rankscope-train takes them by name. They set options of the method and its training, never model or data. A value
// "=key" is that option's value in the config they are laid over. No torch, no Qt.

#include <string_view>
#include <utility>
#include <vector>

#include "core/config/run_config.h"

namespace rankscope {

struct PublishedSettings {
  const char* name;        // "reflora-glue"
  const char* method;      // value of method.name
  const char* title;       // "GLUE with DeBERTaV3-base"
  const char* note;        // what cannot be said in options; "" for nothing
  const char* unverified;  // which of the values are known from memory only; "" when all were read
  std::vector<std::pair<const char*, const char*>> values;
};

const std::vector<PublishedSettings>& publishedSettings();
std::vector<const PublishedSettings*> publishedFor(std::string_view method);
// The error names the nearest name and lists what there is.
Result<const PublishedSettings*> findPublished(const std::string& name);

// "key=value" texts for RunConfig::assign(), the method's name first.
std::vector<std::string> publishedAssignments(const PublishedSettings& settings, const RunConfig& over);

}  // namespace rankscope
