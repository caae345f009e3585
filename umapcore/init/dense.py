"""Products of dense matrices in a fixed order of operations.

BLAS is not used because its rounding depends on the processor and the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


def product(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Multiply two matrices; every entry is summed from the first term to the last.

    Parameters
    ----------
    x, y
        float64, (n, m) and (m, k), in any memory order.

    Returns
    -------
    float64, C order, (n, k).
    """
    result = np.zeros((x.shape[0], y.shape[1]))
    _multiply(np.ascontiguousarray(x), np.ascontiguousarray(y), result)
    return result


@kernel()
def _multiply(x: Any, y: Any, result: Any) -> None:
    for i in range(x.shape[0]):
        row = result[i]
        for k in range(x.shape[1]):
            factor = x[i, k]
            for j in range(row.shape[0]):
                row[j] += factor * y[k, j]
