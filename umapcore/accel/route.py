"""What holds while calls are routed to umapcore, and how one is taken or passed on."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class NotOfferedError(Exception):
    """umapcore does not do what a call asks for; the message says what that is."""


@dataclass(frozen=True, eq=False)
class Options:
    """How umapcore runs what is routed to it: see :func:`umapcore.accel.install`."""

    method: str = "umap"
    n_threads: int | None = None

    def __post_init__(self) -> None:
        from umapcore.device.select import check_method

        check_method(self.method)
        if self.n_threads is not None:
            from umapcore._kit.checks import check_integer

            n_threads = check_integer("n_threads", self.n_threads, 1, or_none=True)
            object.__setattr__(self, "n_threads", n_threads)


@dataclass
class Active:
    """The options that hold: of the innermost block, else those of the process."""

    base: Options | None = None
    blocks: list[Options] = field(default_factory=list)

    def current(self) -> Options | None:
        """Give the options that hold now; None: calls go to the originals."""
        # One look: a list is replaced and never shortened, so it is safe in other threads.
        blocks = self.blocks
        return blocks[-1] if blocks else self.base

    def leave(self, options: Options) -> None:
        """Take a block out; blocks of several threads need not end in order."""
        self.blocks = [block for block in self.blocks if block is not options]


active = Active()


def take_or_pass_on(
    name: str,
    take: Callable[..., Any],
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Answer a call by umapcore, or by the original with a line in the log.

    Parameters
    ----------
    name
        What the log calls the function.
    take
        Called as ``take(options, original, args, kwargs)``. It raises :class:`NotOfferedError`, or
        the ValueError or TypeError by which umapcore refuses input before any work: the original
        may take it, and otherwise has messages of its own that programs may expect.
    original
        The function as it was.
    args, kwargs
        Of the call.
    """
    options = active.current()
    if options is None:
        return original(*args, **kwargs)
    try:
        result = take(options, original, args, kwargs)
    except (NotOfferedError, ValueError, TypeError) as problem:
        logger.warning("%s: passed on to the original: %s", name, problem)
        logger.debug("%s: passed on because of", name, exc_info=True)
    else:
        logger.info("%s: done by umapcore", name)
        return result
    # Out here, so that an error of the original does not carry ours along.
    return original(*args, **kwargs)


def global_random_state(random_state: Any) -> Any:
    """Give NumPy's global RandomState for what scikit-learn takes it for: None and numpy.random."""
    import numpy as np

    if random_state is None or random_state is np.random:
        return np.random.mtrand._rand
    return random_state


@contextmanager
def rewound_on_failure(random_state: Any) -> Iterator[None]:
    """Put a random state back where it was when the block fails.

    So the original draws what it would have drawn.
    """
    import numpy as np

    before: Any
    if isinstance(random_state, np.random.RandomState):
        before = random_state.get_state(legacy=False)
    elif type(random_state) is np.random.Generator:
        before = random_state.bit_generator.state
    else:
        yield
        return
    try:
        yield
    except BaseException:
        if isinstance(random_state, np.random.RandomState):
            random_state.set_state(before)
        else:
            random_state.bit_generator.state = before
        raise
