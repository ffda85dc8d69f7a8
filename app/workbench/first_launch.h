#pragma once
// The first launch on an empty home: the example runs that come with the program are copied into it, so that there is
// something to explore. Copying happens on a worker thread; nothing is done when the home has runs or had examples before.

#include "core/config/places.h"

namespace rankscope::ui {

class StoreService;

void bringExamples(const Places& places, StoreService& store);

}  // namespace rankscope::ui
