"""Run an action after a module is imported."""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType


class AfterImport(MetaPathFinder):
    """Import finder that leaves the search to the other finders and acts after the import.

    Parameters
    ----------
    names
        Full names of the modules.
    action
        Called with each module after it is imported or reloaded.
    """

    def __init__(self, names: Collection[str], action: Callable[[ModuleType], None]) -> None:
        self._names = frozenset(names)
        self._action = action

    def install(self) -> None:
        """Start to watch imports."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def uninstall(self) -> None:
        """Stop watching imports."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def present(self) -> list[ModuleType]:
        """Return the watched modules that are already imported."""
        return [sys.modules[name] for name in sorted(self._names & sys.modules.keys())]

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module with the other finders; wrap the loader if the module is watched."""
        if fullname not in self._names:
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _ActingLoader(spec.loader, self._action)
                return spec
        return None


class _ActingLoader(Loader):
    """Loader that wraps another one for the load of one module, and then removes itself."""

    def __init__(self, loader: Any, action: Callable[[ModuleType], None]) -> None:
        self._loader = loader
        self._action = action

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        created: ModuleType | None = self._loader.create_module(spec)
        return created

    def exec_module(self, module: ModuleType) -> None:
        # The module, and code that reads its source or data, must see the original loader.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._action(module)
