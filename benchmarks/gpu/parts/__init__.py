"""Parts of ``python -m benchmarks.gpu --ten-minutes OUT``; each is a separate command."""
