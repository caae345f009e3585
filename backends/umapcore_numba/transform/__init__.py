"""New points in an embedding, on the CPU."""
