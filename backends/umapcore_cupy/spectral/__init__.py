"""The spectral start on the GPU."""
