"""OptimizerSpec: everything that decides a layout apart from the graph and the start positions.

Backends read only the specification: two runs with equal graphs, equal starts and equal
specifications produce equal bits on every backend.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from umapcore._kit.checks import check_integer, check_real
from umapcore.layout.curve import checked_shape, find_ab_params

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Increased whenever the same graph, specification and start give other bits than before: the
#: golden digests of the tests then change too. An embedding's provenance stores it.
LAYOUT_VERSION = 1

#: Graphs of up to this many vertices get the larger default number of epochs, as in umap-learn.
SMALL_GRAPH = 10_000
EPOCHS_SMALL = 500
EPOCHS_LARGE = 200
#: Additional default epochs when densities are preserved, as in umap-learn.
EPOCHS_FOR_DENSITY = 200
#: Any graph, however small, may have this many dimensions.
DIMENSIONS_OF_ANY = 10

_OF_DENSITY = ("density_weight", "density_fraction", "density_shift")


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """Parameters of the layout optimiser, checked at construction.

    Parameters
    ----------
    min_dist, spread
        Shape of the membership curve, ``0 <= min_dist <= spread`` and ``spread >= 1e-4``. They
        are only used to compute `a` and `b`; an `a` above 1e6 is refused.
    n_components
        Dimensions of the embedding, at least 1. A graph of n vertices allows up to
        ``max(n - 1, 10)``.
    n_epochs
        Number of epochs. None: 500 for up to 10 000 vertices, 200 for more, plus 200 with a
        `density_weight` (:meth:`epochs_for`). 0: no optimisation.
    alpha
        Initial step size, above 0; it falls linearly to 0.
    gamma
        Weight of the repulsion, at least 0.
    negative_sample_rate
        Negative samples for each firing edge, at least 0.
    seed
        64-bit seed of the negative samples and of random or jittered starts.
    a, b
        Parameters of the membership curve 1 / (1 + a d^(2b)), both above 0. Give both or neither;
        None: computed from `min_dist` and `spread`. After construction they are always floats.
    density_weight
        Weight, at least 0, of preserving local densities (densMAP: Narayan, Berger and Cho 2021;
        umap-learn's ``dens_lambda``, whose default is 2). 0: densities are not preserved.
    density_fraction
        Share of the epochs that preserve densities, from 0 to 1; they are the last epochs
        (``dens_frac``).
    density_shift
        Added to the variance of the log radii in the embedding to avoid a division by nearly 0,
        at least 0 (``dens_var_shift``). Without a `density_weight`, `density_shift` and
        `density_fraction` have no effect and are set to their defaults.

    Raises
    ------
    ValueError, TypeError
        The message names the parameter, its value and what is allowed.
    """

    min_dist: float = 0.5
    spread: float = 1.0
    n_components: int = 2
    n_epochs: int | None = None
    alpha: float = 1.0
    gamma: float = 1.0
    negative_sample_rate: int = 5
    seed: int = 0
    a: float | None = None
    b: float | None = None
    density_weight: float = 0.0
    density_fraction: float = 0.3
    density_shift: float = 0.1

    def __post_init__(self) -> None:
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        put("n_components", check_integer("n_components", self.n_components, 1))
        if self.n_epochs is not None:
            put("n_epochs", check_integer("n_epochs", self.n_epochs, 0, or_none=True))
        put(
            "negative_sample_rate",
            check_integer("negative_sample_rate", self.negative_sample_rate, 0),
        )
        put("seed", check_integer("seed", self.seed, 0, 2**64 - 1))
        put("alpha", check_real("alpha", self.alpha, above=0.0))
        put("gamma", check_real("gamma", self.gamma, at_least=0.0))
        if (self.a is None) != (self.b is None):
            name, missing = ("a", "b") if self.b is None else ("b", "a")
            msg = (
                f"{name}={getattr(self, name)!r} was given without {missing}: "
                "a and b must be given together, or neither."
            )
            raise ValueError(msg)
        if self.a is None:
            spread, min_dist = checked_shape(self.spread, self.min_dist)
            put("spread", spread)
            put("min_dist", min_dist)
            a, b = find_ab_params(spread, min_dist)
            put("a", a)
            put("b", b)
        else:
            put("a", check_real("a", self.a, above=0.0))
            put("b", check_real("b", self.b, above=0.0, at_most=100.0))
        self._check_density(put)

    def check_dimensions(self, n_vertices: int) -> None:
        """Refuse more dimensions than `n_vertices` points can fill.

        n points span at most n - 1 dimensions, which allow any distances between them. More
        dimensions cost memory and time and stay empty. Up to `DIMENSIONS_OF_ANY` are always
        allowed.

        Raises
        ------
        ValueError
            The message names n_components.
        """
        most = max(n_vertices - 1, DIMENSIONS_OF_ANY)
        if self.n_components > most:
            msg = (
                f"n_components={self.n_components} is more than {n_vertices} vertices can fill: "
                f"n_components must be an integer from 1 to {most}."
            )
            raise ValueError(msg)

    def epochs_for(self, n_vertices: int) -> int:
        """Return the number of epochs for a graph of `n_vertices` vertices."""
        if self.n_epochs is not None:
            return self.n_epochs
        more = EPOCHS_FOR_DENSITY if self.density_weight > 0 else 0
        return more + (EPOCHS_SMALL if n_vertices <= SMALL_GRAPH else EPOCHS_LARGE)

    def density_epoch(self, n_epochs: int) -> int:
        """Return the first epoch that preserves densities, or `n_epochs` if none does."""
        if self.density_weight == 0:
            return n_epochs
        without = 1.0 - self.density_fraction
        first = max(0, math.floor(without * n_epochs) - 2)  # a lower bound
        return next((t for t in range(first, n_epochs) if (t + 1) / n_epochs > without), n_epochs)

    def curve(self) -> tuple[float, float]:
        """Return a and b as plain floats."""
        assert self.a is not None
        assert self.b is not None
        return self.a, self.b

    def replace(self, **changes: Any) -> OptimizerSpec:
        """Return a copy with some parameters changed; the copy is checked again."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, float | int]:
        """Return the parameters as plain numbers, which any file format can store.

        Parameters that are None are left out. `min_dist` and `spread` are left out if `a` and `b`
        do not come from them. The density parameters are left out if densities are not preserved.
        :meth:`from_dict` makes an equal specification from the result.
        """
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("min_dist", "spread"):
            if self._curve_is_fitted():
                given[name] = float(given[name])
            else:
                del given[name]
        if self.density_weight == 0:
            for name in _OF_DENSITY:
                del given[name]
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OptimizerSpec:
        """Make a specification from the result of :meth:`to_dict`, which a file may have stored.

        Raises
        ------
        ValueError, TypeError
            For parameters that this version does not know, and for those that the constructor
            refuses.
        """
        unknown = sorted(set(values) - {item.name for item in fields(cls)})
        if unknown:
            msg = (
                f"the parameters {', '.join(map(repr, unknown))} are unknown to this version of "
                "umapcore; a newer one must have written them."
            )
            raise ValueError(msg)
        return cls(**values)

    def _check_density(self, put: Callable[[str, object], None]) -> None:
        put("density_weight", check_real("density_weight", self.density_weight, at_least=0.0))
        fraction = check_real("density_fraction", self.density_fraction, at_least=0.0, at_most=1.0)
        shift = check_real("density_shift", self.density_shift, at_least=0.0)
        if self.density_weight == 0:
            # Layouts that are equal must have equal specifications.
            fraction, shift = OptimizerSpec.density_fraction, OptimizerSpec.density_shift
        put("density_fraction", fraction)
        put("density_shift", shift)

    def _curve_is_fitted(self) -> bool:
        try:
            return find_ab_params(self.spread, self.min_dist) == (self.a, self.b)
        except (ValueError, TypeError):  # they are not checked when a and b are given
            return False
