"""One pass forward and back over rows: every layer's z, y and delta, and every row's gradient norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import NDArray
from glassnet.core.tree import flatten
from glassnet.errors import GlassnetError
from glassnet.execute import run
from glassnet.nn import Layer, Run, Sequential
from glassnet.nn.run import Path, Record
from glassnet.train.composition import Composition
from glassnet.train.evaluation import Model
from glassnet.train.naming import named
from glassnet.train.prediction import RowProgram
from glassnet.transforms.derivatives import grad, value_and_grad
from glassnet.transforms.tracing import trace


@dataclass(frozen=True)
class LayerPass:
    """One layer over rows: z, y and delta (rows, ...); z is None for a layer without one."""

    name: str
    layer: Layer
    z: NDArray | None
    y: NDArray
    delta: NDArray

    @property
    def units(self) -> NDArray:
        """y with one column a unit (rows and positions, units): the last axis holds the units."""
        return self.y.reshape(-1, self.y.shape[-1]) if self.y.ndim > 1 else self.y[:, None]

    @property
    def delta_norms(self) -> NDArray:
        """The Euclidean norm of each row's delta (rows,)."""
        return norms(self.delta)


@dataclass(frozen=True)
class Pass:
    """A network on rows: what goes into the loss, divergences, layers, and the gradient.

    Shapes: last (rows, ...), divergence (rows,), x_bar like X; `squares` has each row's squared gradient norm
    for each parameter array, (rows, arrays), `gradient` the mean gradient by name.
    """

    last: NDArray
    divergence: NDArray
    x_bar: NDArray
    layers: tuple[LayerPass, ...]
    squares: NDArray
    gradient: dict[str, NDArray]

    @property
    def finite(self) -> bool:
        """Whether the loss and its derivatives are finite on every row."""
        return bool(np.isfinite(self.divergence).all() and np.isfinite(self.squares).all())


def norms(rows: NDArray) -> NDArray:
    """The Euclidean norm of every row (rows, ...), in float64."""
    return np.sqrt(np.square(rows.reshape(len(rows), -1), dtype=np.float64).sum(axis=1))


def walk(layer: Sequential, path: Path = ()) -> Iterator[tuple[Path, Layer]]:
    """The layers of a network in order, those of a row inside a row in its place."""
    for name, part in layer.parts.items():
        if isinstance(part, Sequential):
            yield from walk(part, (*path, name))
        else:
            yield (*path, name), part


def look(composition: Composition, model: Model, X: NDArray, target: NDArray) -> Pass:
    """The pass of a model over rows X (rows, ...) with encoded targets, as the network is used.

    Values that are not finite are left in; a layer that raises for its values raises here too.
    """
    found = list(walk(composition.network))
    with_z: set[Path] = set()  # told by the pass itself

    def of_one(parameters: Any, statistics: Any, x: Any, target: Any) -> list[Any]:
        shown = Run(statistics=statistics)
        last = composition.into_loss(parameters, x, shown)
        seen = shown.record.seen
        with_z.update(path for path, _ in found if (*path, "z") in seen)
        places = [(*path, "z") if (*path, "z") in seen else path for path, _ in found]

        def divergence(probes: list[Any], x: Any, parameters: Any) -> Any:
            record = Record(probes=dict(zip(places, probes, strict=True)))
            return composition.divergence(parameters, x, target, Run(statistics=statistics, record=record))

        probes = [gnp.zeros_like(seen[place]) for place in places]
        value, (deltas, x_bar, slopes) = value_and_grad(divergence, (0, 1, 2))(probes, x, parameters)
        squares = [gnp.sum(gnp.square(leaf)) for leaf in flatten(slopes)[0]]
        zs = [seen[place] for place in places]
        return [last, value, x_bar, gnp.stack(squares), *zs, *(seen[path] for path, _ in found), *deltas]

    with np.errstate(all="ignore"):
        last, value, x_bar, squares, *rest = RowProgram(of_one, "interpreter")(model, X, target)
        gradient = _gradient(composition.loss_in_use, model, X, target)
    count = len(found)
    # A layer without a z of its own is probed at y, which then stands among the zs as well.
    layers = (
        LayerPass(".".join(path), layer, z if path in with_z else None, y, delta)
        for (path, layer), z, y, delta in zip(
            found, rest[:count], rest[count : 2 * count], rest[2 * count :], strict=True
        )
    )
    return Pass(last, value, x_bar, tuple(layers), squares, gradient)


def _gradient(loss: Callable[..., Any], model: Model, X: NDArray, target: NDArray) -> dict[str, NDArray]:
    graph, _ = trace(grad(loss), *model, X, target)
    arrays = run(graph, [*(leaf for part in model for leaf in flatten(part)[0]), X, target], "interpreter")
    return dict(zip(named(model[0]), arrays, strict=True))


def look_or_say(
    composition: Composition, model: Model, X: NDArray, target: NDArray
) -> tuple[Pass | None, str]:
    """The pass, or None and what a layer says to the values that it does not take."""
    try:
        return look(composition, model, X, target), ""
    except GlassnetError as error:
        return None, str(error)
