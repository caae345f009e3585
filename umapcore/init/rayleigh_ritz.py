"""The small dense problem of a subspace iteration, in float64 and in a fixed order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from umapcore.init.dense import product
from umapcore.init.jacobi import diagonalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Directions with less than this share of the largest are dropped: in float32 they are only noise.
_DEPENDENT = 1e-10


class Ritz(NamedTuple):
    """The best vectors of a subspace.

    Attributes
    ----------
    rotation, offset
        The vectors are ``x @ rotation - offset``; linearly dependent ones are last and are 0.
    quotients
        Rayleigh quotient of every vector, in increasing order; inf where the vector is 0.
    """

    rotation: NDArray[np.float64]
    offset: NDArray[np.float64]
    quotients: NDArray[np.float64]


def rayleigh_ritz(gram: NDArray[np.float64], total: float) -> Ritz:
    """Find the smallest Rayleigh quotients x'(D - W)x / x'Dx in a subspace, without constants.

    Parameters
    ----------
    gram
        float64, (3, m, m): x'Dx, x'D(P - 1)x, and x'D1 in the first row of the third matrix.
    total
        Sum of the degrees. Vectors are scaled to x'Dx = total, that is, entries of about 1.
    """
    inner, energy, shares = gram[0], -0.5 * (gram[1] + gram[1].T), gram[2, 0]
    # Scale to length 1 before constants are removed: then the rest of a constant is small.
    diagonal = inner.diagonal()
    scale = np.where(diagonal > 0.0, 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0)), 0.0)
    # A constant has no energy, so subtracting its part of x'Dx removes it exactly.
    inner = inner - shares[:, None] * (shares / total)
    scaled = np.ascontiguousarray(inner * scale[:, None] * scale)
    basis = diagonalise(scaled)
    sizes = scaled.diagonal()
    kept = int((sizes > _DEPENDENT * sizes[0]).sum()) if sizes[0] > 0.0 else 0
    m = sizes.shape[0]
    # Rows: combinations of the block's vectors that are orthonormal for D.
    basis = basis[:kept] / np.sqrt(sizes[:kept, None]) * scale
    projected = product(product(basis, energy), basis.T)
    # Negated, because `diagonalise` sorts eigenvalues in decreasing order.
    projected = np.ascontiguousarray(-0.5 * (projected + projected.T))
    turn = diagonalise(projected)
    rotation = np.zeros((m, m))
    rotation[:, :kept] = product(turn, basis).T * np.sqrt(total)
    offset = product((shares / total)[None], rotation)[0]
    quotients = np.full(m, np.inf)
    quotients[:kept] = np.maximum(-projected.diagonal(), 0.0)
    return Ritz(rotation, offset, quotients)
