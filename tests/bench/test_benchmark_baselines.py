"""What rivals are given and what is taken from them, by stand-ins where they are not installed."""

from __future__ import annotations

import shlex
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks import graphs
from benchmarks.baselines import rapids, umappp, uwot
from umapcore import OptimizerSpec

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPEC = OptimizerSpec(n_epochs=20, seed=3, negative_sample_rate=4)

#: Answers as R would, but gives back the start positions plus what it was told.
R_STAND_IN = """
import sys
import numpy as np
if "packageVersion" in sys.argv[-1]:
    sys.stdout.write("0.2.3 4.5.0")
    raise SystemExit
assert sys.argv[1] == "-e" and "readBin" in sys.argv[2]
data = sys.stdin.buffer
size = int(np.frombuffer(data.read(4), np.int32)[0])
assert b"optimize_graph_layout" in data.read(size)
header = np.frombuffer(data.read(80), np.float64)
n, edges, d = header[:3].astype(int)
pointers = np.frombuffer(data.read(4 * (n + 1)), np.int32)
indices = np.frombuffer(data.read(4 * edges), np.int32)
weights = np.frombuffer(data.read(8 * edges), np.float64)
start = np.frombuffer(data.read(8 * n * d), np.float64).reshape(d, n).T
assert not data.read(1) and pointers[-1] == edges and indices.max() < n
assert 0 < weights.min() <= weights.max() <= 1
told = start + header[[3, 8]]
sys.stdout.buffer.write(np.array([3.5, 0.5, 1e6]).tobytes() + told.tobytes("F"))
"""


@pytest.fixture
def fresh_versions() -> Iterator[None]:
    uwot._versions.cache_clear()
    yield
    uwot._versions.cache_clear()


def _stand_in(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(text, encoding="utf-8")
    monkeypatch.setenv(uwot.VARIABLE, shlex.join([sys.executable, str(path)]))


@pytest.mark.usefixtures("fresh_versions")
class TestUwot:
    def test_modes(self) -> None:
        assert uwot.names(1) == ["uwot serial", "uwot batch 1"]
        assert uwot.names(4) == ["uwot serial", "uwot parallel 4", "uwot batch 4"]

    @pytest.mark.parametrize(("name", "threads"), [("uwot serial", 0), ("uwot batch 2", 2)])
    def test_what_goes_to_and_fro(
        self, name: str, threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _stand_in(tmp_path / "r.py", R_STAND_IN, monkeypatch)
        assert uwot.problem() is None
        assert uwot.versions() == {"uwot": "0.2.3", "R": "4.5.0"}
        bench = graphs.load("generated300")
        found = uwot.layout(name, bench, SPEC)()
        assert found.seconds == {"optimise": 3.0, "setup": 0.5}
        assert found.more_bytes == 1e6
        moved = found.embedding - bench.start
        np.testing.assert_allclose(moved, np.broadcast_to((20.0, threads), moved.shape))

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ("print('0.1.14 4.2.2')", "uwot 0.1.14 lays out no given graph: 0.1.15 or newer does"),
            ("import sys; sys.exit('no package called uwot')", "no package called uwot"),
        ],
    )
    def test_why_it_cannot_run(
        self, answer: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _stand_in(tmp_path / "r.py", answer, monkeypatch)
        assert said in str(uwot.problem())
        assert uwot.versions() == {}

    def test_no_r(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(uwot.VARIABLE, "no-such-program --slave")
        assert "no-such-program was not found" in str(uwot.problem())

    def test_failure_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _stand_in(tmp_path / "r.py", "import sys; sys.exit('out of memory')", monkeypatch)
        with pytest.raises(RuntimeError, match="out of memory"):
            uwot.layout("uwot serial", graphs.load("generated300"), SPEC)()

    def test_for_real(self) -> None:
        if problem := uwot.problem():
            pytest.skip(problem)
        bench = graphs.load("generated300")
        first, again = (uwot.layout("uwot batch 2", bench, SPEC)() for _ in range(2))
        assert np.isfinite(first.embedding).all()
        assert first.embedding.tobytes() == again.embedding.tobytes()
        assert np.abs(first.embedding - bench.start).max() > 0.1


class TestUmappp:
    def test_why_it_cannot_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(umappp, "find_spec", lambda name: None)
        assert umappp.problem() == "scranpy is not installed."
        monkeypatch.setattr(umappp, "find_spec", lambda name: object())
        assert umappp.problem("cbmc8k") is None
        assert "generated300 has not" in str(umappp.problem("generated300"))

    def test_begins_where_it_is_told(self) -> None:
        pytest.importorskip("scranpy")
        data = graphs.data_folder()
        if not (data / "cbmc8k.h5ad").is_file():
            pytest.skip(f"{data} has no cbmc8k.h5ad")
        bench = graphs.load("cbmc8k")
        found = umappp.layout("umappp 1", bench, SPEC, None)()
        assert found.embedding.shape == bench.start.shape
        assert found.seconds["optimise"] > 0


class TestRapids:
    def test_why_it_cannot_run(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rapids, "find_spec", lambda name: None)
        assert rapids.problem("cuml") == "cuml is not installed."
        monkeypatch.setattr(rapids, "find_spec", lambda name: object())
        monkeypatch.setattr("umapcore.device.select.gpu_problem", lambda: "no card was found.")
        assert rapids.problem("cuml") == "no card was found."

    @pytest.mark.parametrize(("name", "seed"), [("cuML", None), ("cuML seeded", 3)])
    def test_what_cuml_is_given(
        self, name: str, seed: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[dict[str, Any]] = []

        # The parameters of cuml.manifold.umap.simplicial_set_embedding, as documented.
        def simplicial_set_embedding(
            data: Any, graph: Any, *, n_components: int, initial_alpha: float, a: float, b: float,
            gamma: float, negative_sample_rate: int, n_epochs: int, init: Any, random_state: Any,
        ) -> Any:  # fmt: skip
            calls.append(locals())
            return init + n_epochs

        import scipy.sparse

        cupy = SimpleNamespace(
            asarray=np.asarray,
            asnumpy=np.asarray,
            cuda=SimpleNamespace(Device=lambda: SimpleNamespace(synchronize=lambda: None)),
        )
        umap = SimpleNamespace(simplicial_set_embedding=simplicial_set_embedding)
        scipy_on_device = ModuleType("cupyx.scipy")
        scipy_on_device.sparse = scipy.sparse  # type: ignore[attr-defined]
        for module, stand_in in {
            "cupy": cupy, "cuml": ModuleType("cuml"), "cuml.manifold": ModuleType("cuml.manifold"),
            "cuml.manifold.umap": umap, "cupyx": ModuleType("cupyx"),
            "cupyx.scipy": scipy_on_device,
        }.items():  # fmt: skip
            monkeypatch.setitem(sys.modules, module, stand_in)
        bench = graphs.load("generated300")
        found = rapids.layout(name, bench, SPEC)()
        assert [call["n_epochs"] for call in calls] == [3, 20]
        assert calls[1]["random_state"] == seed
        assert calls[1]["negative_sample_rate"] == 4
        assert (calls[1]["a"], calls[1]["b"]) == SPEC.curve()
        assert calls[1]["graph"].nnz == bench.graph.nnz
        np.testing.assert_array_equal(found.embedding, bench.start + 20)
