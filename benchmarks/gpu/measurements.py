"""All measurements of ``benchmarks.gpu``, in the order in which they run."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks import report
from benchmarks.generated import Generated, generated
from benchmarks.gpu.checks import parity, streamed
from benchmarks.gpu.first_call import compile_seconds, in_fresh_processes
from benchmarks.gpu.goals import OTHER_WAY, find, goals
from benchmarks.gpu.largest import largest
from benchmarks.gpu.runs import Rig, measure, the_other_way
from benchmarks.gpu.sections import Sections
from benchmarks.gpu.start import start
from umapcore import OptimizerSpec
from umapcore.graph.csr import prepare_graph

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from benchmarks.gpu.lower_bound import Rates

#: Graphs from `LARGE` vertices on are laid out `FEW_RUNS` times, since they take seconds.
LARGE, FEW_RUNS = 5_000_000, 3
#: Up to `WHOLE` vertices, whole layouts are compared with the CPU's; up to `PARTLY` vertices, the
#: first `FEW_EPOCHS` epochs.
WHOLE, PARTLY, FEW_EPOCHS = 100_000, 1_000_000, 10
#: Vertices of the graph of the first call.
FIRST = 10_000


class Measurements:
    """Measures, and collects the results.

    Parameters
    ----------
    rig
        Backend, clock and arrays to measure with.
    rates
        Measured rates of the device.
    options
        Options of ``python -m benchmarks.gpu``.
    architecture
        Architecture for which NVRTC is timed; None leaves this out.
    keep
        Receives the results so far, before every part.
    """

    def __init__(
        self,
        rig: Rig,
        rates: Rates,
        options: argparse.Namespace,
        architecture: int | None,
        keep: Callable[[dict[str, Any]], None] = lambda found: None,
    ) -> None:
        self._rig, self._rates, self._options = rig, rates, options
        self._architecture = architecture
        self._sections = Sections(options.limit, lambda: keep(self.found()))
        self._result: dict[str, Any] = {
            "rates": asdict(rates),
            "load_average_before": report.load_average(),
            "graphs": [],
            "starts": [],
            "parity": [],
        }

    def measure(self) -> dict[str, Any]:
        """Measure everything that the options select."""
        options, run = self._options, self._sections.run
        # This loads what CUDA loads at its first use.
        run("warm-up", measure, self._rig, generated(1000), _spec(4), runs=1, rates=self._rates)
        if self._architecture is not None:
            self._put("compile", run("NVRTC", compile_seconds, self._architecture))
        if not options.no_first_call:
            first = run("first call", in_fresh_processes, generated(FIRST), options.first_command)
            self._put("first_call", first)
        for n in options.sizes:
            bench = run(f"making {n:,} vertices", generated, n)
            if bench is not None:
                self._start(bench)
                self._lay_out(bench)
                if n <= PARTLY:
                    self._lay_out_the_other_way(bench)
                    self._compare(bench)
                if n == options.streamed:
                    self._stream(bench)
        real = fashion(options.data)
        if isinstance(real, str):
            self._sections.skipped["fashion_mnist70k"] = real
        else:
            self._start(real)
            self._lay_out(real)
        if options.largest:
            self._put("largest", self._largest(options.largest))
        return self.found()

    def found(self) -> dict[str, Any]:
        """Return the results so far."""
        return {
            "goals": goals(self._result),
            **self._result,
            "skipped": self._sections.skipped,
            "failed": self._sections.failed,
            "under_way": self._sections.under_way,
            "seconds": self._sections.seconds,
        }

    def _start(self, bench: Generated) -> None:
        n = bench.graph.shape[0]
        runs = min(self._options.runs, FEW_RUNS) if n >= LARGE else self._options.runs
        measured = self._sections.run(
            f"{bench.name}, spectral start", start, self._rig, bench,
            runs=runs, compared=n <= PARTLY,
        )  # fmt: skip
        if measured is not None:
            print(f"          {measured['seconds']['wall']['median']:.4f} s")
            self._result["starts"].append(measured)

    def _lay_out(self, bench: Generated) -> None:
        runs = self._options.runs
        if bench.graph.shape[0] >= LARGE:
            runs = min(runs, FEW_RUNS)
        for n_epochs in self._options.epochs:
            measured = self._sections.run(
                f"{bench.name}, {n_epochs} epochs", measure, self._rig, bench, _spec(n_epochs),
                runs=runs, rates=self._rates,
            )  # fmt: skip
            self._put_layout(measured)

    def _lay_out_the_other_way(self, bench: Generated) -> None:
        """Measure the other way to launch epochs (one launch or many), to check the choice."""
        n_epochs = self._options.epochs[0]
        with the_other_way(bench.graph.shape[0]):
            measured = self._sections.run(
                f"{bench.name}, {n_epochs} epochs, launched the other way", measure, self._rig,
                bench, _spec(n_epochs), runs=self._options.runs, rates=self._rates,
            )  # fmt: skip
        if measured is not None:
            measured["graph"] = f"{OTHER_WAY}{bench.name}"
            self._put_layout(measured)

    def _put_layout(self, measured: dict[str, Any] | None) -> None:
        if measured is not None:
            seconds = measured["seconds"]["epochs"]["device"]["median"]
            print(f"          {seconds:.4f} s, {measured['over_floor']:.2f} x the floor")
            self._result["graphs"].append(measured)

    def _compare(self, bench: Generated) -> None:
        n, n_epochs = bench.graph.shape[0], self._options.epochs[0]
        stop = n_epochs if n <= WHOLE else min(FEW_EPOCHS, n_epochs)
        for d in (2, 3) if n == self._options.sizes[0] else (2,):
            compared = self._sections.run(
                f"bits of {bench.name} in {d}-D, {stop} epochs", parity, self._rig, bench,
                _spec(n_epochs, d), stop,
            )  # fmt: skip
            if compared is not None:
                print(f"          {'equal' if compared['bits_equal'] else 'DIFFERENT'}")
                self._result["parity"].append(compared)

    def _stream(self, bench: Generated) -> None:
        n_epochs = self._options.epochs[0]
        if expected := find(self._result, bench.graph.shape[0], n_epochs):
            done = self._sections.run(
                f"{bench.name}, edges streamed", streamed, self._rig, bench, _spec(n_epochs),
                expected["digest"],
            )  # fmt: skip
            self._put("streamed", done)

    def _largest(self, most: int) -> dict[str, Any] | None:
        sections, limit = self._sections, self._options.limit
        return sections.run(
            f"at most {most:,} vertices made on the device", largest, self._rig,
            _spec(self._options.epochs[0]), most,
            lambda seconds: sections.seconds + seconds < limit,
        )  # fmt: skip

    def _put(self, name: str, measured: dict[str, Any] | None) -> None:
        if measured is not None:
            self._result[name] = measured


def fashion(data: str | None) -> Generated | str:
    """Return the real graph, or a sentence that says why it cannot be read."""
    if data is None:
        return "no folder was given by --data or $UMAPCORE_DATA"
    try:
        from benchmarks.graphs import load

        bench = load("fashion_mnist70k", data=data)
    except (ImportError, FileNotFoundError) as error:
        return str(error)
    return Generated(bench.name, prepare_graph(bench.graph), bench.start)


def _spec(n_epochs: int, d: int = 2) -> OptimizerSpec:
    return OptimizerSpec(seed=0, n_epochs=n_epochs, n_components=d)
