// Optimizers against their formulas written out, their saved state, and clipping.

#include <QtTest/QtTest>

#include <ATen/Parallel.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/optim/clip.h"
#include "core/optim/registry.h"

using namespace rankscope;

namespace {

at::Tensor wave(at::IntArrayRef shape, double phase, at::ScalarType dtype = at::kDouble) {
  int64_t count = 1;
  for (int64_t size : shape) count *= size;
  return at::sin(at::arange(count, at::kDouble) * 0.7 + phase).reshape(shape).to(dtype);
}

OptimizedParameter parameter(const std::string& name, at::IntArrayRef shape, double phase,
                             at::ScalarType dtype = at::kDouble) {
  at::Tensor t = wave(shape, phase, dtype);
  t.requires_grad_(true);
  return {name, t};
}

std::unique_ptr<Optimizer> make(const std::vector<OptimizedParameter>& parameters, OptimizerSettings settings) {
  auto made = makeOptimizer(parameters, settings);
  if (!made) qFatal("%s", made.error().message().c_str());
  return std::move(made).value();
}

void setGradient(const OptimizedParameter& p, double phase) {
  p.tensor.mutable_grad() = wave(p.tensor.sizes(), phase, p.tensor.scalar_type());
}

// Whether the tensor lies in a mapping of a file of that folder.
bool isMapped(const at::Tensor& tensor, const std::filesystem::path& folder) {
  const auto at = reinterpret_cast<uintptr_t>(tensor.data_ptr());
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto begin = std::stoull(line, nullptr, 16), end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
    if (at >= begin && at < end)
      return line.find(" rw-s ") != std::string::npos && line.find(folder.string()) != std::string::npos;
  }
  return false;
}

double worst(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

}  // namespace

class OptimSteps : public QObject {
  Q_OBJECT

 private Q_SLOTS:
  // What is derived from parameters (DoRA's row norms) is kept by their versions.
  void aStepCountsAsAChange() {
    for (const std::string name : {"adamw", "sgd"}) {
      auto moved = parameter("moved", {3, 5}, 0.1), still = parameter("still", {4}, 0.2);
      OptimizerSettings settings;
      settings.name = name;
      auto optimizer = make({moved, still}, settings);
      setGradient(moved, 0.3);
      const auto before = moved.tensor._version(), stillBefore = still.tensor._version();
      optimizer->step(0.01);
      QVERIFY2(moved.tensor._version() > before, name.c_str());
      QCOMPARE(still.tensor._version(), stillBefore);
    }
  }

  void adamwFollowsItsFormula() {
    auto p = parameter("a", {3, 5}, 0.1), q = parameter("b", {4}, 0.2);
    q.decay = false;
    q.learningRateScale = 16;
    OptimizerSettings s;
    s.weightDecay = 0.1;
    auto optimizer = make({p, q}, s);
    const double lr = 0.01;
    struct Expected {
      at::Tensor value, m, v;
      double rate, decay;
    };
    std::vector<Expected> expected{
        {p.tensor.detach().clone(), at::zeros({3, 5}, at::kDouble), at::zeros({3, 5}, at::kDouble), lr, 0.1},
        {q.tensor.detach().clone(), at::zeros({4}, at::kDouble), at::zeros({4}, at::kDouble), 16 * lr, 0}};
    for (int t = 1; t <= 7; ++t) {
      setGradient(p, t);
      setGradient(q, 2 * t);
      optimizer->step(lr);
      for (size_t i = 0; i < 2; ++i) {
        Expected& e = expected[i];
        const at::Tensor g = wave(e.value.sizes(), static_cast<double>(t * static_cast<int>(i + 1)));
        e.value = e.value * (1 - e.rate * e.decay);
        e.m = 0.9 * e.m + 0.1 * g;
        e.v = 0.999 * e.v + 0.001 * g * g;
        e.value = e.value - e.rate * (e.m / (1 - std::pow(0.9, t))) / ((e.v / (1 - std::pow(0.999, t))).sqrt() + 1e-8);
      }
      QVERIFY(worst(p.tensor.detach(), expected[0].value) < 1e-13);
      QVERIFY(worst(q.tensor.detach(), expected[1].value) < 1e-13);
    }
    QVERIFY(worst(optimizer->moments(p.tensor).first, expected[0].m) < 1e-15);
    QVERIFY(worst(optimizer->moments(q.tensor).second, expected[1].v) < 1e-15);
    QCOMPARE(optimizer->stepsTaken(), int64_t{7});
  }

  void sgdFollowsItsFormula_data() {
    QTest::addColumn<double>("momentum");
    QTest::newRow("plain") << 0.0;
    QTest::newRow("momentum") << 0.9;
  }
  void sgdFollowsItsFormula() {
    QFETCH(double, momentum);
    auto p = parameter("a", {3, 5}, 0.1);
    OptimizerSettings s;
    s.name = "sgd";
    s.weightDecay = 0.1;
    s.momentum = momentum;
    auto optimizer = make({p}, s);
    at::Tensor value = p.tensor.detach().clone(), buffer = at::zeros_like(value);
    for (int t = 1; t <= 5; ++t) {
      setGradient(p, t);
      optimizer->step(0.05);
      buffer = momentum * buffer + wave({3, 5}, t) + 0.1 * value;
      value = value - 0.05 * buffer;
      QVERIFY(worst(p.tensor.detach(), value) < 1e-14);
    }
  }

  void aParameterWithoutAGradientIsLeftAlone() {
    auto p = parameter("a", {6}, 0.1), q = parameter("b", {6}, 0.1);
    OptimizerSettings s;
    s.weightDecay = 0.5;
    auto optimizer = make({p, q}, s);
    const at::Tensor before = q.tensor.detach().clone();
    for (int t = 0; t < 3; ++t) {
      setGradient(p, 1);
      optimizer->step(0.1);
    }
    QVERIFY(at::equal(q.tensor.detach(), before));
    // Its bias correction starts with its own first gradient: one step from the same state, one result.
    auto fresh = parameter("c", {6}, 0.1);
    auto other = make({fresh}, s);
    setGradient(q, 1);
    p.tensor.mutable_grad() = at::Tensor();
    setGradient(fresh, 1);
    optimizer->step(0.1);
    other->step(0.1);
    QVERIFY(at::equal(q.tensor.detach(), fresh.tensor.detach()));
  }

  void stateContinuesToTheSameBits_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("wide");
    for (const auto& entry : optimizerEntries())
      for (bool wide : {false, true})
        QTest::addRow("%s %s", entry.name.c_str(), wide ? "float64" : "float32")
            << QString::fromStdString(entry.name) << wide;
  }
  void stateContinuesToTheSameBits() {
    QFETCH(QString, name);
    QFETCH(bool, wide);
    const auto dtype = wide ? at::kDouble : at::kFloat;
    OptimizerSettings s;
    s.name = name.toStdString();
    s.momentum = 0.9;
    s.weightDecay = 0.01;
    auto p = parameter("a", {33, 7}, 0.1, dtype), q = parameter("b", {5}, 0.3, dtype);
    auto first = make({p, q}, s);
    for (int t = 0; t < 3; ++t) {
      setGradient(p, t);
      if (t != 1) setGradient(q, t);
      first->step(0.01);
      q.tensor.mutable_grad() = at::Tensor();
    }
    std::map<std::string, at::Tensor> saved;
    for (const auto& [key, value] : first->state()) saved[key] = value.clone();
    OptimizedParameter p2{"a", p.tensor.detach().clone().requires_grad_(true)},
        q2{"b", q.tensor.detach().clone().requires_grad_(true)};
    auto second = make({p2, q2}, s);
    QVERIFY(second->loadState(saved).ok());
    QCOMPARE(second->stepsTaken(), int64_t{3});
    for (int t = 3; t < 6; ++t) {
      for (const auto& each : {p, q, p2, q2}) setGradient(each, t);
      first->step(0.01);
      second->step(0.01);
    }
    QVERIFY(at::equal(p.tensor.detach(), p2.tensor.detach()));
    QVERIFY(at::equal(q.tensor.detach(), q2.tensor.detach()));
  }

  void aStateThatDoesNotFitIsRefused() {
    auto p = parameter("a", {4}, 0.1);
    auto optimizer = make({p}, {});
    auto state = optimizer->state();
    auto lacking = state;
    lacking.erase("a.exp_avg");
    QVERIFY(!optimizer->loadState(lacking).ok());
    auto reshaped = state;
    reshaped["a.exp_avg_sq"] = at::zeros({5}, at::kDouble);
    QCOMPARE(optimizer->loadState(reshaped).error().where, std::string("a.exp_avg_sq"));
    auto foreign = state;
    foreign["z.exp_avg"] = at::zeros({4}, at::kDouble);
    QCOMPARE(optimizer->loadState(foreign).error().where, std::string("z.exp_avg"));
    QVERIFY(optimizer->loadState(state).ok());
  }

  void oddGradientsAreTaken() {
    // Transposed layout and another dtype, as autograd may leave them.
    auto p = parameter("a", {3, 4}, 0.1, at::kFloat), q = parameter("a", {3, 4}, 0.1, at::kFloat);
    const at::Tensor g = wave({3, 4}, 1, at::kFloat);
    p.tensor.mutable_grad() = g.t().contiguous().t();
    q.tensor.mutable_grad() = g.clone();
    make({p}, {})->step(0.1);
    make({q}, {})->step(0.1);
    QVERIFY(at::equal(p.tensor.detach(), q.tensor.detach()));
  }

  void threadsDoNotChangeTheResult() {
    const int threads = at::get_num_threads();
    std::vector<at::Tensor> results;
    for (int n : {1, 2}) {
      at::set_num_threads(n);
      auto p = parameter("a", {513, 700}, 0.1, at::kFloat);
      auto optimizer = make({p}, {});
      for (int t = 0; t < 3; ++t) {
        setGradient(p, t);
        if (auto norm = clipGradients({p}, 0.5); !norm) qFatal("clip");
        optimizer->step(0.01);
      }
      results.push_back(p.tensor.detach());
    }
    at::set_num_threads(threads);
    QVERIFY(at::equal(results[0], results[1]));
  }

  void clippingScalesByTheGlobalNorm() {
    auto p = parameter("a", {2}, 0), q = parameter("b", {2}, 0), idle = parameter("c", {2}, 0);
    p.tensor.mutable_grad() = at::tensor({3.0, 0.0}, at::kDouble);
    q.tensor.mutable_grad() = at::tensor({0.0, 4.0}, at::kDouble);
    QCOMPARE(*clipGradients({p, q, idle}, 0), 5.0);
    QCOMPARE(p.tensor.grad()[0].item<double>(), 3.0);
    QCOMPARE(*clipGradients({p, q, idle}, 10), 5.0);
    QCOMPARE(p.tensor.grad()[0].item<double>(), 3.0);
    QCOMPARE(*clipGradients({p, q, idle}, 1), 5.0);
    const double factor = 1 / (5.0 + 1e-6);  // torch's guard against a norm of 0
    QVERIFY(std::abs(p.tensor.grad()[0].item<double>() - 3 * factor) < 1e-15);
    QVERIFY(std::abs(q.tensor.grad()[1].item<double>() - 4 * factor) < 1e-15);
    QCOMPARE(*clipGradients({idle}, 1), 0.0);
  }

  void clippingNamesWhatIsNotFinite() {
    for (double bad : {std::nan(""), HUGE_VAL}) {
      auto p = parameter("good", {2}, 0), q = parameter("layers.3.lora_B.weight", {2}, 0);
      p.tensor.mutable_grad() = at::tensor({3.0, 0.0}, at::kDouble);
      q.tensor.mutable_grad() = at::tensor({1.0, bad}, at::kDouble);
      auto norm = clipGradients({p, q}, 1);
      QVERIFY(!norm.ok());
      QVERIFY(norm.error().code == ErrorCode::Training);
      QCOMPARE(norm.error().where, std::string("layers.3.lora_B.weight"));
      QCOMPARE(p.tensor.grad()[0].item<double>(), 3.0);
    }
  }

  // Moments in a mapping of an unnamed file: the same bits, also after their pages were taken from the process, and nothing
  // in the folder.
  void pagedMomentsAreTheSameToTheBit_data() {
    QTest::addColumn<QString>("name");
    QTest::addRow("adamw") << "adamw";
    QTest::addRow("sgd") << "sgd";
  }
  void pagedMomentsAreTheSameToTheBit() {
    QFETCH(QString, name);
    QTemporaryDir folder;
    OptimizerSettings plain, paged;
    plain.name = name.toStdString();
    plain.momentum = plain.name == "sgd" ? 0.9 : 0;
    plain.weightDecay = 0.01;
    paged = plain;
    paged.pagedIn = folder.path().toStdString();
    const auto parameters = [] {
      std::vector<OptimizedParameter> made{parameter("a", {300, 70}, 0.1, at::kFloat), parameter("b", {5}, 0.2, at::kDouble),
                                           parameter("c", {9, 41}, 0.3, at::kFloat)};
      made[2].tensor = made[2].tensor.detach().t().requires_grad_();  // lies the other way round, as GPT-2's weights do
      return made;
    };
    const auto one = parameters(), two = parameters();
    auto inMemory = make(one, plain), inFile = make(two, paged);
    for (const OptimizedParameter& p : two) {
      const MomentView view = inFile->moments(p.tensor);
      for (const at::Tensor& moment : {view.first, view.second}) {
        if (!moment.defined()) continue;
        QVERIFY(isMapped(moment, paged.pagedIn));
        QVERIFY(moment.strides() == p.tensor.strides() && moment.eq(0).all().item<bool>());
      }
    }
    QVERIFY(!isMapped(inMemory->moments(one[0].tensor).first, paged.pagedIn));
    QVERIFY(std::filesystem::is_empty(paged.pagedIn));
    for (int step = 0; step < 4; ++step) {
      for (const auto* set : {&one, &two})
        for (const OptimizedParameter& p : *set) setGradient(p, step + 0.5);
      inMemory->step(0.01);
      inFile->step(0.01);
      const at::Tensor first = inFile->moments(two[0].tensor).first;
      const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
      const auto begin = (reinterpret_cast<uintptr_t>(first.data_ptr()) + page - 1) / page * page;
      const auto end = (reinterpret_cast<uintptr_t>(first.data_ptr()) + first.nbytes()) / page * page;
      QCOMPARE(madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED), 0);  // ordinary memory would read as 0
      for (size_t i = 0; i < one.size(); ++i) QVERIFY(at::equal(one[i].tensor, two[i].tensor));
    }
    const auto left = inMemory->state(), right = inFile->state();
    QCOMPARE(left.size(), right.size());
    for (const auto& [key, value] : left) QVERIFY2(at::equal(value, right.at(key)), key.c_str());
    // A state saved from the one goes on in the other, and outlives the optimizer that it came from.
    auto again = make(parameters(), paged);
    QVERIFY(again->loadState(left).ok());
    inFile.reset();
    for (const auto& [key, value] : right) QVERIFY2(at::equal(value, again->state().at(key)), key.c_str());
  }

  void noRoomForPagedMoments() {
    auto p = parameter("a", {512, 512}, 0.1, at::kFloat);
    OptimizerSettings settings;
    settings.pagedIn = "/nowhere/at/all";
    const auto absent = makeOptimizer({p}, settings);
    QVERIFY(!absent && absent.error().where == "/nowhere/at/all");
    QTemporaryDir folder;
    settings.pagedIn = folder.path().toStdString();
    // A limit on files' sizes stands for a disk that is full.
    rlimit before{};
    QCOMPARE(getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{1 << 20, before.rlim_max};
    QCOMPARE(setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto refused = makeOptimizer({p}, settings);
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    QVERIFY(!refused);
    QVERIFY(refused.error().code == ErrorCode::Io && refused.error().hint.find("optim.paged") != std::string::npos);
    QVERIFY(std::filesystem::is_empty(settings.pagedIn));
    QVERIFY(makeOptimizer({p}, settings).ok());
  }

  void badSettingsAreRefused() {
    auto p = parameter("a", {2}, 0);
    OptimizerSettings s;
    s.name = "adamx";
    QCOMPARE(makeOptimizer({p}, s).error().where, std::string("optim.name"));
    s = {};
    s.beta2 = 1.0;
    QCOMPARE(makeOptimizer({p}, s).error().where, std::string("optim.beta2"));
    s = {};
    s.weightDecay = std::nan("");
    QCOMPARE(makeOptimizer({p}, s).error().where, std::string("optim.weight_decay"));
    QVERIFY(!makeOptimizer({}, {}).ok());
    QVERIFY(!makeOptimizer({p, p}, {}).ok());
    QVERIFY(!makeOptimizer({{"h", at::ones({2}, at::kBFloat16)}}, {}).ok());
  }
};

QTEST_GUILESS_MAIN(OptimSteps)
#include "optim_steps.moc"
