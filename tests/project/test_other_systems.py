"""What other systems lack is not needed to import the package, or to run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: As on Windows: these modules and functions are not there.
_STRIPPED = """
import sys
MISSING = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"}

class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name in MISSING and ours():
            raise ImportError(f"no module {name}")

def ours():
    # Other packages may use what their own systems have.
    frame = sys._getframe(2)
    while frame is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    return frame is not None and "umapcore" in frame.f_globals.get("__name__", "")

import ctypes, importlib, os, pkgutil, signal
import anndata, h5py, numba, numpy, pandas, scipy.sparse, scipy.spatial  # with all they need
try:
    import matplotlib.pyplot, zarr
except ImportError:
    pass
sys.meta_path.insert(0, Refusing())
for name in MISSING:
    sys.modules.pop(name, None)
for name in (
    "fork", "forkpty", "register_at_fork", "getuid", "geteuid", "getgid", "uname", "sysconf",
    "sched_getaffinity", "sched_setaffinity", "sched_yield", "posix_fallocate", "pread",
    "chown", "getpgid", "killpg", "setsid", "nice", "getloadavg", "mkfifo", "ttyname",
    "process_cpu_count",
):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGPIPE", "pthread_kill"):
    if hasattr(signal, name):
        delattr(signal, name)
"""

_IMPORT_ALL = """
import umapcore, umapcore_numba, umapcore_cupy
names = [
    found.name
    for package in (umapcore, umapcore_numba, umapcore_cupy)
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
]
done = 0
for name in names:
    if name.endswith("__main__"):
        continue
    try:
        importlib.import_module(name)
        done += 1
    except ImportError as error:
        # Extras that are not installed here.
        assert (error.name or "").partition(".")[0] in OPTIONAL, (name, error)
print(done)
"""

_WORK = """
import anndata, numpy as np
from umapcore import cli, info
from umapcore._kit import threads
folder = sys.argv[1]
adata = anndata.AnnData(np.random.default_rng(0).random((50, 4), np.float32))
adata.write_h5ad(folder + "/in.h5ad")
options = ["--n-neighbors", "5", "--maxiter", "5", "--checkpoint", folder + "/run.ckpt"]
assert cli.main(["embed", folder + "/in.h5ad", "-o", folder + "/out.h5ad", *options]) == 0
assert cli.main(["embed", folder + "/out.h5ad", "-o", folder + "/out.h5ad", "--overwrite"]) == 0
assert threads.thread_count(None) == (os.cpu_count() or 1), threads.available_threads()
print(info.collect()["threads"]["a run takes"])
"""


def _run(code: str, *arguments: str) -> str:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "backends"), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": paths}
    environment.pop("NUMBA_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_every_module_can_be_imported() -> None:
    optional = {"matplotlib", "PIL", "zarr", "pynndescent", "cupy", "scanpy", "umap", "sklearn"}
    assert int(_run(f"OPTIONAL = {optional!r}" + _STRIPPED + _IMPORT_ALL)) > 150


def test_commands_run(tmp_path: Path) -> None:
    quota = "\nimport umapcore._kit.threads as kit; kit.cpu_quota = lambda: None\n"
    assert _run(_STRIPPED + quota + _WORK, str(tmp_path)).strip()
    assert {path.name for path in tmp_path.iterdir()} == {"in.h5ad", "out.h5ad"}
