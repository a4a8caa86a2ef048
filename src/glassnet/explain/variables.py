"""The variables of a network by name, "dense_1.weight[3, 5]" or "x[7]", and where they enter."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.shape import Shape
from glassnet.core.tree import flatten, unflatten
from glassnet.errors import ConfigurationError
from glassnet.explain.chain import Chain, Stage
from glassnet.explain.paths import Entry
from glassnet.nn import Parameters
from glassnet.nn.recurrent import Recurrent
from glassnet.train.naming import named
from glassnet.transforms.batch import vmap
from glassnet.transforms.derivatives import jvp

_TEXT = re.compile(r"\s*([\w.]+)\s*(?:\[\s*(-?\d+(?:\s*,\s*-?\d+)*)\s*\])?\s*")


@dataclass(frozen=True)
class Variable:
    """One number of a network: an element of the array `name`, which is a parameter, "x" or a value."""

    name: str
    index: tuple[int, ...]
    shape: Shape

    def __str__(self) -> str:
        return element(self.name, self.index)

    @property
    def one_hot(self) -> NDArray:
        """1 where the variable stands in its array, 0 elsewhere."""
        marked = np.zeros(self.shape)
        marked[self.index] = 1.0
        return marked


def element(name: str, index: tuple[int, ...]) -> str:
    """An element's name: "dense_1.weight[3, 5]"."""
    return f"{name}[{', '.join(map(str, index))}]" if index else name


def read_variable(text: str, shapes: Mapping[str, Shape], what: str) -> Variable:
    """The variable of that name; ConfigurationError for one that is not there, with those that are."""
    match = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if match is None or match[1] not in shapes:
        known = ", ".join(f"{name}{list(shape)}" if shape else name for name, shape in shapes.items())
        raise ConfigurationError(
            f"{what}={text!r} names nothing in this network; it takes an element such as "
            f'"{_example(shapes)}" of {known} (the brackets here give the shapes).'
        )
    name, shape = match[1], shapes[match[1]]
    index = tuple(map(int, match[2].split(","))) if match[2] else ()
    inside = len(index) == len(shape) and all(-n <= i < n for i, n in zip(index, shape, strict=False))
    if not inside:
        ranges = ", ".join(f"0 to {size - 1}" for size in shape)
        takes = f"{len(shape)} indices ({ranges})" if len(shape) != 1 else f"one index ({ranges})"
        raise ConfigurationError(
            f"{what}={text!r} is outside {name}, which has shape {shape} and takes {takes}."
        )
    return Variable(name, tuple(i % n for i, n in zip(index, shape, strict=True)), shape)


def _example(shapes: Mapping[str, Shape]) -> str:
    name, shape = next(iter(shapes.items()))
    return element(name, tuple(0 for _ in shape))


def entries(chain: Chain, variable: Variable) -> list[tuple[int, list[Entry]]]:
    """Where the variable enters the chain: numbers of stages, each with the ways in which it enters there.

    A parameter of a recurrent layer enters once at every time step, one of a shared layer at each place.
    """
    found: list[tuple[int, list[Entry]]] = []
    for number, stage in enumerate(chain.stages):
        before = "x" if number == 0 else chain.stages[number - 1].title
        if before == variable.name:
            slopes = jvp(stage.of_input, (stage.before,), (variable.one_hot,))[1]
            found.append((number, [_entry(str(variable), slopes)]))
        elif variable.name.startswith(f"{stage.name}."):
            found.append((number, _of_parameter(stage, variable)))
    return [(number, ways) for number, ways in found if ways]


def _of_parameter(stage: Stage, variable: Variable) -> list[Entry]:
    names = list(named(stage.own, f"{stage.name}."))
    if variable.name not in names:
        return []
    leaves, structure = flatten(stage.own)
    place = names.index(variable.name)

    def moved(by: Any) -> Parameters:
        changed = leaves[place] + by * variable.one_hot
        return unflatten(structure, [*leaves[:place], changed, *leaves[place + 1 :]])

    layer = stage.layer
    if not isinstance(layer, Recurrent):

        def made(by: Any) -> Any:
            return stage.function(moved(by), stage.before)

        return [_entry(str(variable), jvp(made, (np.float64(0),), (np.float64(1),))[1])]
    by_step = _by_step(layer, stage, moved)
    return [_entry(f"{variable} at step {step}", slopes) for step, slopes in enumerate(by_step)]


def _by_step(layer: Recurrent, stage: Stage, moved: Callable[[Any], Parameters]) -> NDArray:
    """d after / d the parameter as it is used at each step alone: (steps, *after.shape).

    What a step adds is carried on by all later ones, in which the parameter stands still.
    """
    count = len(stage.before)
    state = layer.initial_state(stage.before.dtype)
    carried: Any = tuple(np.zeros((count, *one.shape)) for one in state)  # d state / d each use
    outputs = np.zeros((count, count, layer.units))  # (uses, positions, units)

    def after(by: Any, state: Any, x: Any, mask: Any) -> Any:
        return layer.unroll(moved(by), x, state, mask)[1]

    for step in range(count)[::-1] if layer.go_backwards else range(count):
        here = slice(step, step + 1)
        mask = None if stage.mask is None else stage.mask[here]
        advance = partial(after, x=stage.before[here], mask=mask)
        carried = tuple(np.array(one) for one in vmap(partial(_carry, advance, state))(carried))
        start = np.float64(0), state
        state, new = jvp(advance, start, (np.float64(1), tuple(np.zeros_like(one) for one in state)))
        for tangents, own in zip(carried, new, strict=True):
            tangents[step] = own
        outputs[:, step] = carried[0]
    return outputs if layer.return_sequences else carried[0]


def _carry(advance: Callable[[Any, Any], Any], state: Any, tangents: Any) -> Any:
    return jvp(partial(advance, 0.0), (state,), (tangents,))[1]


def _entry(name: str, slopes: Any) -> Entry:
    return Entry(name, np.asarray(slopes).reshape(-1))
