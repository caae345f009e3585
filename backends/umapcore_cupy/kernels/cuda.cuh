// What every kernel needs of the language. Kernels use + - * /, integer operations, selects, bit
// casts and conversions within range, in one written order: compiled with --fmad=false they give
// the bits of the CPU on every device. There are no float atomics, warp shuffles or library calls.
// One function goes about it in another way: rounded_reciprocal.
#pragma once

typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;

#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__

// A barrier of the block. All of its threads meet it, the first one too, but for those that have
// ended: where kernels are compiled for a host, that is how one with barriers is told.
#ifndef BLOCK_BARRIER
#define BLOCK_BARRIER() __syncthreads()
#endif

// Keeps a 64-bit number in registers where the compiler would work it out anew in every pass of a
// loop.
#ifndef KEEP
#define KEEP(number) asm volatile("" : "+l"(number))
#endif

// 1/x, correctly rounded, of a normal number up to 2^125 whose last bit is 0. The language's own
// division has a branch, which keeps several from overlapping: where few threads run, as on small
// graphs, they would wait for one another. This takes the device's approximation and two fused
// Newton steps, of which the last rounds correctly (Markstein, 1990): for every even significand,
// and from any approximation within 1,500 units in the last place. The tests try them all.
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
