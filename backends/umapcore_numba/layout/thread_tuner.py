"""How many threads a running layout takes, by watching how fast it goes.

A layout has thousands of short phases, at whose ends threads wait for one another. On a busy
machine, or on processors that are far from each other, one thread can be faster than two. Since
the bits do not depend on the number of threads, it is changed freely while a layout runs.
"""

from __future__ import annotations

#: Below this share of the processor time asked for, the threads were not getting processors.
_STARVED = 0.8
#: A graph whose epochs take longer is not tried on fewer threads without a reason.
_SHORT_EPOCH = 0.05
#: Spans after which a slower number of threads is tried again on a starved machine.
_PATIENCE = 12


class ThreadTuner:
    """Choose the number of threads for each span of epochs.

    Parameters
    ----------
    most
        Largest number of threads that may be taken.
    """

    def __init__(self, most: int) -> None:
        self.candidates = sorted({most, max(1, most // 2), 1}, reverse=True)
        self._seconds: dict[int, float] = {}
        self._current = most
        self._spans_since_trial = 0
        self._starved = False
        self._untried: list[int] = []
        self._compared = False

    def threads(self) -> int:
        """Give the number of threads for the next span."""
        return self._untried[0] if self._untried else self._current

    def record(self, threads: int, seconds: float, processor_seconds: float) -> None:
        """Note how long an epoch took on average in the span just run.

        Parameters
        ----------
        threads
            Threads that the span ran on.
        seconds, processor_seconds
            Wall time and processor time of the process, for one epoch.
        """
        self._seconds[threads] = seconds
        self._spans_since_trial += 1
        if threads == self.candidates[0]:
            self._starved = processor_seconds < _STARVED * threads * seconds
        if self._untried and self._untried[0] == threads:
            self._untried.pop(0)
        if self._untried:
            return
        self._current = min(self._seconds, key=self._seconds.__getitem__)
        first = not self._compared and seconds < _SHORT_EPOCH
        again = self._spans_since_trial >= _PATIENCE and (
            self._starved or self._current != self.candidates[0]
        )
        if len(self.candidates) > 1 and (first or again):
            self._compared = True
            self._spans_since_trial = 0
            self._untried = [c for c in self.candidates if c != self._current]
