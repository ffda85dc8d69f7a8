#pragma once
// The arithmetic of RefLoRA's CUDA kernel, one pair of factors to a block of threads, as host/device functions: each is
// a phase that every thread runs between two barriers, and touches only what no other thread writes in that phase. The
// GPU runs them in parallel; a CPU test runs the same bodies thread by thread.
//
// Eigenvectors come from Jacobi's method with the round-robin order of pairs: in each round all r/2 rotations are
// disjoint. Everything r×r is float64, as on the CPU.

#include <cmath>
#include <cstdint>

#ifdef __CUDACC__
#define RS_REFLORA_HD __host__ __device__ inline
#else
#define RS_REFLORA_HD inline
#endif

namespace rankscope::kernels::reflora {

constexpr int kSweeps = 12;  // quadratic convergence: float64 accuracy after 6 to 9 for r up to a few hundred

struct Lane {
  int64_t thread = 0, threads = 1;
};

// Scratch of one pair: six [r, r] matrices, two vectors [r], and the rotations of a round. In float64.
struct Workspace {
  double *gramA, *gramB, *m, *vA, *vM, *t;
  double *sigmaA, *sigmaM;
  double *cosine, *sine;  // [r / 2 + 1]
};
RS_REFLORA_HD int64_t workspaceSize(int64_t r) { return 6 * r * r + 2 * r + 2 * (r / 2 + 1); }
RS_REFLORA_HD Workspace workspaceAt(double* p, int64_t r) {
  Workspace w;
  double** matrices[6] = {&w.gramA, &w.gramB, &w.m, &w.vA, &w.vM, &w.t};
  for (int i = 0; i < 6; ++i) *matrices[i] = p + i * r * r;
  w.sigmaA = p + 6 * r * r;
  w.sigmaM = w.sigmaA + r;
  w.cosine = w.sigmaM + r;
  w.sine = w.cosine + r / 2 + 1;
  return w;
}

// Gram matrices: an entry to a thread.
template <typename T>
RS_REFLORA_HD void grams(Lane lane, const T* a, const T* b, int64_t r, int64_t in, int64_t out, Workspace w) {
  for (int64_t e = lane.thread; e < r * r; e += lane.threads) {
    const int64_t i = e / r, j = e % r;
    double sumA = 0, sumB = 0;
    for (int64_t k = 0; k < in; ++k) sumA += static_cast<double>(a[i * in + k]) * static_cast<double>(a[j * in + k]);
    for (int64_t k = 0; k < out; ++k) sumB += static_cast<double>(b[k * r + i]) * static_cast<double>(b[k * r + j]);
    w.gramA[e] = sumA;
    w.gramB[e] = sumB;
  }
}

RS_REFLORA_HD void setIdentity(Lane lane, double* v, int64_t r) {
  for (int64_t e = lane.thread; e < r * r; e += lane.threads) v[e] = e / r == e % r ? 1.0 : 0.0;
}

// Players of a round-robin tournament of n (even) in round `round`: the pair of table `table`. A player >= r sits out.
RS_REFLORA_HD void tournamentPair(int64_t n, int64_t round, int64_t table, int64_t* p, int64_t* q) {
  const int64_t first = table == 0 ? n - 1 : (round + table) % (n - 1);
  const int64_t second = (round + n - 1 - table) % (n - 1);
  *p = first < second ? first : second;
  *q = first < second ? second : first;
}
RS_REFLORA_HD int64_t tournamentSize(int64_t r) { return r + (r & 1); }

// The rotations of a round, a table to a thread.
RS_REFLORA_HD void rotations(Lane lane, const double* s, int64_t r, int64_t round, Workspace w) {
  const int64_t n = tournamentSize(r);
  for (int64_t table = lane.thread; table < n / 2; table += lane.threads) {
    int64_t p = 0, q = 0;
    tournamentPair(n, round, table, &p, &q);
    double c = 1, sn = 0;
    if (q < r && s[p * r + q] != 0) {
      const double theta = (s[q * r + q] - s[p * r + p]) / (2 * s[p * r + q]);
      const double t = (theta >= 0 ? 1.0 : -1.0) / (fabs(theta) + sqrt(theta * theta + 1));
      c = 1 / sqrt(t * t + 1);
      sn = t * c;
    }
    w.cosine[table] = c;
    w.sine[table] = sn;
  }
}
// Columns p, q of the matrix and of its eigenvectors, a row and table to a thread.
RS_REFLORA_HD void rotateColumns(Lane lane, double* s, double* v, int64_t r, int64_t round, Workspace w) {
  const int64_t n = tournamentSize(r), tables = n / 2;
  for (int64_t e = lane.thread; e < tables * r; e += lane.threads) {
    const int64_t table = e / r, i = e % r;
    int64_t p = 0, q = 0;
    tournamentPair(n, round, table, &p, &q);
    if (q >= r) continue;
    const double c = w.cosine[table], sn = w.sine[table];
    double x = s[i * r + p], y = s[i * r + q];
    s[i * r + p] = c * x - sn * y;
    s[i * r + q] = sn * x + c * y;
    x = v[i * r + p];
    y = v[i * r + q];
    v[i * r + p] = c * x - sn * y;
    v[i * r + q] = sn * x + c * y;
  }
}
RS_REFLORA_HD void rotateRows(Lane lane, double* s, int64_t r, int64_t round, Workspace w) {
  const int64_t n = tournamentSize(r), tables = n / 2;
  for (int64_t e = lane.thread; e < tables * r; e += lane.threads) {
    const int64_t table = e / r, j = e % r;
    int64_t p = 0, q = 0;
    tournamentPair(n, round, table, &p, &q);
    if (q >= r) continue;
    const double c = w.cosine[table], sn = w.sine[table], x = s[p * r + j], y = s[q * r + j];
    s[p * r + j] = c * x - sn * y;
    s[q * r + j] = sn * x + c * y;
  }
}
// Square roots of the eigenvalues; what rounding made negative counts as 0.
RS_REFLORA_HD void roots(Lane lane, const double* s, int64_t r, double* sigma) {
  for (int64_t i = lane.thread; i < r; i += lane.threads) sigma[i] = s[i * r + i] > 0 ? sqrt(s[i * r + i]) : 0.0;
}

// M = Σ_A V_Aᵀ M_B V_A Σ_A in two products.
RS_REFLORA_HD void conjugateFirst(Lane lane, int64_t r, Workspace w) {
  for (int64_t e = lane.thread; e < r * r; e += lane.threads) {
    const int64_t i = e / r, j = e % r;
    double sum = 0;
    for (int64_t k = 0; k < r; ++k) sum += w.gramB[i * r + k] * w.vA[k * r + j];
    w.t[e] = sum * w.sigmaA[j];
  }
}
RS_REFLORA_HD void conjugateSecond(Lane lane, int64_t r, Workspace w) {
  for (int64_t e = lane.thread; e < r * r; e += lane.threads) {
    const int64_t i = e / r, j = e % r;
    double sum = 0;
    for (int64_t k = 0; k < r; ++k) sum += w.vA[k * r + i] * w.t[k * r + j];
    w.m[e] = sum * w.sigmaA[i];
  }
}
// L = V_A (Σ_A + ε)⁻¹ V_M into gramA, K = V_A Σ_A V_M into gramB (both Gram matrices have served).
RS_REFLORA_HD void halves(Lane lane, int64_t r, double eps, Workspace w) {
  for (int64_t e = lane.thread; e < r * r; e += lane.threads) {
    const int64_t i = e / r, j = e % r;
    double l = 0, k = 0;
    for (int64_t h = 0; h < r; ++h) {
      l += w.vA[i * r + h] / (w.sigmaA[h] + eps) * w.vM[h * r + j];
      k += w.vA[i * r + h] * w.sigmaA[h] * w.vM[h * r + j];
    }
    w.gramA[e] = l;
    w.gramB[e] = k;
  }
}
// S = L Σ_M Lᵀ into m, S⁻¹ = K (Σ_M + ε)⁻¹ Kᵀ into t.
RS_REFLORA_HD void metric(Lane lane, int64_t r, double eps, Workspace w) {
  for (int64_t e = lane.thread; e < r * r; e += lane.threads) {
    const int64_t i = e / r, j = e % r;
    double s = 0, inverse = 0;
    for (int64_t h = 0; h < r; ++h) {
      s += w.gramA[i * r + h] * w.sigmaM[h] * w.gramA[j * r + h];
      inverse += w.gramB[i * r + h] / (w.sigmaM[h] + eps) * w.gramB[j * r + h];
    }
    w.m[e] = s;
    w.t[e] = inverse;
  }
}

// All phases in order; `barrier()` is __syncthreads on the GPU, and `phase(f)` runs f for the calling thread there, for
// every thread in turn in the CPU test.
template <typename T, typename Phase>
RS_REFLORA_HD void computeMetric(const Phase& phase, const T* a, const T* b, int64_t r, int64_t in, int64_t out,
                                 double eps, Workspace w) {
  phase([=](Lane lane) { grams(lane, a, b, r, in, out, w); });
  for (int which = 0; which < 2; ++which) {
    double* s = which == 0 ? w.gramA : w.m;
    double* v = which == 0 ? w.vA : w.vM;
    if (which == 1) {
      phase([=](Lane lane) { conjugateFirst(lane, r, w); });
      phase([=](Lane lane) { conjugateSecond(lane, r, w); });
    }
    phase([=](Lane lane) { setIdentity(lane, v, r); });
    for (int sweep = 0; sweep < kSweeps; ++sweep)
      for (int64_t round = 0; round + 1 < tournamentSize(r); ++round) {
        phase([=](Lane lane) { rotations(lane, s, r, round, w); });
        phase([=](Lane lane) { rotateColumns(lane, s, v, r, round, w); });
        phase([=](Lane lane) { rotateRows(lane, s, r, round, w); });
      }
    double* sigma = which == 0 ? w.sigmaA : w.sigmaM;
    phase([=](Lane lane) { roots(lane, s, r, sigma); });
  }
  phase([=](Lane lane) { halves(lane, r, eps, w); });
  phase([=](Lane lane) { metric(lane, r, eps, w); });
}

// Columns of gradA and rows of gradB are independent: one of them to a thread, written to a second buffer.
template <typename T>
RS_REFLORA_HD void apply(Lane lane, const double* s, const double* inverse, int64_t r, int64_t in, int64_t out,
                         const T* gradA, const T* gradB, T* newA, T* newB) {
  for (int64_t e = lane.thread; e < r * in; e += lane.threads) {
    const int64_t i = e / in, c = e % in;
    double sum = 0;
    for (int64_t k = 0; k < r; ++k) sum += inverse[i * r + k] * static_cast<double>(gradA[k * in + c]);
    newA[e] = static_cast<T>(sum);
  }
  for (int64_t e = lane.thread; e < out * r; e += lane.threads) {
    const int64_t row = e / r, j = e % r;
    double sum = 0;
    for (int64_t k = 0; k < r; ++k) sum += static_cast<double>(gradB[row * r + k]) * s[k * r + j];
    newB[e] = static_cast<T>(sum);
  }
}

}  // namespace rankscope::kernels::reflora
