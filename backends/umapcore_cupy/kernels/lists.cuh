// The nearest neighbours found so far, as sorted lists of k keys: see umapcore/neighbors/lists.py. What a
// list holds in the end does not depend on the order in which keys are inserted.
#pragma once
#include "cuda.cuh"

#define NO_KEY 0x7FFFFFFFFFFFFFFFll

// The bits of the squared distance, which is not negative, above the number of the neighbour.
DEVICE int64 key_of(float squared, int64 number) {
  return (int64)__float_as_int(squared) << 32 | number;
}

DEVICE int64 number_of(int64 key) { return key & 0xFFFFFFFFll; }

// Inserts a key into a list, unless it is there or too far. One thread changes a list at a time.
DEVICE void insert(int64* list, int k, int64 key) {
  if (key >= list[k - 1]) return;
  int at = k - 1;
  while (at > 0 && list[at - 1] > key) at--;
  if (at > 0 && list[at - 1] == key) return;
  for (int place = k - 1; place > at; place--) list[place] = list[place - 1];
  list[at] = key;
}
