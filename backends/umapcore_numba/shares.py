"""How the work between two barriers is handed out to workers."""

from __future__ import annotations

from typing import Any

from umapcore.jit import inline
from umapcore_numba.atomics import fetch_add

#: Two counters of a worker, each on a cache line of its own.
TICKET_STRIDE = 16


@inline
def share_end(owner: Any, n_workers: Any, count: Any) -> Any:
    """Give the number after the last piece of work of one worker's share."""
    return (owner + 1) * count // n_workers


@inline
def next_of_share(owner: Any, n_workers: Any, count: Any, tickets: Any, which: Any) -> Any:
    """Draw the next piece of work of one worker's share by ticket.

    Every worker begins with its own share, which is the same part of the vertices in every bucket,
    so that most of what it reads is in its own cache; then it helps the others, so that one that
    the system holds up holds up one piece only.
    """
    return owner * count // n_workers + fetch_add(tickets, TICKET_STRIDE * owner + which, 1)


@inline
def reset_tickets(tickets: Any, n_workers: Any) -> None:
    """Begin with the first piece of every share."""
    for worker in range(n_workers):
        tickets[TICKET_STRIDE * worker] = 0
        tickets[TICKET_STRIDE * worker + 8] = 0
