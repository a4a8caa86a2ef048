"""Packages whose modules are loaded when a name of theirs is first asked for."""

from __future__ import annotations

from importlib import import_module


def load_all(package: str) -> None:
    """Loads every module of a package that has public names, so that all that registers itself is there.

    >>> load_all("glassnet.optim")
    >>> "adam" in gn.optim.OPTIMIZERS
    True
    """
    module = import_module(package)
    for name in module.__all__:
        getattr(module, name)
