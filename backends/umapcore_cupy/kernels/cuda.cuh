// What every kernel needs of the language. Kernels use + - * /, integer operations, selects, bit
// casts and conversions within range, in a fixed order. Compiled with --fmad=false, they return the
// bits of the CPU on every device. There are no float atomics, warp shuffles or library calls. One
// function is an exception: rounded_reciprocal.
#pragma once

typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;

#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__

// A barrier of the block. All threads that have not ended reach it, and the first thread always does:
// when kernels are compiled for a host, this shows which kernels have barriers.
#ifndef BLOCK_BARRIER
#define BLOCK_BARRIER() __syncthreads()
#endif

// Keeps a 64-bit number in registers. Otherwise the compiler computes it again in every pass of a loop.
#ifndef KEEP
#define KEEP(number) asm volatile("" : "+l"(number))
#endif

// 1/x, correctly rounded, of a normal number up to 2^125 whose last bit is 0. The language's own
// division has a branch, which prevents several divisions from overlapping. With few threads, as on
// small graphs, they would wait for one another. This function uses the device's approximation and
// two fused Newton steps. The last step rounds correctly (Markstein, 1990) for every even significand
// and from any approximation within 1,500 units in the last place. The tests try all of these.
#ifndef ROUNDED_RECIPROCAL
DEVICE float rounded_reciprocal(float x) {
  float result;
  asm("{\n\t"
      ".reg .f32 minus;\n\t"
      ".reg .f32 guess;\n\t"
      ".reg .f32 error;\n\t"
      ".reg .f32 nearer;\n\t"
      ".reg .f32 left;\n\t"
      "neg.f32 minus, %1;\n\t"
      "rcp.approx.ftz.f32 guess, %1;\n\t"
      "fma.rn.f32 error, minus, guess, 0f3F800000;\n\t"
      "fma.rn.f32 nearer, guess, error, guess;\n\t"
      "fma.rn.f32 left, minus, nearer, 0f3F800000;\n\t"
      "fma.rn.f32 %0, nearer, left, nearer;\n\t"
      "}"
      : "=f"(result) : "f"(x));
  return result;
}
#endif

// Number of this thread in the launch.
DEVICE int64 thread_number() {
  return (int64)blockIdx.x * blockDim.x + threadIdx.x;
}
