"""The GPU backend's benchmark: ``python -m benchmarks.gpu``."""

from benchmarks.gpu.checkout import find_packages

find_packages()

from benchmarks.gpu.command import main  # noqa: E402

raise SystemExit(main())
