// The epoch number is stored on the device, so that a recorded epoch can be replayed.
#include "cuda.cuh"

KERNEL set_epoch(int* epoch, int value) {
  if (thread_number() == 0) *epoch = value;
}

KERNEL next_epoch(int* epoch) {
  if (thread_number() == 0) *epoch += 1;
}
