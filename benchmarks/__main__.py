"""Run the whole suite: ``python -m benchmarks``."""

from benchmarks.suite import main

raise SystemExit(main())
