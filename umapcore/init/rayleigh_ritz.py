"""The small dense problem of a subspace iteration, in float64 and in one written order."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from umapcore.init.dense import product
from umapcore.init.jacobi import diagonalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Directions that hold less than this share of the largest are dropped: float32 leaves only noise.
_DEPENDENT = 1e-10


class Ritz(NamedTuple):
    """The best vectors of a subspace.

    Attributes
    ----------
    rotation, offset
        Vectors are ``x @ rotation - offset``; those that depend on others come last and are 0.
    quotients
        Rayleigh quotient of every vector, rising; inf where it is 0.
    """

    rotation: NDArray[np.float64]
    offset: NDArray[np.float64]
    quotients: NDArray[np.float64]


def rayleigh_ritz(gram: NDArray[np.float64], total: float) -> Ritz:
    """Find the smallest Rayleigh quotients x'(D - W)x / x'Dx in a subspace, but for constants.

    Parameters
    ----------
    gram
        float64, (3, m, m): x'Dx, x'D(P - 1)x, and in the first row of the third x'D1.
    total
        Sum of the degrees. Vectors are scaled to x'Dx = total, that is, entries of about 1.
    """
    inner, energy, shares = gram[0], -0.5 * (gram[1] + gram[1].T), gram[2, 0]
    # Columns of length 1 before constants are removed: what is left of a constant then is small.
    diagonal = inner.diagonal()
    scale = np.where(diagonal > 0.0, 1.0 / np.sqrt(np.where(diagonal > 0.0, diagonal, 1.0)), 0.0)
    # A constant has no energy, so it is removed exactly by what it contributes to x'Dx.
    inner = inner - shares[:, None] * (shares / total)
    scaled = np.ascontiguousarray(inner * scale[:, None] * scale)
    basis = diagonalise(scaled)
    sizes = scaled.diagonal()
    kept = int((sizes > _DEPENDENT * sizes[0]).sum()) if sizes[0] > 0.0 else 0
    m = sizes.shape[0]
    # Rows: combinations of the block's vectors that are orthonormal for D.
    basis = basis[:kept] / np.sqrt(sizes[:kept, None]) * scale
    projected = product(product(basis, energy), basis.T)
    # `diagonalise` sorts eigenvalues falling.
    projected = np.ascontiguousarray(-0.5 * (projected + projected.T))
    turn = diagonalise(projected)
    rotation = np.zeros((m, m))
    rotation[:, :kept] = product(turn, basis).T * np.sqrt(total)
    offset = product((shares / total)[None], rotation)[0]
    quotients = np.full(m, np.inf)
    quotients[:kept] = np.maximum(-projected.diagonal(), 0.0)
    return Ritz(rotation, offset, quotients)
