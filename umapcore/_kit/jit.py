"""Declare the package's kernels, and call them: as shipped machine code, or compiled by numba.

A kernel is a Python function in the part of the language that numba compiles. Wheels contain
machine code for the usual types of arguments (:mod:`umapcore._kit.precompiled`). For other types,
on other processors, and in a checkout, numba compiles it at the first call and keeps it on disk
(:mod:`umapcore._kit.compiler`). numba is imported only then.
"""

from __future__ import annotations

from functools import update_wrapper
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from umapcore._kit.later import Later
from umapcore._kit.precompiled import library
from umapcore._kit.precompiled.words import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: What it imports declares kernels itself, so it cannot be imported here.
compiler = Later("umapcore._kit.compiler")

#: Unsigned: for signed indices numba adds Python's wrap-around, and it widens bare literals.
U0, U1 = np.uint64(0), np.uint64(1)

#: All kernels that have been declared.
KERNELS: list[Kernel] = []


class Compilable:
    """A function of which numba makes an object of its own when a kernel that uses it is compiled.

    Parameters
    ----------
    function
        The function in Python.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self._made: Any = None
        update_wrapper(cast("Callable[..., Any]", self), function)

    def _make(self) -> Any:
        raise NotImplementedError

    @property
    def dispatcher(self) -> Any:
        """The form that numba compiles."""
        if self._made is None:
            # numba compiles under this lock, and then asks for these objects.
            from numba.core.compiler_lock import global_compiler_lock

            with global_compiler_lock:
                if self._made is None:
                    self._made = self._make()
        return self._made

    @property
    def is_compiled(self) -> bool:
        """Whether numba has compiled it, or has loaded it from its cache."""
        return self._made is not None and bool(self._made.signatures)

    @property
    def _numba_type_(self) -> Any:
        """How numba types a global name that means this object."""
        return self.dispatcher._numba_type_


class _Inline(Compilable):
    def __init__(self, function: Callable[..., Any], optimised: bool) -> None:
        super().__init__(function)
        self.optimised = optimised

    def _make(self) -> Any:
        return compiler.inline_dispatcher(self.function, self.optimised)


class _Intrinsic(Compilable):
    def _make(self) -> Any:
        return compiler.intrinsic_type(self.function)

    @property
    def _numba_type_(self) -> Any:
        return self.dispatcher


class Kernel(Compilable):
    """A compiled function; see :func:`kernel`."""

    def __init__(
        self,
        function: Callable[..., Any],
        allocates: bool,
        seconds: float,
        purpose: Callable[[Any], str] | None,
    ) -> None:
        super().__init__(function)
        self.name = f"{function.__module__}.{function.__qualname__}"
        self.allocates = allocates
        self.seconds = seconds
        self.purpose = purpose
        KERNELS.append(self)

    def __call__(self, *args: Any) -> Any:
        return self._call(args, (), ((), ""))

    def bound(self, *last: Any) -> Callable[..., Any]:
        """Return the kernel with its last arguments fixed, for many calls.

        Arguments are described to compiled code in words, which takes a microsecond or two an
        array; here that is done once.
        """
        described = _described(last)
        return lambda *first: self._call(first, last, described)

    def _call(
        self, first: tuple[Any, ...], last: tuple[Any, ...], described: tuple[Sequence[int], str]
    ) -> Any:
        """Call the kernel; the last arguments have been described already."""
        shipped = library.shipped()
        if shipped is not None:
            words, form = _described(first)
            code = shipped.find(self.name, form + described[1])
            if code is not None:
                return code([*words, *described[0]])
        return self.dispatcher(*first, *last)

    def _make(self) -> Any:
        return compiler.kernel_dispatcher(self)


def _described(args: tuple[Any, ...]) -> tuple[list[int], str]:
    """Return the words of arguments and the name of their types."""
    words: list[int] = []
    form: list[str] = []
    for each in args:
        pack(each, words, form)
    return words, "".join(form)


def kernel(
    *,
    allocates: bool = True,
    seconds: float = 0.5,
    purpose: Callable[[Any], str] | None = None,
) -> Callable[[Callable[..., Any]], Kernel]:
    """Declare a kernel: no GIL, NumPy's division, no fast maths.

    Parameters
    ----------
    allocates
        Whether the kernel allocates arrays. If False, the kernel does not count references to the
        views that it takes; counting costs an atomic operation per view (4 % of a layout), and the
        compiler takes a quarter longer.
    seconds
        Time that the compiler takes for it on an idle machine; only shown to users.
    purpose
        Tells from the types of the arguments what the kernel is compiled for. None: what all
        kernels of its module are for.
    """
    return lambda function: Kernel(function, allocates, seconds, purpose)


def inline(function: Callable[..., Any]) -> Any:
    """Declare a function that only kernels call; it is compiled as part of them.

    It allocates no arrays: see `allocates` of :func:`kernel`.
    """
    return _Inline(function, optimised=False)


def inline_loop(function: Callable[..., Any]) -> Any:
    """Declare a function as :func:`inline` does, whose loops LLVM vectorises only by themselves.

    It is optimised twice, alone and as part of kernels, so it takes longer to compile.
    """
    return _Inline(function, optimised=True)


def intrinsic(function: Callable[..., Any]) -> Any:
    """Declare a function that writes LLVM's language into the kernels that call it.

    It is as numba's ``intrinsic`` wants it: it gets a typing context and the types of its
    arguments, and returns a signature and the function that writes the code.
    """
    return _Intrinsic(function)
