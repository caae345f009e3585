"""Digests of graphs and positions: equal if and only if the numbers are equal.

Blocks of rows are hashed with BLAKE2b (RFC 7693) to 128 bits, and their digests are hashed again.
The blocks have a fixed size, so the digest does not depend on the number of threads. All numbers
are converted to one width and byte order, so it does not depend on how they are stored either.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from umapcore._kit.arrays import is_sparse, row_pieces
from umapcore._kit.parallel import for_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

_BYTES = 16


def graph_digest(graph: Any, *, n_threads: int | None = None) -> str:
    """Digest a graph.

    Parameters
    ----------
    graph
        CSR from :func:`umapcore.graph.csr.prepare_graph`. The digest is that of the graph as it
        is laid out; format, dtype and order of the entries in the user's graph do not matter.
    n_threads
        Threads to use.

    Returns
    -------
    32 hexadecimal digits.
    """
    indptr, indices, weights = graph.indptr, graph.indices, graph.data

    def block(first: int, last: int) -> bytes:
        begin, end = int(indptr[first]), int(indptr[last])
        return _hashed(
            _bytes(np.diff(indptr[first : last + 1]), "<i4"),
            _bytes(indices[begin:end], "<i4"),
            _bytes(weights[begin:end], "<f4"),
        )

    n = int(graph.shape[0])
    return _tree(b"graph", (n,), for_rows(n, n_threads, block))


def positions_digest(positions: NDArray[Any], *, n_threads: int | None = None) -> str:
    """Digest positions, n × d, as float32.

    Returns
    -------
    32 hexadecimal digits.
    """
    n, d = positions.shape

    def block(first: int, last: int) -> bytes:
        return _hashed(_bytes(positions[first:last], "<f4"))

    return _tree(b"positions", (n, d), for_rows(n, n_threads, block))


def radii_digest(radii: NDArray[np.float32], *, n_threads: int | None = None) -> str:
    """Digest the log radii of the data, (n,): all that a layout uses of the distances.

    Returns
    -------
    32 hexadecimal digits.
    """

    def block(first: int, last: int) -> bytes:
        return _hashed(_bytes(radii[first:last], "<f4"))

    return _tree(b"radii", radii.shape, for_rows(radii.shape[0], n_threads, block))


def representation_digest(representation: Any, metric: str) -> str:
    """Digest what determines the positions of a graph's components: coordinates and metric.

    Parameters
    ----------
    representation
        n × p, dense or sparse, may be on disk; or None.
    metric
        Name of the metric.
    """
    parts = [metric.encode()]
    if representation is not None:
        for _, rows in row_pieces(representation):
            if is_sparse(rows):
                stored = rows.tocsr()
                parts += [
                    _hashed(_bytes(stored.indptr, "<i8"), _bytes(stored.indices, "<i8")),
                    _hashed(_bytes(stored.data, "<f8")),
                ]
            else:
                parts.append(_hashed(_bytes(rows, "<f8")))
        return _tree(b"representation", np.shape(representation), parts)
    return _tree(b"representation", (), parts)


def _bytes(array: NDArray[Any], dtype: str) -> memoryview:
    return np.ascontiguousarray(array, dtype=dtype).reshape(-1).view(np.uint8).data


def _hashed(*parts: memoryview | bytes) -> bytes:
    digest = hashlib.blake2b(digest_size=_BYTES)
    for part in parts:
        # For more than a few thousand bytes, hashlib releases the GIL.
        digest.update(part)
    return digest.digest()


def _tree(kind: bytes, shape: tuple[int, ...], blocks: list[bytes]) -> str:
    head = b"umapcore %s %s" % (kind, repr(tuple(int(size) for size in shape)).encode())
    return _hashed(head, *(len(block).to_bytes(8, "little") + block for block in blocks)).hex()
