"""Reroute the calls of a function, under any name by which it was imported.

Replacing a name in a module would miss ``from scanpy.tools import umap`` and every reference in a
class, a closure or a default argument. So the function object stays and its code is replaced, as
IPython's autoreload does. It keeps its signature, defaults, documentation and decorators.
"""

from __future__ import annotations

import inspect
from types import FunctionType
from typing import TYPE_CHECKING, Any

from umapcore.logs import logger

if TYPE_CHECKING:
    from types import CodeType

#: For each rerouted function: the module that answers its calls, and a copy with the original code.
#: Entries are never removed: a call that has just begun may still need one after the undo.
_ROUTES: dict[str, tuple[str, FunctionType]] = {}


class CannotRerouteError(Exception):
    """The code of a function cannot be replaced; the message says why."""


class Rerouted:
    """Reroute the calls of a function to ``call`` of another module, until it is undone.

    Parameters
    ----------
    function
        A Python function, possibly under decorators that set ``__wrapped__``.
    name
        A unique name for it.
    module
        Name of a module with ``call(original, args, kwargs)``; the first call imports it.

    Raises
    ------
    CannotRerouteError
        When the function is compiled, or is a closure.
    """

    def __init__(self, function: Any, name: str, module: str) -> None:
        plain = inspect.unwrap(function)
        if not isinstance(plain, FunctionType):
            msg = f"it is no Python function but of type {type(plain).__name__}."
            raise CannotRerouteError(msg)
        if plain.__closure__ is not None:
            msg = "another program has replaced it with its own function."
            raise CannotRerouteError(msg)
        self._function = plain
        self._code = plain.__code__
        self._signed = "__signature__" not in plain.__dict__
        _ROUTES[name] = (module, _copy(plain))
        if self._signed:
            # Otherwise inspect would read the signature from the new code.
            plain.__signature__ = inspect.signature(plain)  # type: ignore[attr-defined]
        self._new_code = _code_for(name, self._code)
        plain.__code__ = self._new_code

    def reaches(self, function: Any) -> bool:
        """Return whether this is `function` or the function that it decorates."""
        return inspect.unwrap(function) is self._function

    def undo(self) -> None:
        """Restore the original code of the function."""
        if self._function.__code__ is self._new_code:
            self._function.__code__ = self._code
        else:
            logger.warning(
                "%s keeps the code that another program gave it", self._function.__qualname__
            )
        if self._signed:
            self._function.__dict__.pop("__signature__", None)


def _copy(function: FunctionType) -> FunctionType:
    """Return a second function with the same code and defaults."""
    copied = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__
    )
    for name in ("__kwdefaults__", "__annotations__", "__qualname__", "__module__", "__doc__"):
        setattr(copied, name, getattr(function, name))
    copied.__dict__.update(function.__dict__)
    return copied


def _code_for(name: str, code: CodeType) -> CodeType:
    """Return code that forwards the calls of `name`; tracebacks show it at the place of `code`."""
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
    # It runs with the globals of another module, so it imports all that it needs.
    from umapcore.accel.reroute import answer

    return answer("name", args, kwargs)


def answer(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Answer a call of the function that is rerouted under `name`."""
    from importlib import import_module

    module, original = _ROUTES[name]
    return import_module(module).call(original, args, kwargs)
