"""Configuration as plain data: a frozen dataclass as the name of its class and its options.

Model files hold such documents and never code. A class that can stand in one is marked `@documented`.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import MISSING, Field, fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar

from glassnet.core.packages import load_all
from glassnet.errors import ConfigurationError, ModelFileError

T = TypeVar("T", bound=type)

_CLASSES: dict[str, type] = {}
_PACKAGES = ("glassnet.nn", "glassnet.losses")  # where such classes are; loaded when one is not known yet
_PLAIN = (bool, int, float, str)


def documented(cls: T) -> T:
    """Marks a dataclass whose options are plain data, other such dataclasses, or lists and dicts of them."""
    # A class defined once more, in a notebook say, takes its own place.
    if _CLASSES.get(cls.__name__, cls).__module__ != cls.__module__:
        raise ConfigurationError(f"Two classes are called {cls.__name__}; model files tell classes by name.")
    _CLASSES[cls.__name__] = cls
    return cls


def to_document(value: Any, where: str) -> Any:
    """`value` as plain data; ConfigurationError where it holds a function, which is code.

    >>> to_document(gn.Dense(3, activation="tanh"), "the network")
    {'type': 'Dense', 'units': 3, 'activation': 'tanh'}
    """
    if value is None or isinstance(value, _PLAIN):
        return value
    if isinstance(value, (list, tuple)):
        return [to_document(item, where) for item in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {key: to_document(item, where) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if type(value).__name__ not in _CLASSES:
        raise ConfigurationError(
            f"{where} holds {getattr(value, '__name__', type(value).__name__)}, which is code of your own, "
            "and a model file holds data; save net.parameters, or use what glassnet knows by name."
        )
    options = {f.name: getattr(value, f.name) for f in fields(value)}
    return {"type": type(value).__name__} | {
        name: to_document(option, f"{type(value).__name__}({name})")
        for name, option in options.items()
        if not is_default(value, name)
    }


def identity_of(value: Any) -> Hashable | None:
    """A key that configurations share exactly where they are the same; None where one holds other code.

    Only what glassnet itself defines has one: who wrote a class or a function may change what it does.

    >>> identity_of(gn.Dense(3)) == identity_of(gn.Dense(3)) != identity_of(gn.Dense(4))
    True
    """
    if value is None or isinstance(value, _PLAIN):
        return type(value), value
    kind: str = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, (list, tuple)):
        parts = [identity_of(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    elif is_dataclass(value) and kind.startswith("glassnet."):
        parts = [identity_of(getattr(value, field.name)) for field in fields(value)]
    else:
        return None
    return None if None in parts else (kind, *parts)


def from_document(document: Any) -> Any:
    """What `to_document` wrote; lists come back as tuples. ModelFileError for anything else.

    >>> from_document({"type": "Dense", "units": 3, "activation": "tanh"})
    Dense(3, activation='tanh')
    """
    if isinstance(document, list):
        return tuple(from_document(item) for item in document)  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(document, dict):
        return document
    options: dict[str, Any] = {key: from_document(item) for key, item in document.items()}  # pyright: ignore[reportUnknownVariableType]
    if "type" not in options:
        return options
    kind = options.pop("type")
    if str(kind) not in _CLASSES:
        for package in _PACKAGES:
            load_all(package)
    if not isinstance(kind, str) or kind not in _CLASSES:
        raise ModelFileError(
            f"The model file describes something of type {kind!r}, which this glassnet does not know"
            f"{_nearest(str(kind))}."
        )
    try:
        return _CLASSES[kind](**options)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"The model file describes its {kind} wrongly: {error}") from None


def _nearest(kind: str) -> str:
    """Where the name of a class was perhaps misspelt: the known ones that are nearest to it."""
    near = get_close_matches(kind, _CLASSES, n=3)
    return f"; the nearest that it knows: {', '.join(near)}" if near else "; import what defines it first"


def is_default(value: Any, name: str) -> bool:
    """Whether the option `name` of a dataclass was left at its default."""
    options: dict[str, Field[Any]] = {field.name: field for field in fields(value)}
    option = options[name]
    default = option.default if option.default_factory is MISSING else option.default_factory()
    return default is not MISSING and bool(getattr(value, name) == default)
