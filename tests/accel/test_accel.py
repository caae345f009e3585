"""Routing of scanpy's and umap-learn's functions to umapcore, and back."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import os
import subprocess
import sys
import threading
import tomllib
import warnings
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import umapcore
from tests.support import fake_peers
from tests.support.anndatas import islands, sheet
from tests.support.graphs import surface
from umapcore import accel
from umapcore.accel.backend import ScanpyBackend
from umapcore.layout.density import density_of


def _scanpy() -> Any:
    return importlib.import_module("scanpy")


def _umap() -> Any:
    return importlib.import_module("umap")


def _arguments(**changes: Any) -> dict[str, Any]:
    """What ``UMAP.fit`` hands over."""
    graph = sparse.csr_matrix(surface(80))
    return {
        "data": np.random.default_rng(0).random((80, 4)),
        "graph": graph,
        "n_components": 2,
        "initial_alpha": 1.0,
        "a": 1.577,
        "b": 0.895,
        "gamma": 1.0,
        "negative_sample_rate": 5,
        "n_epochs": 20,
        "init": "spectral",
        "random_state": np.random.RandomState(1),
        "metric": "euclidean",
        "metric_kwds": {},
        "densmap": False,
        "densmap_kwds": {},
        "output_dens": False,
    } | changes


def _densmap(**changes: Any) -> dict[str, Any]:
    """What ``UMAP(densmap=True)`` hands over in addition."""
    graph = sparse.coo_matrix(surface(80))
    lengths = np.random.default_rng(2).lognormal(size=graph.nnz)
    distances = sparse.coo_matrix((lengths, (graph.row, graph.col)), shape=graph.shape)
    options = {"lambda": 2.0, "frac": 0.3, "var_shift": 0.2, "graph_dists": distances.todok()}
    return {"densmap": True, "densmap_kwds": options | changes}


@pytest.mark.usefixtures("peers")
class TestReaching:
    """Which names reach umapcore, and what is left when it is over."""

    def test_names_imported_before_and_after(self) -> None:
        sc = _scanpy()
        before = sc.tl.umap
        in_closure = (lambda umap: lambda adata: umap(adata))(before)
        accel.install()
        for function in (before, in_closure, sc.tl.umap, _scanpy().tools._umap.umap):
            adata = sheet(60)
            assert function(adata) is None
            assert adata.obsm["X_umap"].shape == (60, 2)
        accel.uninstall()
        for function in (before, in_closure, sc.tl.umap):
            assert function(sheet(60))[0] == "scanpy"

    def test_packages_imported_later(self) -> None:
        accel.install()
        assert "scanpy" not in sys.modules
        adata = sheet(60)
        _scanpy().tl.umap(adata)
        assert "X_umap" in adata.obsm
        from umap.umap_ import simplicial_set_embedding

        assert simplicial_set_embedding(**_arguments())[1] == {}
        for name in ("scanpy.tools", "umap.umap_"):
            module = sys.modules[name]
            assert type(module.__loader__).__module__.startswith(("importlib", "_frozen_importlib"))
            assert module.__spec__ is not None
            assert module.__spec__.loader is module.__loader__

    def test_reloaded_module(self) -> None:
        accel.install()
        umap_ = importlib.import_module("umap.umap_")
        importlib.reload(umap_)
        assert umap_.simplicial_set_embedding(**_arguments())[1] == {}

    def test_everything_is_put_back(self) -> None:
        functions = [
            inspect.unwrap(_scanpy().tl.umap),
            importlib.import_module("umap.umap_").simplicial_set_embedding,
        ]
        before = [
            (f.__code__, dict(f.__dict__), f.__defaults__, f.__kwdefaults__) for f in functions
        ]
        signatures = [inspect.signature(f) for f in (_scanpy().tl.umap, *functions)]
        accel.install()
        accel.install(method="auto")
        assert all(f.__code__ is not old[0] for f, old in zip(functions, before, strict=True))
        # What inspects them sees no difference meanwhile.
        assert [inspect.signature(f) for f in (_scanpy().tl.umap, *functions)] == signatures
        assert functions[0].__doc__ == "scanpy's."
        accel.uninstall()
        accel.uninstall()
        for function, (code, others, defaults, kwdefaults) in zip(functions, before, strict=True):
            assert function.__code__ is code
            assert function.__dict__ == others
            assert function.__defaults__ is defaults
            assert function.__kwdefaults__ is kwdefaults

    def test_decorators_stay(self) -> None:
        accel.install()
        adata, same = sheet(60), sheet(60)
        _scanpy().tl.umap(adata, 0.1)  # an old positional argument, which scanpy's decorator takes
        umapcore.tl.umap(same, min_dist=0.1)
        assert adata.obsm["X_umap"].tobytes() == same.obsm["X_umap"].tobytes()

    def test_what_cannot_be_rerouted_is_left(self, caplog: pytest.LogCaptureFixture) -> None:
        umap_ = importlib.import_module("umap.umap_")

        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return umap_, args, kwargs

        umap_.simplicial_set_embedding = wrapped
        accel.install()
        assert umap_.simplicial_set_embedding is wrapped
        assert umap_.simplicial_set_embedding(1)[1] == (1,)
        assert "another program has replaced it" in caplog.text
        umap_.simplicial_set_embedding = len
        accel.install()
        assert "no Python function" in caplog.text

    def test_code_of_another_program_stays(self, caplog: pytest.LogCaptureFixture) -> None:
        function = importlib.import_module("umap.umap_").simplicial_set_embedding
        accel.install()
        other = (lambda *args, **kwargs: "other").__code__
        function.__code__ = other
        accel.uninstall()
        assert function.__code__ is other
        assert "keeps the code" in caplog.text

    def test_blocks_nest(self) -> None:
        umap = _scanpy().tl.umap
        with accel.enabled():
            with accel.enabled(n_threads=1):
                assert umap(sheet(60)) is None
            assert umap(sheet(60)) is None
            with pytest.raises(KeyError, match="x"), accel.enabled():
                raise KeyError("x")
            assert accel.is_installed()
        assert umap(sheet(60))[0] == "scanpy"
        accel.install()
        with accel.enabled():
            accel.uninstall()
            assert umap(sheet(60)) is None
        assert umap(sheet(60))[0] == "scanpy"

    def test_threads(self) -> None:
        """Whatever many threads do, each call has one of two answers."""
        umap = _scanpy().tl.umap
        code = inspect.unwrap(umap).__code__
        stop, wrong = threading.Event(), []

        def call() -> None:
            while not stop.is_set():
                adata = sheet(12)
                answer = umap(adata, maxiter=0)
                if (answer is None) != ("X_umap" in adata.obsm):
                    wrong.append(answer)

        def switch() -> None:
            for _ in range(40):
                with accel.enabled():
                    accel.install()
                accel.uninstall()

        callers = [threading.Thread(target=call) for _ in range(2)]
        switchers = [threading.Thread(target=switch) for _ in range(3)]
        for thread in (*callers, *switchers):
            thread.start()
        for thread in switchers:
            thread.join()
        stop.set()
        for thread in callers:
            thread.join()
        assert not wrong
        assert not accel.is_installed()
        assert inspect.unwrap(umap).__code__ is code

    def test_notebooks(self) -> None:
        accel.load_ipython_extension(None)
        assert accel.is_installed()
        accel.unload_ipython_extension(None)
        assert not accel.is_installed()


@pytest.mark.parametrize(
    "bad", [{"method": "gpu"}, {"n_threads": 0}, {"n_threads": "two"}, {"neighbors": "no"}]
)
def test_bad_options(bad: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=next(iter(bad))):
        accel.install(**bad)
    with pytest.raises((ValueError, TypeError), match=next(iter(bad))), accel.enabled(**bad):
        pass
    assert not accel.is_installed()


@pytest.mark.usefixtures("peers")
class TestScanpy:
    """Each parameter of ``scanpy.tl.umap``."""

    @pytest.mark.parametrize(
        "parameters",
        [
            {},
            {"random_state": 7, "n_components": 3, "maxiter": 10, "key_added": "here"},
            {"init_pos": "X_pca", "a": 1.5, "b": 0.9, "copy": True},
            {"neighbors_key": None, "init_pos": "random", "gamma": 2.0, "alpha": 0.5},
        ],
    )
    def test_as_umapcore(self, parameters: dict[str, Any]) -> None:
        accel.install()
        adata, same = sheet(60), sheet(60)
        answer = _scanpy().tl.umap(adata, **parameters)
        expected = umapcore.tl.umap(same, **parameters)
        assert (answer is None) == (expected is None)
        adata, same = answer or adata, expected or same
        key = parameters.get("key_added")
        obsm, uns = ("X_umap", "umap") if key is None else (key, key)
        assert adata.obsm[obsm].tobytes() == same.obsm[obsm].tobytes()
        assert adata.uns[uns]["params"] == same.uns[uns]["params"]

    @pytest.mark.parametrize(
        ("parameters", "why"),
        [
            ({"method": "rapids"}, "cuML"),
            ({"method": "other"}, "'other'"),
            ({"min_dist": 2.0}, "min_dist"),
            ({"alpha": -1.0}, "alpha"),
            ({"neighbors_key": "missing"}, "missing"),
            ({"random_state": -1}, "random_state"),
            ({"novelty": True}, "novelty"),
            ({"unheard_of": 1}, "unheard_of"),
        ],
    )
    def test_passed_on(
        self, parameters: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        accel.install()
        adata = sheet(60)
        if "unheard_of" in parameters:  # scanpy's own error, without a trace of ours
            with pytest.raises(TypeError, match="unexpected keyword argument") as caught:
                _scanpy().tl.umap(adata, **parameters)
            assert caught.value.__context__ is None
        else:
            assert _scanpy().tl.umap(adata, **parameters)[0] == "scanpy"
        assert "umap" not in adata.uns
        (line,) = [r for r in caplog.records if "passed on" in r.getMessage()]
        assert line.name == "umapcore"
        assert line.levelno == logging.WARNING
        assert why in line.getMessage()

    def test_one_of_a_and_b_is_ignored_as_scanpy_does(self) -> None:
        accel.install()
        adata, same = sheet(60), sheet(60)
        _scanpy().tl.umap(adata, a=1.0)
        umapcore.tl.umap(same)
        assert adata.uns["umap"]["params"] == same.uns["umap"]["params"]

    def test_no_random_state_is_numpys_global_one(self) -> None:
        accel.install()
        layouts = []
        for _ in range(2):
            np.random.seed(3)  # noqa: NPY002
            adata = sheet(60)
            _scanpy().tl.umap(adata, random_state=None, maxiter=5)
            layouts.append(adata.obsm["X_umap"].tobytes())
        assert layouts[0] == layouts[1]

    def test_random_state_is_untouched_by_a_call_that_is_passed_on(self) -> None:
        accel.install()
        for state in (np.random.RandomState(5), np.random.default_rng(5)):
            draw = state.randint if hasattr(state, "randint") else state.integers
            _scanpy().tl.umap(sheet(60), alpha=-1.0, random_state=state)
            fresh = type(state)(5) if hasattr(state, "randint") else np.random.default_rng(5)
            again = fresh.randint if hasattr(fresh, "randint") else fresh.integers
            assert draw(1 << 30) == again(1 << 30)

    def test_says_what_scanpy_says(self) -> None:
        accel.install()
        sc = _scanpy()
        sc.tl.umap(sheet(60))
        assert sys.modules["scanpy.logging"].said == ["computing UMAP", "    finished"]


@pytest.mark.usefixtures("peers")
class TestUmapLearn:
    """Each parameter of ``simplicial_set_embedding``."""

    def _call(self, **changes: Any) -> Any:
        return importlib.import_module("umap.umap_").simplicial_set_embedding(
            **_arguments(**changes)
        )

    def test_result(self) -> None:
        accel.install()
        embedding, aux = self._call()
        assert embedding.shape == (80, 2)
        assert embedding.dtype == np.float32
        assert embedding.flags.c_contiguous
        assert embedding.flags.writeable
        assert aux == {}
        again = _umap().UMAP()._fit_embed_data(*_arguments().values())[0]
        assert again.tobytes() == embedding.tobytes()
        assert self._call(random_state=np.random.RandomState(2))[0].tobytes() != embedding.tobytes()

    @pytest.mark.parametrize(
        ("changes", "why"),
        [
            ({"output_dens": True}, "densmap_kwds lacks 'n_neighbors'"),
            (_densmap(n_neighbors=8, graph_dists=None) | {"output_dens": True}, "graph_dists"),
            ({"densmap": True, "densmap_kwds": {}}, "densmap_kwds lacks 'lambda'"),
            (_densmap(graph_dists=None), "densmap_kwds lacks 'graph_dists'"),
            (_densmap(graph_dists=sparse.dok_matrix((80, 80))), "graph's 954 edges"),
            (_densmap(frac=2.0), "density_fraction"),
            ({"euclidean_output": False}, "output metric"),
            ({"novelty": 1}, "novelty"),
            ({"negative_sample_rate": 2.5}, "negative_sample_rate"),
            ({"initial_alpha": 0.0}, "alpha"),
            ({"init": "unheard of"}, "unheard of"),
            ({"init": np.full((80, 2), np.nan)}, "init"),
        ],
    )
    def test_passed_on(
        self, changes: dict[str, Any], why: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        first = np.random.RandomState(1).randint(1 << 30)
        accel.install()
        assert self._call(**changes) == ("umap-learn", {"draw": first})
        (line,) = [r.getMessage() for r in caplog.records if "passed on" in r.getMessage()]
        assert why in line

    @pytest.mark.parametrize(
        "changes",
        [
            {"n_epochs": None},
            {"n_epochs": 0},
            {"n_epochs": np.int64(12)},
            {"init": "random", "n_components": 3},
            {"init": np.random.default_rng(0).random((80, 2))},
            {"init": "tswspectral"},
            {"data": None},
            {"data": [["text"]] * 80},
            {"data": sparse.csr_matrix(np.eye(80)), "metric": "precomputed"},
            {"negative_sample_rate": 5.0, "gamma": np.float64(1.0), "parallel": True},
            {"random_state": 4},
            {"random_state": np.random},
            _densmap(**{"lambda": 0.0, "graph_dists": None}),
        ],
    )
    def test_taken(self, changes: dict[str, Any]) -> None:
        accel.install()
        embedding, aux = self._call(**changes)
        assert embedding.shape == (80, changes.get("n_components", 2))
        assert np.isfinite(embedding).all()
        assert aux == {}

    def test_densmap(self) -> None:
        """umap-learn hands over distances as a dictionary of keys, and takes more epochs."""
        accel.install()
        graph, distances = _arguments()["graph"], _densmap()["densmap_kwds"]["graph_dists"]
        found = {}
        for epochs in (None, 30):
            found[epochs], aux = self._call(**_densmap(frac=0.5), n_epochs=epochs)
            assert aux == {}
            spec = umapcore.OptimizerSpec(
                n_epochs=epochs,
                a=1.577,
                b=0.895,
                density_weight=2,
                density_fraction=0.5,
                density_shift=0.2,
                seed=umapcore._kit.seeds.seed_from(_state()),
            )
            wanted = umapcore.simplicial_set_embedding(graph, spec, distances=distances)
            assert wanted.tobytes() == found[epochs].tobytes()
        without = self._call(**_densmap(**{"lambda": 0.0}), n_epochs=None)[0]
        assert without.tobytes() != found[None].tobytes()
        assert without.tobytes() == self._call(n_epochs=700)[0].tobytes()

    def test_pca(self) -> None:
        pytest.importorskip("sklearn", reason="init='pca' is scikit-learn's, as in umap-learn")
        accel.install()
        start = self._call(init="pca", n_epochs=0)[0]
        sparse_start = self._call(
            init="pca", n_epochs=0, data=sparse.random(80, 6, 0.5, format="csr", rng=0)
        )[0]
        for positions in (start, sparse_start):
            assert np.allclose(positions.min(axis=0), 0.0)
            assert np.allclose(positions.max(axis=0), 10.0)

    @pytest.mark.parametrize(
        ("epochs", "finished"),
        [([0, 4, 20], [1, 5]), ([20], []), ([20, 4, 4, 19], [5, 20]), ([0], [])],
    )
    def test_list_of_epochs(self, epochs: list[int], finished: list[int]) -> None:
        accel.install()
        embedding, aux = self._call(n_epochs=epochs)
        taken = aux["embedding_list"]
        assert len(taken) == len(finished) + 1
        assert taken[-1].tobytes() == embedding.tobytes()
        assert taken[-1] is not embedding
        spec = umapcore.OptimizerSpec(
            n_epochs=max(epochs), a=1.577, b=0.895, seed=umapcore._kit.seeds.seed_from(_state())
        )
        for positions, epoch in zip(taken[:-1], finished, strict=True):
            stopped = umapcore.simplicial_set_embedding(
                _arguments()["graph"], spec, stop_epoch=epoch
            )
            assert positions.tobytes() == stopped.tobytes()

    def test_components_are_placed_by_the_data(self) -> None:
        accel.install()
        adata = islands(90)
        arguments = {"graph": adata.obsp["connectivities"], "n_epochs": 0}
        points = np.asarray(adata.obsm["X_pca"], float)
        by_name = self._call(**arguments, data=points, metric="cosine")[0]
        by_function = self._call(**arguments, data=points, metric=_cosine)[0]
        assert by_name.tobytes() == by_function.tobytes()

    @pytest.mark.parametrize(
        ("seed", "setting", "option", "expected"),
        [(0, None, None, 2), (None, None, None, None), (0, 1, None, None), (0, 1, 3, 3)],
    )
    def test_threads_of_a_fit_with_a_seed(
        self,
        seed: int | None,
        setting: int | None,
        option: int | None,
        expected: int | None,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        import umapcore.layout.embed

        asked: list[Any] = []

        def record(*args: Any, **kwargs: Any) -> Any:
            asked.append(kwargs["n_threads"])
            return np.zeros((80, 2), np.float32)

        monkeypatch.setattr(umapcore.layout.embed, "simplicial_set_embedding", record)
        monkeypatch.setattr(umapcore.settings, "n_threads", setting)
        accel.install(n_threads=option)
        model = _umap().UMAP()
        model.random_state = seed
        model._fit_embed_data(**_arguments())
        assert asked == [expected]

    @pytest.mark.parametrize(
        ("changes", "shown"),
        [({}, False), ({"verbose": True}, True), ({"tqdm_kwds": {"disable": False}}, True)],
    )
    def test_progress_as_umap_learn_shows_it(
        self, changes: dict[str, Any], shown: bool, capsys: pytest.CaptureFixture[str]
    ) -> None:
        accel.install()
        self._call(**changes)
        assert ("epoch" in capsys.readouterr().err) == shown


def _state() -> np.random.RandomState:
    return np.random.RandomState(1)


def _cosine() -> None: ...


_cosine.__name__ = "sparse_cosine"  # as umap-learn names the function for sparse data


def _python(*arguments: str, folder: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run Python where the stand-ins and umapcore can be imported."""
    fake_peers.write(folder)
    root = Path(umapcore.__file__).parents[1]
    paths = [str(folder), str(root), str(root / "backends")]
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,
    )


SCRIPT = """
import sys
from scanpy.tools import umap
from tests.support.anndatas import sheet
import neighbour_of_the_script

adata = sheet(40)
print(__name__, sys.argv[1:], umap(adata, maxiter=3), sorted(adata.obsm))
sys.exit(3)
"""


@pytest.mark.parametrize("how", ["script", "module"])
def test_command(how: str, tmp_path: Path) -> None:
    home = tmp_path / "home" if how == "script" else tmp_path
    home.mkdir(exist_ok=True)
    (home / "program.py").write_text(SCRIPT, encoding="utf-8")
    (home / "neighbour_of_the_script.py").touch()
    program = ["home/program.py"] if how == "script" else ["-m", "program"]
    done = _python("-m", "umapcore.accel", "-v", *program, "-v", "--x", folder=tmp_path)
    assert done.returncode == 3, done.stderr
    assert done.stdout == "__main__ ['-v', '--x'] None ['X_pca', 'X_umap']\n"
    assert "umapcore: scanpy.tl.umap: done by umapcore" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "program"),
        (["missing.py"], "no file 'missing.py'"),
        (["-m", "missing_here.module"], "no module 'missing_here.module'"),
        (["--threads", "0", "-m", "this"], "n_threads=0"),
        (["--method", "gpu", "x.py"], "gpu"),
    ],
)
def test_wrong_command(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    from umapcore.accel.__main__ import main

    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert said in capsys.readouterr().err
    assert not accel.is_installed()


def test_light(tmp_path: Path) -> None:
    code = "import sys, umapcore.accel as a; a.install(); print(*sys.modules)"
    done = _python("-c", code, folder=tmp_path)
    assert not {"numpy", "numba", "scanpy", "umap", "anndata"} & set(done.stdout.split())


class TestBackendOfScanpy:
    """The entry point of the group ``scanpy.backends``."""

    def test_entry_point(self) -> None:
        pyproject = Path(__file__).parents[2] / "pyproject.toml"
        project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
        (value,) = project["entry-points"]["scanpy.backends"].values()
        loaded = EntryPoint("umapcore", value, "scanpy.backends").load()
        assert loaded is ScanpyBackend
        assert loaded.name in project["entry-points"]["scanpy.backends"]
        public = {name for name in vars(loaded) if not name.startswith("_")}
        assert public == {"name", "aliases", "neighbors", "umap"}

    @pytest.mark.usefixtures("peers")
    def test_umap(self) -> None:
        for preset, obsm, uns in ((None, "X_umap", "umap"), ("there", "there", "there")):
            importlib.import_module("scanpy._keys").PRESET = preset
            adata, same = sheet(60), sheet(60)
            ScanpyBackend.umap(adata, rng=_legacy_rng(4))
            umapcore.tl.umap(same, random_state=4)
            assert adata.obsm[obsm].tobytes() == same.obsm["X_umap"].tobytes()
            assert adata.uns[uns]["params"]["random_state"] == 4
        ScanpyBackend.umap(adata, rng=None, key_added=None)
        assert "random_state" not in adata.uns["umap"]["params"]

    @pytest.mark.parametrize(
        ("function", "more", "less"),
        [
            ("umap", {"rng"}, {"random_state", "timings"}),
            (
                "neighbors",
                {"rng", "distances", "knn", "transformer"},
                {"random_state", "precomputed_knn"},
            ),
        ],
    )
    def test_it_has_the_parameters_of_scanpys_function(
        self, function: str, more: set[str], less: set[str]
    ) -> None:
        own = umapcore.tl.umap if function == "umap" else umapcore.pp.neighbors
        ours = set(inspect.signature(own).parameters)
        found = set(inspect.signature(getattr(ScanpyBackend, function)).parameters)
        assert found - ours == more
        assert ours - found == less

    def test_neighbors(self) -> None:
        adata, same = sheet(60), sheet(60)
        ScanpyBackend.neighbors(adata, 8, rng=_legacy_rng(4), metric="cosine", accuracy=1)
        umapcore.pp.neighbors(same, 8, random_state=4, metric="cosine")
        for each, function in ((adata, ScanpyBackend.neighbors), (same, umapcore.pp.neighbors)):
            function(each, key_added="default")
            del each.uns["default"]["params"]["random_state"]
        assert adata.uns["default"] == same.uns["default"]
        assert adata.uns["neighbors"] == same.uns["neighbors"]
        assert (adata.obsp["connectivities"] != same.obsp["connectivities"]).nnz == 0
        with pytest.raises(ValueError, match=r"knn=False .* True with the backend umapcore"):
            ScanpyBackend.neighbors(adata, knn=False)
        with pytest.raises(ValueError, match=r"transformer='sklearn' .* None with"):
            ScanpyBackend.neighbors(adata, transformer="sklearn")

    def test_dispatch(self) -> None:
        """What a scanpy with this dispatch does, and its conformance test."""
        reason = "scverse-backends is not installed; it needs Python 3.12"
        testing = pytest.importorskip("scverse_backends.testing", reason=reason)
        from scverse_backends import BackendDispatcher

        dispatcher = BackendDispatcher(entrypoint_group="scanpy.backends", host_name="scanpy")
        dispatcher._registry._discovered = True  # what is installed here may be another version
        dispatcher._registry._register_backend(ScanpyBackend, entrypoint_name="umapcore")

        @dispatcher.backend_dispatch
        def umap(adata: Any, *, min_dist: float = 0.5, rng: Any = None) -> None:
            raise AssertionError(adata, min_dist, rng)

        def conforms(backend: str) -> None:
            adata = sheet(60)
            umap(adata, rng=0, backend=backend)
            assert adata.obsm["X_umap"].shape == (60, 2)
            assert np.isfinite(adata.obsm["X_umap"]).all()

        with pytest.warns(UserWarning, match="not in scanpy's trusted backends"):
            results = testing.run_conformance(
                backend_name="umapcore",
                tests={"umap": conforms},
                get_backend=dispatcher.get_backend,
            )
        assert results == {"umap": "PASSED"}
        adata, same = sheet(60), sheet(60)
        with dispatcher.settings.use_backend("umapcore"):
            umap(adata, min_dist=0.2, rng=_legacy_rng(4), n_threads=1)
        umapcore.tl.umap(same, min_dist=0.2, random_state=4)
        assert adata.obsm["X_umap"].tobytes() == same.obsm["X_umap"].tobytes()

    def test_scanpys_own_conformance_tests(self) -> None:
        reason = "this scanpy, if any, does not dispatch to backends"
        testing = pytest.importorskip("scanpy.testing", reason=reason, exc_type=ImportError)
        if "umapcore" not in importlib.import_module("scanpy").settings.available_backends():
            pytest.skip("umapcore is not installed, so it has no entry point")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*trusted backends list", UserWarning)
            results = testing.validate_backend("umapcore")
        assert results["umap"] == "PASSED"
        assert all(result.startswith(("PASSED", "SKIPPED")) for result in results.values())


def _legacy_rng(seed: int) -> np.random.Generator:
    """What scanpy 1.13 makes of ``random_state=seed``."""

    class LegacyRng(np.random.Generator):
        def __init__(self, seed: int) -> None:
            super().__init__(np.random.PCG64(0))
            self.arg, self.state = seed, np.random.RandomState(seed)

    return LegacyRng(seed)


class TestRealPeers:
    """The real packages, where they are installed."""

    @pytest.mark.filterwarnings("ignore")
    def test_scanpy(self) -> None:
        sc = pytest.importorskip("scanpy", reason="scanpy is not installed")
        adata, same, other = sheet(200), sheet(200), sheet(200)
        with accel.enabled():
            sc.tl.umap(adata, random_state=3)
        umapcore.tl.umap(same, random_state=3)
        assert adata.obsm["X_umap"].tobytes() == same.obsm["X_umap"].tobytes()
        if importlib.util.find_spec("umap") is None:
            pytest.skip("umap-learn is not installed: what scanpy writes cannot be compared")
        sc.tl.umap(other, random_state=3, maxiter=2)
        assert other.obsm["X_umap"].tobytes() != same.obsm["X_umap"].tobytes()
        assert adata.uns["umap"]["params"].keys() == other.uns["umap"]["params"].keys()
        assert adata.obsm["X_umap"].dtype == other.obsm["X_umap"].dtype

    @pytest.mark.filterwarnings("ignore")
    def test_umap_learn(self, caplog: pytest.LogCaptureFixture) -> None:
        """Without kNN, whose kernels umap-learn compiles anew in each process."""
        umap = pytest.importorskip("umap", reason="umap-learn is not installed")
        from umap.umap_ import simplicial_set_embedding

        from umapcore.accel.umap_learn import _KNOWN, _name_of

        assert set(inspect.signature(simplicial_set_embedding).parameters) == set(_KNOWN)
        assert _name_of(umap.distances.cosine) == "cosine"
        assert _name_of(umap.sparse.sparse_correlation) == "correlation"
        caplog.set_level(logging.INFO, logger="umapcore")
        with accel.enabled():
            arguments = _arguments(random_state=np.random.RandomState(0))
            embedding, aux = simplicial_set_embedding(**arguments)
        assert "done by umapcore" in caplog.text
        assert embedding.shape == (80, 2)
        assert aux == {}

    @pytest.mark.filterwarnings("ignore")
    def test_densmap_of_umap_learn(self, caplog: pytest.LogCaptureFixture) -> None:
        """From points to an embedding, with whatever ``UMAP`` hands over."""
        umap = pytest.importorskip("umap", reason="umap-learn is not installed")
        rng = np.random.default_rng(0)
        points = rng.normal(size=(150, 3)) * 4.0 ** (np.arange(150) % 3)[:, None]
        caplog.set_level(logging.INFO, logger="umapcore")
        options = {"n_neighbors": 8, "n_epochs": 60, "random_state": 1}
        with accel.enabled():
            model = umap.UMAP(densmap=True, dens_lambda=1.5, **options)
            embedding = model.fit_transform(points)
        assert "done by umapcore" in caplog.text
        assert embedding.shape == (150, 2)
        assert np.isfinite(embedding).all()
        radii = density_of(
            umapcore.graph.csr.prepare_graph(model.graph_),
            model.graph_dists_,
            umapcore.OptimizerSpec(n_epochs=60),
        ).radii
        edges = sparse.coo_matrix(model.graph_)
        squared = ((embedding[edges.row] - embedding[edges.col]) ** 2).sum(axis=1)
        means = np.bincount(edges.row, edges.data * squared) / np.bincount(edges.row, edges.data)
        assert np.corrcoef(radii, np.log(means))[0, 1] > 0.8

    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("densmap", [True, False])
    def test_radii_are_those_of_umap_learn(self, densmap: bool) -> None:
        umap = pytest.importorskip("umap", reason="umap-learn is not installed")
        rng = np.random.default_rng(0)
        points = rng.normal(size=(150, 3)) * 4.0 ** (np.arange(150) % 3)[:, None]
        options: dict[str, Any] = {"n_neighbors": 8, "n_epochs": 60, "random_state": 1}
        options |= {"densmap": densmap, "output_dens": True}
        with accel.enabled():
            embedding, of_data, of_embedding = umap.UMAP(**options).fit_transform(points)
        # The same start and no epochs: umap-learn measures the very same embedding.
        options |= {"n_epochs": 0, "init": embedding}
        span = np.ptp(embedding, axis=0) / 10  # it scales to [0, 10]
        theirs = umap.UMAP(**options).fit(points)
        np.testing.assert_allclose(of_data.shape, (150,))
        assert of_data.dtype == of_embedding.dtype == np.float32
        with accel.enabled():
            ours = umap.UMAP(**options).fit(points)
        np.testing.assert_allclose(ours.embedding_ * span, embedding - embedding.min(0), atol=1e-3)
        np.testing.assert_allclose(ours.rad_orig_, theirs.rad_orig_, atol=1e-4)
        np.testing.assert_allclose(ours.rad_emb_, theirs.rad_emb_, atol=1e-3)
