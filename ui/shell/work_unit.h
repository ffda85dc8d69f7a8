#pragma once
// What a run counts its work in (core/config/task_heads.h's unit), in words of the screen. Plain functions.

#include <QString>

#include <string>

namespace rankscope::ui {

QString unitTitle(const std::string& unit);                   // "Tokens", "Images"
QString unitsText(const std::string& unit, double count);     // "4.1k tokens"
QString speedUnit(const std::string& unit);                   // "tokens/s"

}  // namespace rankscope::ui
