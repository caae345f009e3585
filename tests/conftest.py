"""Fixtures and options that all tests share."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import graphs
import numpy as np
import pytest

from umapcore.dispatch import gpu_problem

if TYPE_CHECKING:
    from scipy.sparse import csr_array

GRAPHS = {
    "clusters": lambda: graphs.clusters(220),
    "surface": lambda: graphs.surface(260),
    "hub": lambda: graphs.hub(1300),
}


@cache
def _graph(name: str) -> csr_array:
    return GRAPHS[name]()


@pytest.fixture(params=sorted(GRAPHS))
def graph(request: pytest.FixtureRequest) -> csr_array:
    """One of three small graphs: several components; one sheet; one with hubs."""
    return _graph(request.param)


@pytest.fixture(params=[2, 3, 10], ids=lambda d: f"{d}-D")
def n_components(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip tests marked gpu, saying why, where no GPU can be used."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked and (problem := gpu_problem()) is not None:
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=f"no GPU: {problem}"))
