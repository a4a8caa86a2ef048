"""Weights of recurrent layers from other libraries, which transpose them, order gates and split biases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.gru import GRU
from glassnet.nn.layer import Parameters
from glassnet.nn.lstm import LSTM
from glassnet.nn.recurrent import Recurrent


def from_keras(layer: Recurrent, weights: Iterable[Any]) -> Parameters:
    """The layer's parameters from what Keras's layer of that name gives as `get_weights()`.

    Shapes: kernel (inputs, gates units), recurrent kernel (units, gates units) and, with use_bias, bias
    (gates units,), or (2, gates units) for a GRU with reset_after. Its GRU has the gates in the order u, r,
    n. Raises ShapeError for other shapes or another number of arrays, ConfigurationError for a peephole and
    for a layer that is not recurrent.

    >>> layer = gn.nn.SimpleRNN(1)
    >>> gn.nn.from_keras(layer, [np.ones((2, 1)), np.ones((1, 1)), np.zeros(1)])["kernel"]
    array([[1., 1.]])

    Source: Keras 3, the layers' `build`.
    """
    rows = _rows(layer, "Keras")
    shapes: list[tuple[int | None, ...]] = [(None, rows), (layer.units, rows)]
    if layer.use_bias:
        shapes.append((2, rows) if isinstance(layer, GRU) and layer.reset_after else (rows,))
    kernel, recurrent, *biases = _checked(layer, "Keras", weights, shapes)
    order = (1, 0, 2) if isinstance(layer, GRU) else tuple(range(layer.gates))
    return _assembled(layer, kernel.T, recurrent.T, np.reshape(biases, (-1, rows)), order)


def from_pytorch(layer: Recurrent, weights: Iterable[Any]) -> Parameters:
    """The layer's parameters from PyTorch's weight_ih, weight_hh and, with use_bias, bias_ih and bias_hh.

    The values of a module of one layer, `module.state_dict().values()`, stand in this order. Shapes: (gates
    units, inputs), (gates units, units), (gates units,), (gates units,); the gates stand in the same order as
    here. Its nn.RNN is SimpleRNN, its GRU has reset_after. Raises ShapeError for other shapes or another
    number of arrays, ConfigurationError for a peephole, a GRU without reset_after and a layer that is not
    recurrent.

    >>> layer = gn.nn.SimpleRNN(1)
    >>> gn.nn.from_pytorch(layer, [np.ones((1, 2)), np.ones((1, 1)), np.ones(1), np.ones(1)])["bias"]
    array([2.])

    Source: PyTorch 2, the documentation of nn.RNN, nn.LSTM and nn.GRU.
    """
    if isinstance(layer, GRU) and not layer.reset_after:
        raise ConfigurationError(f"PyTorch's GRU has reset_after, {layer!r} has not; leave out the option.")
    rows = _rows(layer, "PyTorch")
    shapes: list[tuple[int | None, ...]] = [(rows, None), (rows, layer.units)]
    if layer.use_bias:
        shapes += [(rows,), (rows,)]
    kernel, recurrent, *biases = _checked(layer, "PyTorch", weights, shapes)
    return _assembled(layer, kernel, recurrent, np.reshape(biases, (-1, rows)), tuple(range(layer.gates)))


def _rows(layer: Recurrent, library: str) -> int:
    """The rows of the layer's kernel; ConfigurationError for a layer that the library has not."""
    if not isinstance(layer, Recurrent):
        raise ConfigurationError(
            f"The weights of {library} are for a recurrent layer, such as LSTM(32); got {layer!r}."
        )
    if isinstance(layer, LSTM) and layer.peephole:
        raise ConfigurationError(f"{library}'s LSTM has no peephole, {layer!r} has; leave out the option.")
    return layer.gates * layer.units


def _checked(
    layer: Recurrent, library: str, weights: Iterable[Any], shapes: Sequence[tuple[int | None, ...]]
) -> list[NDArray]:
    """The weights as arrays; ShapeError unless they have these shapes, in which None is any number."""
    if not isinstance(weights, Iterable):
        raise ShapeError(
            f"{layer.describe()} takes a list of {len(shapes)} arrays of {library}, but got {weights!r}."
        )
    arrays = [np.asarray(array) for array in weights]
    found = [array.shape for array in arrays]
    if len(found) != len(shapes) or not all(map(_fits, found, shapes)):
        wanted = ", ".join(str(shape).replace("None", "inputs") for shape in shapes)
        listed = ", ".join(map(str, found)) or "none"
        raise ShapeError(
            f"{layer.describe()} takes arrays of {library} of the shapes {wanted}, but got {listed}: give "
            "them in this order, for a layer of the same options."
        )
    return arrays


def _fits(found: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(found) == len(wanted) and all(b in (None, a) for a, b in zip(found, wanted, strict=True))


def _assembled(
    layer: Recurrent, kernel: NDArray, recurrent: NDArray, biases: NDArray, order: Sequence[int]
) -> Parameters:
    """Parameters from kernel (rows, inputs), recurrent (rows, units), biases (0, 1 or 2, rows) in `order`."""

    def ordered(array: NDArray) -> NDArray:
        blocks = np.split(array, layer.gates)
        return np.concatenate([blocks[place] for place in order])

    parameters = {"kernel": ordered(kernel), "recurrent": ordered(recurrent)}
    if not layer.use_bias:
        return parameters
    if isinstance(layer, GRU) and layer.reset_after:
        of_input, of_state = (ordered(bias) for bias in biases)
        candidate = 2 * layer.units  # where the reset gate comes between the two biases
        merged = np.concatenate([(of_input + of_state)[:candidate], of_input[candidate:]])
        return {**parameters, "bias": merged, "recurrent_bias": of_state[candidate:]}
    return {**parameters, "bias": ordered(biases.sum(axis=0))}
