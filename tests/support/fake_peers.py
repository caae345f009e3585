"""Small packages that look like scanpy and umap-learn from outside, for where those are missing.

They are written to a folder as source, so that they are imported as the real ones are. Their
functions lay nothing out: they say that they were called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SCANPY_TOOLS_UMAP = '''
import functools
from .. import logging as logg
from .. import settings

def old_positionals(function):
    @functools.wraps(function)
    def wrapper(adata, *args, **kwargs):
        return function(adata, **dict(zip(("min_dist", "spread"), args)), **kwargs)
    return wrapper

@old_positionals
def umap(adata, *, min_dist=0.5, spread=1.0, n_components=2, maxiter=None, alpha=1.0, gamma=1.0,
         negative_sample_rate=5, init_pos="spectral", random_state=0, a=None, b=None,
         method="umap", key_added=None, neighbors_key="neighbors", copy=False, novelty=None):
    """scanpy's."""
    return "scanpy", method, novelty
'''

SCANPY_NEIGHBORS = '''
def neighbors(adata, n_neighbors=15, n_pcs=None, *, distances=None, use_rep=None, knn=True,
              method="umap", transformer=None, metric=None, metric_kwds={}, random_state=0,
              key_added=None, copy=False, novelty=None):
    """scanpy's."""
    if not hasattr(transformer, "fit_transform"):
        return "scanpy", transformer
    adata.obsp["distances"] = transformer.fit_transform(adata.obsm[use_rep or "X_pca"])
    return "transformed", transformer.get_params()["n_neighbors"]
'''

SCANPY_RNG = """
import numpy as np

class Default:
    pass

class Keys:
    def __init__(self, key):
        self.obsm, self.uns = (key or "X_umap"), (key or "umap")

PRESET = None

def _embedding_keys(embedding, key_added=Default()):
    return Keys(PRESET if isinstance(key_added, Default) else key_added)
"""

SCANPY_LOGGING = """
said = []

def info(message, *, time=None, deep=None):
    said.append(message)
    return 1.0
"""

UMAP_LEARN = '''
def simplicial_set_embedding(
    data, graph, n_components, initial_alpha, a, b, gamma, negative_sample_rate, n_epochs, init,
    random_state, metric, metric_kwds, densmap, densmap_kwds, output_dens, output_metric=None,
    output_metric_kwds={}, euclidean_output=True, parallel=False, verbose=False, tqdm_kwds=None,
    novelty=None,
):
    """umap-learn's."""
    return "umap-learn", {"draw": random_state.randint(1 << 30)}

def nearest_neighbors(X, n_neighbors, metric, metric_kwds, angular, random_state, low_memory=True,
                      use_pynndescent=True, n_jobs=-1, verbose=False, novelty=None):
    """umap-learn's."""
    return "umap-learn", metric, Index(random_state.randint(1 << 30))

class Index:
    def __init__(self, draw):
        self.draw = draw

    def query(self, X, k, epsilon=0.1):
        return k, epsilon

class UMAP:
    random_state = 0
    _original_n_threads = 2

    def fit(self, *args, **kwargs):
        return nearest_neighbors(*args, **kwargs)

    def _fit_embed_data(self, *args, **kwargs):
        return simplicial_set_embedding(*args, **kwargs)
'''


def write(folder: Path) -> None:
    """Write the packages ``scanpy`` and ``umap`` into a folder."""
    sources = {
        "scanpy/__init__.py": "from . import preprocessing as pp, settings, tools as tl\n",
        "scanpy/settings.py": "verbosity = 1\n",
        "scanpy/logging.py": SCANPY_LOGGING,
        "scanpy/_keys.py": SCANPY_RNG,
        "scanpy/neighbors/__init__.py": SCANPY_NEIGHBORS,
        "scanpy/preprocessing/__init__.py": "from ..neighbors import neighbors\n",
        "scanpy/tools/__init__.py": "from ._umap import umap\n",
        "scanpy/tools/_umap.py": SCANPY_TOOLS_UMAP,
        "umap/__init__.py": "from .umap_ import UMAP\n",
        "umap/umap_.py": UMAP_LEARN,
    }
    for name, source in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
