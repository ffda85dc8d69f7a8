// Copying and saving a plot: PNG, SVG, PDF, CSV, and its menu (plot.h).
#include "ui/plots/plot_canvas.h"
#include "ui/theme/theme.h"

#include <QApplication>
#include <QClipboard>
#include <QFileDialog>
#include <QFileInfo>
#include <QMenu>
#include <QMessageBox>
#include <QSaveFile>
#include <QSvgGenerator>

namespace rankscope::ui {

namespace {

QByteArray csvField(QString text) {
  if (text.contains(QLatin1Char(',')) || text.contains(QLatin1Char('"')) || text.contains(QLatin1Char('\n')))
    text = QLatin1Char('"') + text.replace(QLatin1Char('"'), QStringLiteral("\"\"")) + QLatin1Char('"');
  return text.toUtf8();
}

void appendNumber(QByteArray& out, const std::vector<double>& column, size_t i) {
  out += ',';
  if (i < column.size() && std::isfinite(column[i])) out += QByteArray::number(column[i], 'g', 17);
}

}  // namespace

QByteArray Plot::toCsv() const {
  QByteArray out = "curve,label,step,epoch,tokens,seconds,value,smoothed,lower,upper\n";
  for (const auto& curve : m_canvas->curves) {
    const CurvePoints& points = curve->data.points();
    const SmoothedCurve* smoothed = curve->data.smoothed();
    static const std::vector<double> none;
    const QByteArray head = csvField(curve->id) + ',' + csvField(curve->label);
    for (size_t i = 0; i < points.y.size(); ++i) {
      out += head;
      for (const std::vector<double>* column : {&points.step, &points.epoch, &points.tokens, &points.seconds, &points.y,
                                                smoothed ? &smoothed->y : &none, &points.lower, &points.upper})
        appendNumber(out, *column, i);
      out += '\n';
    }
  }
  return out;
}

bool Plot::exportTo(const QString& file, QString* problem) {
  const QString suffix = QFileInfo(file).suffix().toLower();
  const QSize size = m_canvas->size();
  bool done = false;
  QString reason;
  if (suffix == QLatin1String("csv")) {
    QSaveFile out(file);
    const QByteArray bytes = toCsv();
    done = out.open(QIODevice::WriteOnly) && out.write(bytes) == bytes.size() && out.commit();
    reason = out.errorString();
  } else if (suffix == QLatin1String("pdf")) {
    done = m_canvas->savePdf(file, size.width(), size.height(), QCP::epNoCosmetic, QStringLiteral("Rankscope"), title());
  } else if (suffix == QLatin1String("svg")) {
    QSvgGenerator generator;
    generator.setFileName(file);
    generator.setSize(size);
    generator.setViewBox(QRect(QPoint(0, 0), size));
    generator.setTitle(title());
    QCPPainter painter;
    if (painter.begin(&generator)) {
      m_canvas->toPainter(&painter, size.width(), size.height());
      done = painter.end();
    }
  } else if (suffix == QLatin1String("png")) {
    done = m_canvas->savePng(file, size.width(), size.height(), 2.0);
  } else {
    reason = tr("“%1” is not a known kind of file; use .png, .svg, .pdf or .csv.").arg(suffix);
  }
  if (!done && problem) {
    if (reason.isEmpty()) reason = tr("It could not be written there. Choose a folder that you may write to.");
    *problem = QStringLiteral("%1: %2").arg(file, reason);
  }
  m_canvas->queueReplot();
  return done;
}

void Plot::copyImage() { QApplication::clipboard()->setPixmap(m_canvas->toPixmap(0, 0, 2.0)); }
void Plot::copyData() { QApplication::clipboard()->setText(QString::fromUtf8(toCsv())); }

void Plot::fillMenu(QMenu* menu) {
  const auto add = [&](const QString& text, const char* iconName, auto&& run) {
    QAction* action = menu->addAction(icon(QLatin1String(iconName)), text);
    connect(action, &QAction::triggered, this, run);
    return action;
  };
  add(tr("Show everything\tHome"), "zoom-fit", [this] { fit(); });
  add(tr("Zoom back\tBackspace"), "zoom-back", [this] { zoomBack(); })->setEnabled(canZoomBack());
  QAction* forward = menu->addAction(tr("Zoom forward\tShift+Backspace"));
  connect(forward, &QAction::triggered, this, [this] { zoomForward(); });
  forward->setEnabled(canZoomForward());
  menu->addSeparator();
  const auto toggle = [&](const QString& text, bool on, auto&& run) {
    QAction* action = menu->addAction(text);
    action->setCheckable(true);
    action->setChecked(on);
    connect(action, &QAction::toggled, this, run);
  };
  toggle(tr("Logarithmic y"), logY(), [this](bool on) { setLogY(on); });
  toggle(tr("Logarithmic x"), logX(), [this](bool on) { setLogX(on); });
  toggle(tr("Leave outliers outside"), m_canvas->clipOutliers, [this](bool on) { setClipOutliers(on); });
  menu->addSeparator();
  add(tr("Copy picture"), "copy", [this] { copyImage(); });
  add(tr("Copy data as CSV"), "table", [this] { copyData(); });
  add(tr("Export…"), "export", [this] {
    QString name = title();
    name.replace(QLatin1Char('/'), QLatin1Char('-'));
    const QString file = QFileDialog::getSaveFileName(
        this, tr("Export plot"), name + QStringLiteral(".pdf"),
        tr("PDF (*.pdf);;SVG (*.svg);;PNG (*.png);;Data (*.csv)"));
    QString problem;
    if (!file.isEmpty() && !exportTo(file, &problem)) QMessageBox::warning(this, tr("Export plot"), problem);
  });
}

}  // namespace rankscope::ui
