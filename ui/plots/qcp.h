#pragma once
// QCustomPlot's header, which writes Qt's keywords in their short form; the rest of the program is built with
// QT_NO_KEYWORDS. Include this file, only inside ui/plots: everything else goes through plot.h and heatmap.h.

#include <QtGlobal>

#define signals Q_SIGNALS
#define slots Q_SLOTS
#define emit
#define foreach Q_FOREACH
#include <qcustomplot.h>
#undef signals
#undef slots
#undef emit
#undef foreach
