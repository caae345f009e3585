"""The workers of a Dask cluster, as the process that has the client sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from umapcore.errors import WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

#: Seconds between two looks at whether all workers are still there.
_LOOK = 1.0
#: Seconds in which the other tasks end after one has failed.
_FAREWELL = 5.0


class Workers:
    """All workers that a client's cluster has now. No others take part later.

    Parameters
    ----------
    client
        A ``distributed.Client``.

    Attributes
    ----------
    n_threads
        Threads of each worker.
    direct
        Whether this process sends to workers directly: None leaves it to the client's settings,
        which usually send all by way of the scheduler.

    Raises
    ------
    ValueError
        If there are none.
    """

    direct: bool | None = None

    def __init__(self, client: Any) -> None:
        self._client = client
        threads: dict[str, int] = client.nthreads()
        if not threads:
            msg = f"client={client!r} has no workers: it must have at least one."
            raise ValueError(msg)
        self._addresses = sorted(threads)
        self.n_threads = [threads[address] for address in self._addresses]

    def __len__(self) -> int:
        return len(self._addresses)

    def give(self, values: Iterable[Any]) -> list[Any]:
        """Send each worker its value; return futures."""
        return [
            self._client.scatter(value, workers=[address], hash=False, direct=self.direct)
            for value, address in zip(values, self._addresses, strict=True)
        ]

    def give_all(self, value: Any) -> list[Any]:
        """Send all workers the same value; return futures."""
        future = self._client.scatter(
            value, workers=self._addresses, broadcast=True, hash=False, direct=self.direct
        )
        return [future] * len(self)

    def each(self, function: Callable[..., Any], *args: Sequence[Any]) -> list[Any]:
        """Call a function on each worker, with that worker's element of each argument, and wait.

        If the arguments have fewer elements than there are workers, only the first ones call it.

        Returns
        -------
        Futures; the results stay on the workers.

        Raises
        ------
        WorkerLostError
            When a worker has ended or cannot be reached.
        Exception
            When a call fails.
        """
        futures = self._submit(function, args)
        self._wait(futures)
        return futures

    def results(self, function: Callable[..., Any], *args: Sequence[Any]) -> list[Any]:
        """Do the same as `each`, and return the results."""
        found: list[Any] = self._client.gather(self.each(function, *args), direct=self.direct)
        return found

    def tell(self, function: Callable[..., Any], *args: Sequence[Any]) -> None:
        """Call a function as `each` does, on the workers that are there, and wait a little."""
        from distributed import wait

        wait(self._submit(function, args), timeout=_FAREWELL)

    def _submit(self, function: Callable[..., Any], args: Sequence[Sequence[Any]]) -> list[Any]:
        """Let workers call a function; return futures."""
        calls = zip(*args, strict=True) if args else [()] * len(self)
        return [
            self._client.submit(function, *values, workers=[address], pure=False)
            for values, address in zip(calls, self._addresses, strict=False)
        ]

    def _wait(self, futures: list[Any]) -> None:
        """Wait until all tasks have ended; raise an error if any has failed or cannot end."""
        from distributed import wait
        from distributed.client import CancelledError

        # Tasks whose worker is gone do not end, or are cancelled since their input is lost.
        some_failed = False
        while not some_failed:
            some_failed = any(future.status not in ("pending", "finished") for future in futures)
            some_failed = some_failed or bool(self._lost())
            try:
                wait(futures, timeout=_LOOK)
                break
            except (TimeoutError, CancelledError):
                continue
        failed = [future for future in futures if future.status != "finished"]
        if failed:
            raise self._error(failed)

    def _lost(self) -> list[str]:
        """Return the addresses of workers that the cluster has no more."""
        here = self._client.nthreads()
        return [address for address in self._addresses if address not in here]

    def _error(self, failed: list[Any]) -> BaseException:
        """Return the error to raise for calls that failed or did not end."""
        from distributed import KilledWorker

        errors = [future.exception() for future in failed if future.status == "error"]
        for error in errors:
            if not isinstance(error, (WorkerLostError, KilledWorker)):
                cause: BaseException = error
                return cause
        lost = self._lost()
        what = f"{len(lost)} of {len(self)} workers have ended ({', '.join(lost)})"
        if not lost:  # they have been replaced, or cannot reach one another
            what = "; ".join(map(str, errors)) or "a worker has lost its part of the layout"
        return WorkerLostError(
            f"{what}: the layout has ended. With `checkpoint`, the same call goes on from where it "
            "was last saved, on any number of workers."
        )
