#pragma once
// writeFileAtomically, readFileBounded, systemError: see core/config/files.h, where they live because presets are saved
// with them too.
#include "core/config/files.h"
