"""The spectral start on the CPU."""
