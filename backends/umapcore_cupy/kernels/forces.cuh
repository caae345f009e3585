// The law of forces, as umapcore_numba/forces.py describes it. TINY and NEAR are macros.
#pragma once
#include "floats.cuh"

// p = a d^(2b) from d^2.
DEVICE float curve_power(float squared, float b, float log2_a) {
  return exp2_of(b * log2_of(larger(squared, TINY)) + log2_a);
}

DEVICE float membership(float power) { return reciprocal(1.0f + power); }

DEVICE float attraction(float squared, float power) {
  return power * reciprocal(larger(squared, TINY) * (1.0f + power));
}

DEVICE float repulsion(float squared, float power) {
  return reciprocal((NEAR + squared) * (1.0f + power));
}
