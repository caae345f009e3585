"""Compare layouts: quality, bits, and speed against other programs."""
