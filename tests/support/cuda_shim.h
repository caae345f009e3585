// What lets the kernels' .cu files be compiled for the host by a C++ compiler: one thread runs all
// threads of all blocks, one after the other. Sums that depended on the order of blocks or threads
// would show, because the order can be reversed.
#pragma once
#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
// Blocks run one at a time, up to a barrier of the grid: what is in shared memory is lost there.
#define __shared__ static

struct Index {
  unsigned x;
};
static Index threadIdx, blockIdx, blockDim, gridDim;

struct float2 {
  float x, y;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
struct float4 {
  float x, y, z, w;
};

// Where a thread waits: for the other threads of its block, or for what other blocks write.
enum Waiting { RUNS, AT_BARRIER, FOR_OTHERS, ENDED };

// A thread with a stack of its own, entered once by ucontext and from then on by longjmp, which
// needs no system call. It runs kernel after kernel.
struct Fiber {
  ucontext_t entry;
  jmp_buf here;
  Waiting waiting = ENDED;
  bool entered = false;
};
static jmp_buf scheduler;
static Fiber* running;  // null outside of fibers
static void (*run_kernel)(void*);
static void* kernel_to_run;

static void wait_here(Waiting waiting) {
  if (running == nullptr) {
    std::fputs("a barrier that the first thread did not meet\n", stderr);
    std::abort();
  }
  running->waiting = waiting;
  if (_setjmp(running->here) == 0) _longjmp(scheduler, 1);
}
static void run_kernels() {
  for (;;) {
    run_kernel(kernel_to_run);
    wait_here(ENDED);
  }
}
static void resume(Fiber& fiber) {
  running = &fiber;
  fiber.waiting = RUNS;
  if (_setjmp(scheduler) == 0) {
    if (fiber.entered) _longjmp(fiber.here, 1);
    fiber.entered = true;
    setcontext(&fiber.entry);
  }
  running = nullptr;
}
static Fiber* new_fiber() {
  static const size_t STACK = 1 << 17;
  Fiber* const fiber = new Fiber;
  getcontext(&fiber->entry);
  fiber->entry.uc_stack.ss_sp = std::malloc(STACK);
  fiber->entry.uc_stack.ss_size = STACK;
  makecontext(&fiber->entry, run_kernels, 0);
  return fiber;
}

#define BLOCK_BARRIER() wait_here(AT_BARRIER)
static inline void __threadfence() {}
#define KEEP(number)
#define LOAD_ACQUIRED
static inline unsigned load_acquired(const unsigned* address) {
  wait_here(FOR_OTHERS);
  return *address;
}

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
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }

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
template <typename T>
static inline T atomicCAS(T* address, T expected, T value) {
  const T old = *address;
  if (old == expected) *address = value;
  return old;
}
static inline int atomicOr(int* address, int value) {
  const int old = *address;
  *address |= value;
  return old;
}

// Runs threads of a block until all have ended, or wait for other blocks. False: nobody did more
// than to look again whether others have come.
static bool run_block(std::vector<Fiber*>& fibers, bool reversed) {
  const unsigned count = (unsigned)fibers.size();
  bool looked = false, moved = false;
  for (;;) {
    unsigned ended = 0, at_barrier = 0;
    for (unsigned i = 0; i < count; i++) {
      const unsigned t = reversed ? count - 1 - i : i;
      Fiber& fiber = *fibers[t];
      threadIdx.x = t;
      if (fiber.waiting == RUNS || (fiber.waiting == FOR_OTHERS && !looked)) {
        const bool looks = fiber.waiting == FOR_OTHERS;
        resume(fiber);
        moved = moved || !looks || fiber.waiting != FOR_OTHERS;
      }
      ended += fiber.waiting == ENDED;
      at_barrier += fiber.waiting == AT_BARRIER;
    }
    looked = true;
    // Threads that have ended are not waited for.
    if (ended + at_barrier < count || at_barrier == 0) return moved;
    for (Fiber* fiber : fibers)
      if (fiber->waiting == AT_BARRIER) fiber->waiting = RUNS;
  }
}

template <typename Kernel>
static void run_grid(unsigned grid, unsigned block, bool reversed, Kernel kernel) {
  static std::vector<Fiber*> idle;
  gridDim.x = grid;
  blockDim.x = block;
  run_kernel = [](void* given) { (*(Kernel*)given)(); };
  kernel_to_run = &kernel;
  const auto start = [&] {
    if (idle.empty()) idle.push_back(new_fiber());
    Fiber* const fiber = idle.back();
    idle.pop_back();
    fiber->waiting = RUNS;
    return fiber;
  };
  const auto nth = [&](unsigned i, unsigned count) { return reversed ? count - 1 - i : i; };

  // A kernel whose first thread meets no barrier has none: the others need no stacks.
  blockIdx.x = nth(0, grid);
  threadIdx.x = nth(0, block);
  Fiber* const first = start();
  resume(*first);
  if (first->waiting == ENDED) {
    idle.push_back(first);
    for (unsigned i = 0; i < grid; i++) {
      blockIdx.x = nth(i, grid);
      for (unsigned k = i == 0; k < block; k++) {
        threadIdx.x = nth(k, block);
        kernel();
      }
    }
    return;
  }
  std::vector<std::vector<Fiber*>> blocks(grid);
  for (int round = 0;; round++) {
    bool all_ended = true, moved = round == 0;
    for (unsigned i = 0; i < grid; i++) {
      std::vector<Fiber*>& fibers = blocks[i];
      for (unsigned t = 0; t < block && round == 0; t++)
        fibers.push_back(i == 0 && t == nth(0, block) ? first : start());
      if (fibers.empty()) continue;
      blockIdx.x = nth(i, grid);
      moved = run_block(fibers, reversed) || moved;
      if (fibers[0]->waiting == ENDED) {  // as all of them then have
        idle.insert(idle.end(), fibers.begin(), fibers.end());
        fibers.clear();
      } else {
        all_ended = false;
      }
    }
    if (all_ended) return;
    if (!moved) {
      std::fputs("all blocks wait for one another\n", stderr);
      std::abort();
    }
  }
}
