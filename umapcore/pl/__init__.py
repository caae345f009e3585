"""Plots of embeddings: takes AnnData, returns matplotlib axes. Needs ``umapcore[plot]``."""

from __future__ import annotations

from umapcore.pl.render import movie
from umapcore.pl.scatter import umap

__all__ = ["movie", "umap"]
