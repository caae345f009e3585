// What every kernel needs of the language. Kernels use + - * /, integer operations, selects, bit
// casts and conversions within range, in one written order: compiled with --fmad=false they give
// the bits of the CPU on every device. There are no float atomics, warp shuffles or library calls.
#pragma once

typedef unsigned int uint32;
typedef long long int64;
typedef unsigned long long uint64;

#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__

// A barrier of the block. What a thread does before one must be idempotent: where kernels are
// compiled for a host, that part runs once more for every barrier.
#ifndef BLOCK_BARRIER
#define BLOCK_BARRIER() __syncthreads()
#endif

// Number of this thread in the launch.
DEVICE int64 thread_number() {
  return (int64)blockIdx.x * blockDim.x + threadIdx.x;
}
