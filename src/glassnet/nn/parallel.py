"""Parallel, Add and Multiply: several layers on one input, and one output made of theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.container import Container
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run

MERGES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "concatenate": lambda outputs: gnp.concatenate(outputs, axis=-1),
    "add": lambda outputs: reduce(gnp.add, outputs),
    "multiply": lambda outputs: reduce(gnp.multiply, outputs),
    "average": lambda outputs: reduce(gnp.add, outputs) / len(outputs),
    "maximum": lambda outputs: reduce(gnp.maximum, outputs),
}


@dataclass(frozen=True, repr=False)
class Parallel(Container):
    """Branches that all see the same x: y = merge(f_1(x), ..., f_N(x)).

    `merge` is "concatenate" (along the last axis), "add", "multiply", "average" or "maximum" (element by
    element; of equal outputs the first takes the derivative). Parameters: those of each branch under its
    name, "dense_1", "dense_2"; a branch of several layers is a Sequential.

    Shapes: x (...) -> that of each branch; concatenated, their last axes add up. Masks: every branch sees
    the mask of x; after the merge a position counts where it counts in all branches.

    Raises ConfigurationError for an unknown merge and as Sequential does; ShapeError where the outputs of
    the branches do not fit together: nothing broadcasts.

    >>> layer = gn.nn.Parallel([gn.nn.PReLU(), gn.nn.Maxout(2)], merge="concatenate")
    >>> layer.output_shape((4,))
    (6,)

    Source: the distributed chain rule: the derivative with respect to x is the sum over the branches.
    """

    layers: Sequence[Layer]
    merge: str = "concatenate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.merge not in MERGES:
            raise ConfigurationError(
                f"{self.kind} got merge={self.merge!r}; it takes one of {', '.join(MERGES)}."
            )

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """The parameters of each branch; each has random numbers of its own."""
        self.output_shape(in_shape)
        return {
            name: layer.init(key.fold(number), in_shape, dtype)
            for number, (name, layer) in enumerate(self.parts.items())
        }

    def init_statistics(self, in_shape: Shape, dtype: DType) -> Parameters:
        """The statistics of the branches that keep any."""
        kept = {name: layer.init_statistics(in_shape, dtype) for name, layer in self.parts.items()}
        return {name: own for name, own in kept.items() if own}

    def output_shape(self, in_shape: Shape) -> Shape:
        """The shape of the merged outputs."""
        shapes = [layer.output_shape(in_shape) for layer in self.layers]
        joined = self.merge == "concatenate"
        # What has to be equal; an output without axes has no last one to leave out.
        forms = {(len(shape), shape[:-1] if joined else shape) for shape in shapes}
        if len(forms) > 1 or (joined and () in shapes):
            listed = ", ".join(f"{name} {shape}" for name, shape in zip(self.names, shapes, strict=True))
            wanted = "one shape but for the last axis" if joined else "one shape"
            raise ShapeError(
                f"{self.describe()} with merge={self.merge!r} takes branches of {wanted}, but for "
                f"examples of shape {in_shape} they give {listed}: give their last layers equal sizes."
            )
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes)) if joined else shapes[0]

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """All branches on x, merged."""
        before = run.mask
        outputs: list[Any] = []
        masks: list[Any] = []
        for name, layer in zip(self.names, self.layers, strict=True):
            run.set_mask(before)
            outputs.append(run.see(name, layer(parameters[name], x, run.inside(name))))
            masks.append(run.mask)
        run.set_mask(_common(masks))
        return MERGES[self.merge](outputs)

    def check(self, x: Any) -> None:
        """Asks every branch."""
        for layer in self.layers:
            layer.check(x)


@dataclass(frozen=True, repr=False)
class Add(Parallel):
    """The sum of branches on the same x: y = f_1(x) + ... + f_N(x), a Parallel with merge="add".

    >>> layer = gn.nn.Add([gn.nn.PReLU(initial_slope=1.0), gn.nn.PReLU(initial_slope=2.0)])
    >>> parameters = layer.init(gn.random.key(0), (2,), np.dtype("float64"))
    >>> layer(parameters, np.array([-1.0, 3.0]))
    array([-3.,  6.])
    """

    merge: str = field(default="add", init=False)


@dataclass(frozen=True, repr=False)
class Multiply(Parallel):
    """The product of branches on the same x, y = f_1(x) f_2(x) ..., a gate: Parallel with merge="multiply".

    dy/df_1 = f_2(x): the one decides how much of the other, and of its derivative, passes.
    Multiply([Dense(8), Dense(8, activation="sigmoid")]) is the gated linear unit.

    >>> layer = gn.nn.Multiply([gn.Dense(1), gn.Dense(1, activation="sigmoid")])
    >>> open = {"weight": np.array([[2.0]]), "bias": np.array([0.0])}
    >>> shut = {"weight": np.array([[0.0]]), "bias": np.array([-50.0])}
    >>> [layer({"dense_1": open, "dense_2": gate}, np.array([3.0])).round(3) for gate in (open, shut)]
    [array([5.985]), array([0.])]

    Source: Dauphin, Fan, Auli and Grangier, ICML (2017), equation 1.
    """

    merge: str = field(default="multiply", init=False)


def _common(masks: Sequence[Any]) -> Any:
    """Where all masks hold; branches that left the mask alone have one and the same."""
    different = list({id(mask): mask for mask in masks if mask is not None}.values())
    return reduce(gnp.logical_and, different) if different else None
