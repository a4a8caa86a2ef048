"""The one place that imports polars, an optional extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glassnet.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType


def load_polars(purpose: str) -> ModuleType:
    """The polars module; where it is not installed, `MissingExtraError` says how to install it."""
    try:
        import polars  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise MissingExtraError(
            f"{purpose} needs the polars package, which is not installed; "
            "install it with: pip install 'glassnet[tables]'"
        ) from error
    return polars
