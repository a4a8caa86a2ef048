"""The kinds of model that a file can hold, and the one function that loads them all."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import Any

import numpy as np

from glassnet.errors import ModelFileError
from glassnet.persist.model_file import read_model_file

Loader = Callable[[dict[str, Any], dict[str, np.ndarray]], Any]

_loaders: dict[str, Loader] = {}


def register_kind(name: str, loader: Loader) -> None:
    """Let `load` rebuild documents whose "kind" is `name` by `loader(document, arrays)`."""
    _loaders[name] = loader


def load(path: str | PathLike[str]) -> Any:
    """The model in a file, of whichever kind its document names.

    Raises `ModelFileError` for a file that is not a model, is damaged, or holds a kind that is not known.

    >>> net = load("digits.glass")                                    # doctest: +SKIP
    """
    document, arrays = read_model_file(path)
    kind = document.get("kind")
    if kind not in _loaders:
        raise ModelFileError(
            f"{path} holds a model of the kind {kind!r}, which this glassnet does not know; "
            f"it knows {', '.join(sorted(_loaders)) or 'none'}."
        )
    try:
        return _loaders[kind](document, arrays)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelFileError(
            f"{path} describes its model in a way that this glassnet cannot follow ({error!r}); "
            "it was written by another version or altered: train and save the model again."
        ) from error
