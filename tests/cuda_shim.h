// What lets the kernels' .cu files be compiled for the host by a C++ compiler: one thread runs all
// blocks, one after the other. Sums that depended on the order of blocks or threads would show,
// because the order can be reversed.
#pragma once
#include <cmath>
#include <cstring>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(n)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static  // blocks run one at a time

struct Index {
  unsigned x;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

struct float2 {
  float x, y;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }

// A thread ends at a barrier; when all of the block have, each runs again, past one barrier more.
static unsigned barriers_to_pass, barriers_met;
static bool somebody_waits;
#define BLOCK_BARRIER()                      \
  do {                                       \
    if (barriers_met++ == barriers_to_pass) { \
      somebody_waits = true;                 \
      return;                                \
    }                                        \
  } while (0)

static inline int __float_as_int(float x) {
  int bits;
  std::memcpy(&bits, &x, 4);
  return bits;
}
static inline float __int_as_float(int bits) {
  float x;
  std::memcpy(&x, &bits, 4);
  return x;
}
static inline long long __double_as_longlong(double x) {
  long long bits;
  std::memcpy(&bits, &x, 8);
  return bits;
}
static inline double __longlong_as_double(long long bits) {
  double x;
  std::memcpy(&x, &bits, 8);
  return x;
}
// A reciprocal that is a little off, as a device's approximation is, by other amounts for other x.
static inline float reciprocal_guess(float x) {
  const int moved = (int)((unsigned)__float_as_int(x) * 2654435761u >> 22) - 512;
  return __int_as_float(__float_as_int(1.0f / x) + moved);
}
// The steps of kernels/cuda.cuh.
#define ROUNDED_RECIPROCAL
static inline float newton_steps(float x, float guess) {
  const float nearer = std::fma(guess, std::fma(-x, guess, 1.0f), guess);
  return std::fma(nearer, std::fma(-x, nearer, 1.0f), nearer);
}
static inline float rounded_reciprocal(float x) { return newton_steps(x, reciprocal_guess(x)); }
static inline int __ffs(int x) { return __builtin_ffs(x); }

template <typename T>
static inline T atomicAdd(T* address, T value) {
  const T old = *address;
  // Unsigned, where wrapping round is allowed.
  *address = (T)((unsigned long long)old + (unsigned long long)value);
  return old;
}
static inline int atomicMax(int* address, int value) {
  const int old = *address;
  if (value > old) *address = value;
  return old;
}
static inline int atomicMin(int* address, int value) {
  const int old = *address;
  if (value < old) *address = value;
  return old;
}
static inline int atomicCAS(int* address, int expected, int value) {
  const int old = *address;
  if (old == expected) *address = value;
  return old;
}
static inline int atomicOr(int* address, int value) {
  const int old = *address;
  *address |= value;
  return old;
}

template <typename Kernel>
static void run_grid(unsigned grid, unsigned block, bool reversed, Kernel kernel) {
  gridDim.x = grid;
  blockDim.x = block;
  for (unsigned b = 0; b < grid; b++) {
    blockIdx.x = reversed ? grid - 1 - b : b;
    for (barriers_to_pass = 0, somebody_waits = true; somebody_waits; barriers_to_pass++) {
      somebody_waits = false;
      for (unsigned t = 0; t < block; t++) {
        threadIdx.x = reversed ? block - 1 - t : t;
        barriers_met = 0;
        kernel();
      }
    }
  }
}
