// The main window over a store of many runs, as a person uses it: how long until the list is painted, from the last key of
// a filter until its rows are painted, how long a frame of scrolling takes, and how long the GUI thread was ever busy.
//   window_bench make DIR [RUNS]   fills a home with synthetic runs (10,000)
//   window_bench DIR               measures; QT_QPA_PLATFORM=offscreen for the software renderer without a screen
#include "tests/support/synthetic_store.h"
#include "tests/support/ui_fixture.h"
#include "core/store/store.h"
#include "ui/runs/filter_box.h"
#include "ui/runs/run_table.h"
#include "ui/runs/runs_model.h"
#include "ui/runs/runs_view.h"
#include "ui/shell/main_window.h"

#include <QElapsedTimer>
#include <QLineEdit>
#include <QScrollBar>
#include <QTableView>
#include <QTest>

#include <algorithm>
#include <cstdio>

using namespace rankscope;
using namespace rankscope::ui;

namespace {

double since(const QElapsedTimer& timer) { return static_cast<double>(timer.nsecsElapsed()) / 1e6; }

struct Times {
  std::vector<double> ms;
  void print(const char* what) {
    if (ms.empty()) return;
    std::sort(ms.begin(), ms.end());
    std::printf("%-52s median %7.1f ms   95%% %7.1f   worst %7.1f\n", what, ms[ms.size() / 2], ms[ms.size() * 95 / 100], ms.back());
    std::fflush(stdout);
  }
};

// The longest turn of the event loop while it lives: what a person feels as a hang.
class BusyWatch : public QObject {
 public:
  BusyWatch() {
    m_clock.start();
    startTimer(1, Qt::PreciseTimer);
  }
  double worst() { return std::exchange(m_worst, 0.0); }

 protected:
  void timerEvent(QTimerEvent*) override { m_worst = std::max(m_worst, since(m_clock)), m_clock.restart(); }

 private:
  QElapsedTimer m_clock;
  double m_worst = 0;
};

int make(const char* folder, int runs) {
  const auto places = Places::find(std::filesystem::path(folder));
  if (!places.ok() || !places->ensure().ok()) return 1;
  const char* methods[] = {"lora", "rora", "reflora", "full"};
  const char* data[] = {"mrpc", "cola", "rte", "stsb"};
  const char* models[] = {"MiniLM-L6", "roberta-base", "llama-1b"};
  for (int i = 0; i < runs; ++i) {
    test::SyntheticRun run;
    run.method = methods[i % 4];
    run.data = data[i / 4 % 4];
    run.model = models[i / 16 % 3];
    run.rank = 2 << (i / 48 % 6);
    run.seed = i / 288;
    run.steps = 100;
    if (i % 23 == 0) run.end = event::RunState::Failed;
    test::writeRun(*places, run);
  }
  // The store is brought up to date once: what is measured is a start, not the first import.
  QElapsedTimer timer;
  timer.start();
  StoreService store(places->store, places->runs);
  bool all = false;
  while (!all && since(timer) < 6e5) {
    QTest::qWait(200);
    store.read(qApp, "count", [](Store& s) { return s.listRuns([] { RunQuery q; q.limit = 1; return q; }()); },
               [&](Result<RunPage> page) { all = page.ok() && page->total >= runs; });
  }
  std::printf("%d runs taken in, in %.1f s\n", runs, since(timer) / 1000);
  return all ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  QApplication app(argc, argv);
  if (argc > 2 && qstrcmp(argv[1], "make") == 0) return make(argv[2], argc > 3 ? std::atoi(argv[3]) : 10000);
  if (argc != 2) return std::fprintf(stderr, "usage: window_bench [make] DIR\n"), 2;
  installPlurals(app);
  Theme::instance().install(app);
  const auto places = Places::find(std::filesystem::path(argv[1]));
  if (!places.ok()) return 1;

  QElapsedTimer timer;
  timer.start();
  BusyWatch busy;
  StoreService store(places->store, places->runs);
  TrainerClient trainer(test::fakeTrainer(), places->home);
  Settings settings(places->home / "bench.json");
  RunSelection selection;
  MainWindow window({&*places, &store, &trainer, &settings, &selection, nullptr});
  window.resize(1440, 900);
  window.showView(QStringLiteral("runs"));
  window.show();
  if (!QTest::qWaitForWindowExposed(&window)) return 1;
  std::printf("%-52s        %7.1f ms\n", "first paint after the services start", since(timer));
  auto* view = static_cast<RunsView*>(window.view(QStringLiteral("runs")));
  RunsModel* model = view->model();
  QTableView* table = view->table()->view();
  const auto painted = [&](const std::function<bool()>& done) {
    if (!QTest::qWaitFor(done, 60000)) std::printf("gave up\n");
    table->viewport()->repaint();
  };
  painted([&] { return model->total() > 0; });
  std::printf("%-52s        %7.1f ms   (%d runs)\n", "list of all runs painted after the start", since(timer), model->total());
  const int allRuns = model->total();
  QTest::qWait(3000);
  std::printf("%-52s        %7.1f ms\n", "longest turn of the event loop, start and ingest", busy.worst());

  // Typing: every key is pressed 90 ms after the one before; the time counts from the last key to the painted rows.
  Times typing;
  auto* input = view->filterBox()->input();
  const std::vector<const char*> filters = {"reflora mrpc", "/seed|cola/", "rank >= 16 and method = reflora and data ~ mrpc", "loss < 0.5",
                                            "accuracy > 0.7 and rank < 16", "status = failed", "optim.learning_rate = 2e-4", "tag = paper"};
  for (const char* filter : filters) {
    input->setFocus();
    input->clear();
    QTest::qWait(400);
    const QString text = QString::fromLatin1(filter);
    for (int i = 0; i + 1 < text.size(); ++i) QTest::keyClicks(input, text.mid(i, 1), Qt::NoModifier, 20);
    QTest::qWait(300);
    bool loaded = false;
    const auto connection = QObject::connect(model, &RunsModel::loaded, &app, [&] {
      loaded = loaded || QString::fromStdString(model->query().filter) == text;
    });
    QElapsedTimer key;
    key.start();
    QTest::keyClicks(input, text.right(1));
    painted([&] { return loaded; });
    typing.ms.push_back(since(key));
    std::printf("  %-50s        %7.1f ms   (%d found)\n", filter, typing.ms.back(), model->total());
    QObject::disconnect(connection);
  }
  typing.print("last key of a filter until its rows are painted");
  input->clear();
  painted([&] { return model->total() == allRuns; });
  std::printf("%-52s        %7.1f ms\n", "longest turn of the event loop, typing", busy.worst());

  // Scrolling by the wheel through everything, then dragging the bar in large steps.
  Times wheel, jump;
  QScrollBar* bar = table->verticalScrollBar();
  for (int i = 0; i < 300; ++i) {
    QElapsedTimer frame;
    frame.start();
    bar->setValue(bar->value() + 78);
    table->viewport()->repaint();
    QApplication::processEvents();
    wheel.ms.push_back(since(frame));
  }
  wheel.print("frame of scrolling by three rows");
  for (int i = 0; i < 40; ++i) {
    QElapsedTimer frame;
    frame.start();
    bar->setValue(static_cast<int>(static_cast<qint64>(bar->maximum()) * (i * 17 % 40) / 40));
    painted([&] { return model->rowAt(table->rowAt(table->viewport()->height() / 2)) != nullptr; });
    jump.ms.push_back(since(frame));
  }
  jump.print("jump to another place until its rows are painted");
  std::printf("%-52s        %7.1f ms\n", "longest turn of the event loop, scrolling", busy.worst());

  Times sorts;
  for (const char* id : {"eval_loss", "name", "best", "time"}) {
    bool loaded = false;
    const auto connection = QObject::connect(model, &RunsModel::loaded, &app, [&] { loaded = true; });
    QElapsedTimer sort;
    sort.start();
    model->sort(model->columnOf(QLatin1String(id)), Qt::AscendingOrder);
    painted([&] { return loaded; });
    sorts.ms.push_back(since(sort));
    QObject::disconnect(connection);
  }
  sorts.print("sort until its rows are painted");
  QElapsedTimer all;
  all.start();
  table->setFocus();
  QTest::keyClick(table, Qt::Key_A, Qt::ControlModifier);
  painted([&] { return selection.ids().size() == model->total(); });
  std::printf("%-52s        %7.1f ms\n", "Ctrl+A until all views know the selection", since(all));
  std::printf("%-52s        %7.1f ms\n", "longest turn of the event loop, selecting all", busy.worst());
  return 0;
}
