// Copies positions between the order of the graph's vertices and the plan order.
#include "points.cuh"

KERNEL gather_positions(int64 n, const int* order, const float* vertices, float* places) {
  const int64 place = thread_number();
  if (place >= n) return;
  Point p = load_point(vertices, order[place]);
  // Turns -0 into 0. Moves never produce -0, so vertices without any pull need no update.
  for (int k = 0; k < DIMENSIONS; k++) p.x[k] += 0.0f;
  store_point(places, place, p);
}

KERNEL scatter_positions(int64 n, const int* order, const float* places, float* vertices) {
  const int64 place = thread_number();
  if (place < n) store_point(vertices, order[place], load_point(places, place));
}
