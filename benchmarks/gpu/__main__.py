"""Run the benchmark of the GPU backend: ``python -m benchmarks.gpu``."""

from benchmarks.gpu.checkout import find_packages

find_packages()

from benchmarks.gpu.command import main  # noqa: E402

raise SystemExit(main())
