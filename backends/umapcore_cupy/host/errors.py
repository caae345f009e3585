"""Errors of the compilation of kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class KernelCompilationError(RuntimeError):
    """CUDA source could not be compiled.

    Attributes
    ----------
    log
        NVRTC's messages. Positions read ``file.cu(line)``, where the file is one of ``kernels/``.
    options
        Options that NVRTC was called with.
    architecture
        Compute capability of the target, times ten: 90 for 9.0.
    """

    def __init__(
        self, message: str, *, log: str, options: Sequence[str], architecture: int
    ) -> None:
        super().__init__(message)
        self.log = log
        self.options = tuple(options)
        self.architecture = architecture
