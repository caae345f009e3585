"""Choice of the number of threads of a running layout, from its measured speed.

A layout has thousands of short phases, and threads wait for one another at the end of each. On a
busy machine, or on processors that are far from each other, one thread can be faster than two. The
bits do not depend on the number of threads, so it can change freely while a layout runs.
"""

from __future__ import annotations

#: Threads that got less than this share of the possible processor time lacked processors.
_STARVED = 0.8
#: Without a reason, fewer threads are tried only if epochs are shorter than this, in seconds.
_SHORT_EPOCH = 0.05
#: Number of spans after which slower numbers of threads are tried again on a starved machine.
_PATIENCE = 12


class ThreadTuner:
    """Choose the number of threads for each span of epochs.

    Parameters
    ----------
    most
        Largest number of threads allowed.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self.candidates = _candidates(most)
        self._seconds: dict[int, float] = {}
        self._current = most
        self._spans_since_trial = 0
        self._starved = False
        self._untried: list[int] = []
        self._compared = False

    def threads(self) -> int:
        """Return the number of threads for the next span."""
        return self._untried[0] if self._untried else self._current

    def record(self, threads: int, seconds: float, processor_seconds: float) -> None:
        """Record how long an epoch took on average in the span that has just run.

        Parameters
        ----------
        threads
            Number of threads that the span ran on.
        seconds, processor_seconds
            Wall time and processor time of the process, per epoch.
        """
        self._seconds[threads] = seconds
        self._spans_since_trial += 1
        if threads == self._most:
            self._starved = processor_seconds < _STARVED * threads * seconds
            if self._starved:  # as many as there were processors for
                self.candidates = _candidates(self._most, round(processor_seconds / seconds))
        if self._untried and self._untried[0] == threads:
            self._untried.pop(0)
        if self._untried:
            return
        measured = [c for c in self.candidates if c in self._seconds]
        self._current = min(measured, key=self._seconds.__getitem__)
        first = not self._compared and seconds < _SHORT_EPOCH
        again = self._spans_since_trial >= _PATIENCE and (
            self._starved or self._current != self._most
        )
        if len(self.candidates) > 1 and (first or again):
            self._compared = True
            self._spans_since_trial = 0
            self._untried = [c for c in self.candidates if c != self._current]


def _candidates(most: int, got: int = 1) -> list[int]:
    """Return numbers of threads to try: all, half of them, as many as `got` processors, one."""
    return sorted({most, max(1, most // 2), min(most, max(1, got)), 1}, reverse=True)
