"""OptimizerSpec: everything that decides a layout beside the graph and the start positions.

Backends read it and nothing else; two runs with equal graphs, equal starts and equal
specifications give equal bits on every backend.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from umapcore.checks import check_integer, check_real
from umapcore.curve import find_ab_params

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Up to this many vertices the default is the larger number of epochs, as in umap-learn.
SMALL_GRAPH = 10_000
EPOCHS_SMALL = 500
EPOCHS_LARGE = 200


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec:
    """Parameters of the layout optimiser, checked where they are made.

    Parameters
    ----------
    min_dist, spread
        Shape of the membership curve, ``0 <= min_dist <= spread`` and ``spread > 0``. Only used
        to find `a` and `b`.
    n_components
        Dimensions of the embedding, at least 1.
    n_epochs
        Number of epochs. None: 500 up to 10 000 vertices, 200 above (:meth:`epochs_for`).
        0: no optimisation.
    alpha
        Step size at the start, above 0; it falls linearly to 0.
    gamma
        Weight of the repulsion, at least 0.
    negative_sample_rate
        Negative samples for each firing edge, at least 0.
    seed
        64-bit seed of the negative samples and of random or jittered starts.
    a, b
        Parameters of the membership curve 1 / (1 + a d^(2b)), both above 0. Give both or none;
        None finds them from `min_dist` and `spread`. After construction they are always floats.

    Raises
    ------
    ValueError, TypeError
        With the parameter's name, its value and what is allowed.
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
            spread = check_real("spread", self.spread, above=0.0)
            min_dist = check_real("min_dist", self.min_dist, at_least=0.0)
            put("spread", spread)
            put("min_dist", min_dist)
            a, b = find_ab_params(spread, min_dist)
            put("a", a)
            put("b", b)
        else:
            put("a", check_real("a", self.a, above=0.0))
            put("b", check_real("b", self.b, above=0.0, at_most=100.0))

    def epochs_for(self, n_vertices: int) -> int:
        """Give the number of epochs for a graph of `n_vertices` vertices."""
        if self.n_epochs is not None:
            return self.n_epochs
        return EPOCHS_SMALL if n_vertices <= SMALL_GRAPH else EPOCHS_LARGE

    def curve(self) -> tuple[float, float]:
        """Give a and b as plain floats."""
        assert self.a is not None
        assert self.b is not None
        return self.a, self.b

    def replace(self, **changes: Any) -> OptimizerSpec:
        """Copy with some parameters changed, checked anew."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, float | int]:
        """Give the parameters as plain numbers, which any file format can hold.

        What is None is left out, and so are `min_dist` and `spread` where `a` and `b` do not come
        from them. :meth:`from_dict` makes an equal specification of it.
        """
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("min_dist", "spread"):
            if self._curve_is_fitted():
                given[name] = float(given[name])
            else:
                del given[name]
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> OptimizerSpec:
        """Make a specification of what :meth:`to_dict` gave, maybe by way of a file.

        Raises
        ------
        ValueError, TypeError
            For parameters that this version does not know, and as the constructor.
        """
        unknown = sorted(set(values) - {item.name for item in fields(cls)})
        if unknown:
            msg = (
                f"the parameters {', '.join(map(repr, unknown))} are unknown to this version of "
                "umapcore; a newer one must have written them."
            )
            raise ValueError(msg)
        return cls(**values)

    def _curve_is_fitted(self) -> bool:
        try:
            return find_ab_params(self.spread, self.min_dist) == (self.a, self.b)
        except (ValueError, TypeError):  # not looked at when a and b were given
            return False
