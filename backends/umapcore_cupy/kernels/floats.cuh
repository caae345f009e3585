// The arithmetic that all backends share; the constants are those of umapcore_numba/floats.py.
#pragma once
#include "cuda.cuh"

DEVICE float larger(float x, float y) { return x > y ? x : y; }
DEVICE float smaller(float x, float y) { return x < y ? x : y; }
DEVICE float clipped(float x, float limit) { return smaller(larger(x, -limit), limit); }

// Base-2 logarithm of a positive normal number, absolute error below 1.6e-5.
DEVICE float log2_of(float x) {
  const int bits = __float_as_int(x);
  const int exponent = (bits - 0x3F3504F3) >> 23;
  const float u = __int_as_float(bits - exponent * (1 << 23)) - 1.0f;
  const float u2 = u * u;
  const float low = (float)exponent + u * 1.4425785541534424f;
  const float high = (-0.7202425599098206f + u * 0.4866759479045868f) +
                     u2 * (-0.39456719160079956f + u * 0.2526974380016327f);
  return low + u2 * high;
}

// 2^z, relative error below 3e-6, z clamped to [-125, 125].
DEVICE float exp2_of(float z) {
  const float rounder = 12582912.0f;  // 1.5 * 2^23 leaves the nearest integer in the low bits
  z = smaller(larger(z, -125.0f), 125.0f);
  const float shifted = z + rounder;
  const float f = z - (shifted - rounder);
  const float f2 = f * f;
  const float p = (0.9999992847442627f + f * 0.6931217908859253f) +
                  f2 * ((0.240247443318367f + f * 0.05591785907745361f) + f2 * 0.009570102207362652f);
  const uint32 exponent = (uint32)__float_as_int(shifted) << 23;
  return __int_as_float((int)((uint32)__float_as_int(p) + exponent));
}

// 1/x of a positive normal number. The last bit of x is cleared, and x is limited to 2^125.
DEVICE float reciprocal(float x) {
  return rounded_reciprocal(__int_as_float(__float_as_int(smaller(x, 4.253529586511731e37f)) & -2));
}

// Nearest integer to a number within range; halves are rounded away from zero.
DEVICE int whole(float x) {
  const int sign = __float_as_int(x) & (int)0x80000000;
  return (int)(x + __int_as_float(sign | 0x3F000000));  // 0.5 with the sign of x
}

// Finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
DEVICE uint64 mix64(uint64 x) {
  x += 0x9E3779B97F4A7C15ull;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
  return x ^ (x >> 31);
}

// Key of the random numbers of one bucket in one epoch.
DEVICE uint64 bucket_key(uint64 seed, int epoch, int bucket) {
  return mix64(mix64(seed) ^ ((uint64)epoch << 32 | (uint64)bucket));
}
