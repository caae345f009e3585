"""How the work between two barriers is handed out to workers."""

from __future__ import annotations

from typing import Any

from umapcore.jit import inline
from umapcore_numba.atomics import fetch_add

#: Two counters of a worker, each on a cache line of its own.
TICKET_STRIDE = 16


@inline
def next_piece(worker: Any, n_workers: Any, count: Any, tickets: Any, which: Any) -> Any:
    """Draw the next of `count` pieces of work by ticket, -1 when none is left.

    Every worker begins with its own share, which is the same part of the vertices in every bucket,
    so that most of what it reads is in its own cache; then it helps the others, so that one that
    the system holds up holds up one piece only.
    """
    for turn in range(n_workers):
        owner = (worker + turn) % n_workers
        piece = owner * count // n_workers + fetch_add(tickets, TICKET_STRIDE * owner + which, 1)
        if piece < (owner + 1) * count // n_workers:
            return piece
    return -1


@inline
def reset_tickets(tickets: Any, n_workers: Any) -> None:
    """Begin with the first piece of every share."""
    for worker in range(n_workers):
        tickets[TICKET_STRIDE * worker] = 0
        tickets[TICKET_STRIDE * worker + 8] = 0
