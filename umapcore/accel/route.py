"""The active options of routing, and the decision to answer a call or pass it on."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from umapcore.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator


class NotOfferedError(Exception):
    """umapcore does not support a call; the message names what is missing."""


class NoPartError(NotOfferedError):
    """A call in which umapcore is to have no part; it is passed on without a warning."""


@dataclass(frozen=True, eq=False)
class Options:
    """How umapcore runs the calls routed to it: see :func:`umapcore.accel.install`."""

    method: str = "umap"
    n_threads: int | None = None
    neighbors: bool = True

    def __post_init__(self) -> None:
        from umapcore.device.select import check_method

        check_method(self.method)
        if not isinstance(self.neighbors, bool):
            from umapcore.errors import bad_type

            raise bad_type("neighbors", self.neighbors, "True or False")
        if self.n_threads is not None:
            from umapcore._kit.checks import check_integer

            n_threads = check_integer("n_threads", self.n_threads, 1, or_none=True)
            object.__setattr__(self, "n_threads", n_threads)


@dataclass
class Active:
    """The active options: those of the innermost block, else those of the process."""

    base: Options | None = None
    blocks: list[Options] = field(default_factory=list)

    def current(self) -> Options | None:
        """Return the active options; None: calls go to the original functions."""
        # One read: `leave` replaces the list and never shortens it, so threads need no lock here.
        blocks = self.blocks
        return blocks[-1] if blocks else self.base

    def leave(self, options: Options) -> None:
        """Remove a block; blocks of several threads may end in any order."""
        self.blocks = [block for block in self.blocks if block is not options]


active = Active()


def take_or_pass_on(
    name: str,
    take: Callable[..., Any],
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Answer a call with umapcore, or with the original and a line in the log.

    Parameters
    ----------
    name
        Name of the function in the log.
    take
        Called as ``take(options, original, args, kwargs)``. It may raise :class:`NotOfferedError`,
        or the ValueError or TypeError with which umapcore refuses input before any work. Then the
        original is called: it may accept the input, or raise errors that programs expect.
    original
        The original function.
    args, kwargs
        Arguments of the call.
    """
    options = active.current()
    if options is None:
        return original(*args, **kwargs)
    try:
        result = take(options, original, args, kwargs)
    except NoPartError as reason:
        logger.debug("%s: left to the original: %s", name, reason)
    except (NotOfferedError, ValueError, TypeError) as problem:
        logger.warning("%s: passed on to the original: %s", name, problem)
        logger.debug("%s: passed on because of", name, exc_info=True)
    else:
        logger.info("%s: done by umapcore", name)
        return result
    # Outside the `except` block, so that an error of the original is not chained to ours.
    return original(*args, **kwargs)


def arguments_of(
    original: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    known: Container[str],
) -> inspect.BoundArguments:
    """Return the arguments of a call by name, defaults included.

    Raises
    ------
    NotOfferedError
        When a parameter that is not `known`, of a later version, has a value other than its
        default.
    TypeError
        When they are not arguments of the function.
    """
    bound = inspect.signature(original).bind(*args, **kwargs)
    for name, value in bound.arguments.items():
        if name not in known and value is not bound.signature.parameters[name].default:
            msg = f"{name} is unknown to umapcore."
            raise NotOfferedError(msg)
    bound.apply_defaults()
    return bound


def global_random_state(random_state: Any) -> Any:
    """Return NumPy's global RandomState for None and numpy.random, as scikit-learn does."""
    import numpy as np

    if random_state is None or random_state is np.random:
        return np.random.mtrand._rand
    return random_state


@contextmanager
def rewound_on_failure(random_state: Any) -> Iterator[None]:
    """Restore a random state when the block fails.

    The original function then draws the same numbers as without umapcore.
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
