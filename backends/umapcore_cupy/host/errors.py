"""What can go wrong between a kernel's source and the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class KernelCompilationError(RuntimeError):
    """CUDA source could not be compiled.

    Attributes
    ----------
    log
        What NVRTC said; positions read ``file.cu(line)``, the file being one of ``kernels/``.
    options
        The options NVRTC was given.
    architecture
        Compute capability that was compiled for: 90 stands for 9.0.
    """

    def __init__(
        self, message: str, *, log: str, options: Sequence[str], architecture: int
    ) -> None:
        super().__init__(message)
        self.log = log
        self.options = tuple(options)
        self.architecture = architecture
