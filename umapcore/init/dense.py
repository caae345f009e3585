"""Products of dense matrices in a fixed order of operations.

BLAS is not used because its rounding depends on the processor and the number of threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


#: Products in one call of the kernel.
_PRODUCTS = 50_000_000


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
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    # Ctrl-C waits for the end of a call.
    step = max(1, _PRODUCTS // max(1, y.size))
    for first in range(0, x.shape[0], step):
        _multiply(x[first : first + step], y, result[first : first + step])
    return result


@kernel()
def _multiply(x: Any, y: Any, result: Any) -> None:
    for i in range(x.shape[0]):
        row = result[i]
        for k in range(x.shape[1]):
            factor = x[i, k]
            for j in range(row.shape[0]):
                row[j] += factor * y[k, j]
