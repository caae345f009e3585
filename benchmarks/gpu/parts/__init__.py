"""Parts of ``python -m benchmarks.gpu --ten-minutes OUT``, each a command of its own."""
