#pragma once
// An error as a sentence beside the field that it is about: what, found and expected, what to do. Any thread.

#include <QString>

#include "core/config/result.h"

namespace rankscope::ui {

// "Rank is out of range: found 0, expected 1 … 384. Choose …".
QString errorText(const Error& error);

}  // namespace rankscope::ui
