"""The one place that imports matplotlib, an optional extra."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from glassnet.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType


def load_pyplot(purpose: str) -> ModuleType:
    """The module matplotlib.pyplot; where it is not installed, `MissingExtraError` says how to install it."""
    try:
        return import_module("matplotlib.pyplot")
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the matplotlib package, which is not installed; "
            "install it with: pip install 'glassnet[plots]'"
        ) from error
