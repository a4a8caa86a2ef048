"""A network as what it is: a composition of functions, layers in a row and the loss at their end.

Everything here is pure in the parameters, a dict with one dict of arrays for each layer, and in the
statistics, the same for what layers keep from batch to batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.dtype import DType, NDArray
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.core.tree import flatten, tree_map
from glassnet.errors import ConfigurationError, DataError
from glassnet.losses import Loss, Poisson, max_norm
from glassnet.nn import Layer, Parameters, Run, Sequential
from glassnet.nn.activations import ACTIVATIONS, name_of, resolve
from glassnet.transforms.batch import vmap

_PROBABILITIES = ("softmax", "sigmoid")
_FROM_0_TO_1 = ("softmax", "sigmoid", "hard_sigmoid", "sparsemax", "gaussian")
_AT_LEAST_0 = (*_FROM_0_TO_1, "relu", "relu6", "softplus", "exponential", "square")
_TRANSPARENT = ("Activation", "Dropout", "Flatten", "Reshape")  # they hand on what a softmax before them made


@dataclass(frozen=True)
class Composition:
    """Layers and a loss that fit each other.

    Where the loss contains the output activation (its link), `network` ends in z.

    >>> Composition.of([gn.Dense(2, activation="softmax")], gn.losses.resolve("cross_entropy")).network
    Sequential((Dense(2),))
    """

    network: Sequential
    loss: Loss
    reduction: str = "mean"

    @staticmethod
    def of(layers: Sequence[Layer], loss: Loss, reduction: str = "mean") -> Composition:
        """The composition of `layers` and `loss`; ConfigurationError where they do not fit."""
        network, last = Sequential(tuple(layers)), layers[-1]
        if loss.link is None:
            _refuse_scores(network, loss)
            return Composition(network, loss, reduction)
        activation = resolve(last.output_activation, last.kind)
        if activation is ACTIVATIONS[loss.link]:
            network = network.with_output_activation("identity")
        elif activation is not ACTIVATIONS["identity"]:
            raise ConfigurationError(
                f"The loss {loss.name} contains the output activation {loss.link}, but the last layer, "
                f"{network.names[-1]}, is {last.describe()}; "
                f'give it activation="{loss.link}" or none.'
            )
        _refuse_twice(network, loss)
        return Composition(network, loss, reduction)

    @property
    def names(self) -> list[str]:
        """The layers' names: "dense_1", "dense_2", ..."""
        return self.network.names

    @property
    def link(self) -> Any:
        """The function that makes the output of what goes into the loss."""
        return ACTIVATIONS[self.loss.link or "identity"]

    def output_shape(self, input_shape: Shape) -> Shape:
        """The shape of one example's output.

        Raises ShapeError where a layer does not take its input, ConfigurationError for a softmax of one.
        """
        shape = self.network.output_shape(input_shape)
        last = self.network.layers[-1]
        inside, own = self.loss.link == "softmax", last.output_activation
        if shape[-1:] == (1,) and (inside or resolve(own, last.kind) is ACTIVATIONS["softmax"]):
            mends = 'end it with one output a class, or use loss="binary_cross_entropy"'
            if self.loss.task == "regression":
                mends = f'give {self.names[-1]} another activation, such as "sigmoid", or none'
            raise ConfigurationError(
                "The network ends in one output, and the softmax of "
                f"{self.loss.name if inside else self.names[-1]} makes it always 1; {mends}."
            )
        return shape

    def table(self, input_shape: Shape, parameters: Parameters) -> list[tuple[str, str, Shape, int]]:
        """A row for each layer: name, description, output shape, number of parameters."""
        last = self.network.layers[-1]
        described = [layer.describe() for layer in self.network.layers]
        if self.loss.link and isinstance(last.output_activation, str):
            try:
                described[-1] = last.with_output_activation(self.loss.link).describe()
            except ConfigurationError:
                described[-1] += f" + {self.loss.link}"
        # A layer that stands twice has its parameters once.
        first = [name not in self.names[:place] for place, name in enumerate(self.names)]
        counts = [
            sum(leaf.size for leaf in flatten(parameters[name])[0]) if counted else 0
            for name, counted in zip(self.names, first, strict=True)
        ]
        shapes = self.network.shapes(input_shape)
        return list(zip(self.names, described, shapes, counts, strict=True))

    def init(self, key: Key, input_shape: Shape, dtype: DType) -> tuple[Parameters, Parameters]:
        """Fresh parameters, each layer with random numbers of its own, and the statistics to begin with."""
        parameters = self.network.init(key, input_shape, dtype)
        for name, layer in self.network.parts.items():
            if (layer.regularizer or layer.max_norm) and not flatten(parameters[name])[0]:
                raise ConfigurationError(
                    f"{name}, {layer!r}, has no parameters for its regularizer or max_norm to act on; give "
                    "them to a layer that has."
                )
        return parameters, self.network.init_statistics(input_shape, dtype)

    def check_rows(self, X: NDArray, name: str = "X") -> None:
        """DataError where rows hold what the layer that is given them does not take as numbers."""
        try:
            self.network.check(X)
        except DataError as error:
            raise DataError(f"{name} does not suit {self.names[0]}: {error}") from None

    # -- one example

    def into_loss(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """What the loss takes of one example: the last z where it has a link, else the last y."""
        return self.network(parameters, x, run)

    def output(self, parameters: Parameters, statistics: Parameters, x: Any) -> Any:
        """The network's output for one example: probabilities for a classifier."""
        return self.link(self.into_loss(parameters, x, Run(statistics=statistics)))

    def divergence(self, parameters: Parameters, x: Any, target: Any, run: Run) -> Any:
        """Div(output, target) of one example; a target that is a whole number is the index of a class."""
        return self.divergence_of(self.into_loss(parameters, x, run), target, run)

    def divergence_of(self, last: Any, target: Any, run: Run) -> Any:
        """Div of one example from what the pass `run` has brought into the loss."""
        if run.mask is not None and last.ndim > 1 and run.mask.shape == last.shape[:-1]:
            return self.loss.divergence(last, target, run.mask)
        return self.loss.divergence(last, target)

    def divergence_in_use(self, parameters: Parameters, statistics: Parameters, x: Any, target: Any) -> Any:
        """Div(output, target) of one example, with the network as it is used, not as it is trained."""
        return self.divergence(parameters, x, target, Run(statistics=statistics))

    def output_and_divergence(
        self, parameters: Parameters, statistics: Parameters, x: Any, target: Any
    ) -> tuple[Any, Any]:
        """`output` and `divergence_in_use` of one example, from one pass."""
        run = Run(statistics=statistics)
        last = self.into_loss(parameters, x, run)
        return self.link(last), self.divergence_of(last, target, run)

    # -- a batch

    def divergences(
        self,
        parameters: Parameters,
        statistics: Parameters,
        x: Any,
        target: Any,
        weight: Any = None,
        key: Key | None = None,
    ) -> tuple[Any, Parameters]:
        """Every example's divergence (rows,) in training, and the new statistics.

        Shapes: x (rows, ...), target (rows, ...); `weight` (rows,) is 0 for rows that only fill the batch
        up; the steps of the key (rows,) number the examples of the run: each draws numbers of its own.
        """

        def of_one(x: Any, target: Any, weight: Any, number: Any) -> Any:
            chance = None if key is None else key.at(number)
            run = Run(training=True, key=chance, weight=weight, statistics=statistics)
            value = self.divergence(parameters, x, target, run)
            return value, _replaced(statistics, run.record.kept, ())

        each, kept = vmap(of_one)(x, target, weight, None if key is None else key.step)
        # What is kept is the same for every example of the batch.
        return each, tree_map(lambda leaf: leaf[0], kept)

    def outputs(self, parameters: Parameters, statistics: Parameters, X: Any) -> Any:
        """The network's outputs for rows X (rows, ...)."""
        return vmap(self.output, in_axes=(None, None, 0))(parameters, statistics, X)

    @property
    def regularized(self) -> bool:
        """Whether any layer has a regulariser."""
        return any(layer.regularizer is not None for layer in _all(self.network))

    @property
    def constraint(self) -> Callable[[Parameters], Parameters] | None:
        """The projection of the parameters after every update, where a layer has a max_norm."""
        if all(layer.max_norm is None for layer in _all(self.network)):
            return None
        return lambda parameters: _constrained(self.network, parameters, None)

    def penalty(self, parameters: Parameters) -> Any:
        """lambda R(W, b): what the regularisers add to the loss."""
        return self.network.penalty(parameters)

    def batch_loss(
        self, each: Any, parameters: Parameters, weight: Any = None, importance: Any = None
    ) -> Any:
        """The loss of a batch: the mean (or sum) of its divergences, and the penalty.

        `importance` (rows,) multiplies the divergences; where a mean is taken its own over the data is 1.
        """
        if importance is not None:
            each = each * importance
        rows = float(each.shape[0]) if weight is None else gnp.sum(weight)
        total = gnp.sum(each if weight is None else each * weight)
        loss = total if self.reduction == "sum" else total / rows
        penalty = self.penalty(parameters)
        return loss if isinstance(penalty, float) and penalty == 0.0 else loss + penalty

    def loss_in_use(
        self, parameters: Parameters, statistics: Parameters, X: Any, target: Any, importance: Any = None
    ) -> Any:
        """The loss of rows with the network as it is used: no chance, the statistics as they are."""
        each = vmap(self.divergence_in_use, in_axes=(None, None, 0, 0))(parameters, statistics, X, target)
        return self.batch_loss(each, parameters, None, importance)


def _all(layer: Layer) -> Iterator[Layer]:
    yield layer
    for part in layer.parts.values():
        yield from _all(part)


def _constrained(layer: Layer, parameters: Parameters, limit: float | None) -> Parameters:
    """The weights of a layer and of its parts within the largest norms that they were given."""
    limit = layer.max_norm or limit
    return {
        name: _constrained(layer.parts[name], own, limit)
        if name in layer.parts
        else own
        if limit is None or own.ndim < 2
        else max_norm(own, limit)
        for name, own in parameters.items()
    }


def _replaced(statistics: Parameters, kept: dict[tuple[str, ...], Any], path: tuple[str, ...]) -> Parameters:
    """The statistics with what a pass has kept in the place of the old values."""
    return {
        name: _replaced(old, kept, (*path, name)) if isinstance(old, dict) else kept.get((*path, name), old)
        for name, old in statistics.items()
    }


def _refuse_scores(network: Sequential, loss: Loss) -> None:
    """ConfigurationError where a loss of probabilities or rates follows an activation that makes none."""
    last = network.layers[-1]
    activation = getattr(last, "activation", None)  # what makes no choice of one may make anything
    other = loss.name.removesuffix("_from_probabilities")
    if other != loss.name and isinstance(activation, str) and activation not in _FROM_0_TO_1:
        raise ConfigurationError(
            f"The loss {loss.name} takes probabilities, but the last layer, {network.names[-1]}, is "
            f'{last.describe()}; use loss="{other}", which makes them of z, or another activation.'
        )
    rates = isinstance(loss, Poisson) and not loss.log_rate
    if rates and activation is not None and name_of(activation) not in (None, *_AT_LEAST_0):
        raise ConfigurationError(
            f"{loss!r} takes rates, but the last layer, {network.names[-1]}, is {last.describe()}, and "
            'negative rates have no logarithm; give it activation="softplus" or "exponential", or use '
            "log_rate=True, which takes the logarithms."
        )


def _refuse_twice(network: Sequential, loss: Loss) -> None:
    """ConfigurationError where the layers before the last already made probabilities of z."""
    for name, layer in reversed(list(zip(network.names, network.layers, strict=True))):
        activation = resolve(layer.output_activation, layer.kind)
        twice = [a for a in _PROBABILITIES if activation is ACTIVATIONS[a]]
        if twice and layer is not network.layers[-1]:
            raise ConfigurationError(
                f"The loss {loss.name} applies {loss.link} to z, but {name} has applied {twice[0]} before: "
                f"probabilities would be squashed twice; take the activation out of {name}."
            )
        if layer.kind not in _TRANSPARENT:
            return
