"""Calls of a function go elsewhere, by whatever name it was imported.

Replacing a name in a module would miss ``from scanpy.tools import umap`` and every reference in a
class, a closure or a default argument. So the function object stays and its code is exchanged, as
IPython's autoreload does. Its signature, defaults, documentation and decorators stay with it.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from umapcore.logs import logger

if TYPE_CHECKING:
    from types import CodeType

#: For each rerouted function the module that answers its calls, and the function with its own code.
#: Entries stay: a call that has just begun may still look one up after it was undone.
_ROUTES: dict[str, tuple[str, FunctionType]] = {}


class CannotRerouteError(Exception):
    """A function that has no code that can be exchanged; the message says why."""


class Rerouted:
    """A function whose calls are answered by ``call`` of another module, until it is undone.

    Parameters
    ----------
    function
        A Python function, maybe under decorators that say so by ``__wrapped__``.
    name
        A name for it that nothing else has.
    module
        Name of the module with ``call(original, args, kwargs)``, imported at the first call.

    Raises
    ------
    CannotRerouteError
        When it is compiled, or needs variables of a function around it.
    """

    def __init__(self, function: Any, name: str, module: str) -> None:
        plain = inspect.unwrap(function)
        if not isinstance(plain, FunctionType):
            msg = f"it is no Python function but of type {type(plain).__name__}."
            raise CannotRerouteError(msg)
        if plain.__closure__ is not None:
            msg = "another program has replaced it by a function of its own."
            raise CannotRerouteError(msg)
        self._function = plain
        self._code = plain.__code__
        self._signed = "__signature__" not in plain.__dict__
        _ROUTES[name] = (module, _copy(plain))
        if self._signed:
            # Else inspect would read the signature from the new code.
            plain.__signature__ = inspect.signature(plain)  # type: ignore[attr-defined]
        self._new_code = _code_for(name, self._code)
        plain.__code__ = self._new_code

    def reaches(self, function: Any) -> bool:
        """Whether this is `function`, or what it decorates."""
        return inspect.unwrap(function) is self._function

    def undo(self) -> None:
        """Give the function its own code back."""
        if self._function.__code__ is self._new_code:
            self._function.__code__ = self._code
        else:
            logger.warning(
                "%s keeps the code that another program gave it", self._function.__qualname__
            )
        if self._signed:
            self._function.__dict__.pop("__signature__", None)


def _copy(function: FunctionType) -> FunctionType:
    """Make a second function of the same code and defaults."""
    copied = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__
    )
    for name in ("__kwdefaults__", "__annotations__", "__qualname__", "__module__", "__doc__"):
        setattr(copied, name, getattr(function, name))
    copied.__dict__.update(function.__dict__)
    return copied


def _code_for(name: str, code: CodeType) -> CodeType:
    """Make the code that hands the calls of `name` on; in tracebacks it stands where `code` did."""
    template = _template.__code__
    constants = tuple(name if value == "name" else value for value in template.co_consts)
    return template.replace(
        co_consts=constants,
        co_filename=code.co_filename,
        co_firstlineno=code.co_firstlineno,
        co_name=code.co_name,
        co_qualname=code.co_qualname,
    )


def _template(*args: Any, **kwargs: Any) -> Any:
    # It runs among the globals of another module, so all that it needs comes from here.
    from umapcore.accel.reroute import answer

    return answer("name", args, kwargs)


def answer(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call of the function that was rerouted under `name`."""
    from importlib import import_module

    module, original = _ROUTES[name]
    return import_module(module).call(original, args, kwargs)
