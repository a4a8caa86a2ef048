"""What every loss is: a divergence of ONE example, its link to an output activation, and what it is for.

A cross-entropy is computed from z, fused with the activation that makes probabilities of z (its link):
softmax or sigmoid. No digits are lost, and delta = dDiv/dz is the difference p - d.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from glassnet.core.document import is_default
from glassnet.errors import ConfigurationError, ModelFileError

TARGETS = ("classes", "binary", "signs", "distribution", "counts", "values")

_CLASSES: dict[str, type[Loss]] = {}
_defaults: dict[str, Loss] = {}


@dataclass(frozen=True)
class Loss(ABC):
    """A divergence Div(prediction, target) of one example; a batch takes the mean (or sum) of its examples.

    Subclasses are frozen dataclasses whose fields are the options, each with a default. They say:

    - `name`, under which they are registered;
    - `link`, the output activation that the divergence contains ("softmax", "sigmoid"): what it takes is z
      then; None where it takes y;
    - `task`, "classification" or "regression";
    - `targets`, what a target is: "classes" (an index, or a distribution over the last axis), "binary"
      (probabilities in [0, 1], element by element), "signs" (two classes, -1 and +1), "distribution" (rows
      that sum to 1), "counts" (>= 0) or "values";
    - `formula`.

    Raises ConfigurationError for a subclass with a name that another loss has.

    >>> [loss.name for loss in LOSSES.values() if loss.link == "softmax"]
    ['cross_entropy', 'kl_divergence', 'focal']
    """

    name: ClassVar[str]
    link: ClassVar[str | None] = None
    task: ClassVar[str] = "regression"
    targets: ClassVar[str] = "values"
    formula: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            return
        known = _CLASSES.get(cls.name, cls)
        # A class defined once more, in a notebook say, takes its own place.
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise ConfigurationError(
                f"The loss {cls.__name__} has the name {cls.name!r}, which is that of {known.__qualname__}; "
                "give it another."
            )
        if cls.targets not in TARGETS:
            raise ConfigurationError(
                f"The loss {cls.__name__} says targets={cls.targets!r}; it takes one of {', '.join(TARGETS)}."
            )
        _CLASSES[cls.name] = cls
        _defaults.pop(cls.name, None)

    @abstractmethod
    def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
        """Div(prediction, target) of one example: a scalar.

        Shapes: prediction (outputs,), or (..., outputs) with positions, over which the mean is taken; with a
        mask (...) of 0 and 1, over those that count.
        """

    def to_document(self) -> str | dict[str, Any]:
        """The loss as plain data: its name, with its options where one is not the default.

        >>> gn.losses.Huber().to_document(), gn.losses.Huber(delta=2.0).to_document()
        ('huber', {'name': 'huber', 'delta': 2.0})
        """
        options = {f.name: getattr(self, f.name) for f in fields(self)}
        if all(is_default(self, option) for option in options):
            return self.name
        return {"name": self.name} | options

    @staticmethod
    def from_document(document: Any) -> Loss:
        """The loss that `to_document` wrote; a ModelFileError for anything else.

        >>> Loss.from_document({"name": "huber", "delta": 2.0})
        Huber(delta=2.0)
        """
        options = dict(document) if isinstance(document, dict) else {"name": document}
        name = options.pop("name", None)
        if not isinstance(name, str) or name not in _CLASSES:
            raise ModelFileError(
                f"The model file has the loss {name!r}, which this glassnet does not know; "
                f"it knows {', '.join(LOSSES)}."
            )
        try:
            return _CLASSES[name](**options) if options else LOSSES[name]
        except (TypeError, ConfigurationError) as error:
            raise ModelFileError(f"The model file describes its loss {name} wrongly: {error}") from None


class _Defaults(Mapping[str, Loss]):
    """Every registered loss by name, its options at their defaults; made when first asked for."""

    def __getitem__(self, name: str) -> Loss:
        if name not in _defaults:
            _defaults[name] = _CLASSES[name]()
        return _defaults[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


LOSSES: Mapping[str, Loss] = _Defaults()


def resolve(loss: str | Loss) -> Loss:
    """The loss of that name, its options at their defaults, or the loss itself; else ConfigurationError.

    >>> resolve("huber")
    Huber(delta=1.0)
    """
    if isinstance(loss, Loss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ConfigurationError(
            f"loss={loss!r} is not one of {', '.join(LOSSES)}, nor a loss such as Huber(delta=2.0)."
        )
    return LOSSES[loss]
