"""Attention: every position reads from all others, each as much as its key fits the position's query."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from numbers import Real
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet import random
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn import initializers
from glassnet.nn.initializers import Initializer
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class MultiHeadAttention(Layer):
    """Several attentions side by side, each on its own projections of the input, and their results joined.

        head_i = softmax(Q_i K_i^T / sqrt(key_units)) V_i,   Q = x W_q^T + b_q, K and V alike
        y = [head_1 ... head_h] W_o^T + b_o

    Parameters: query, key and value (heads key_units, inputs), output (units, heads key_units) and, unless
    `use_bias` is off, query_bias, key_bias, value_bias and output_bias; head i has the i-th block of
    key_units rows. Three matrices, not one fused: so the same parameters serve both kinds of attention.
    `units` is the number of features unless given, `key_units` (of each head's queries, keys and values) is
    features / heads. `kernel_initializer` is for the matrices; biases start at zero.

    Shapes: self-attention x (positions, features) -> (positions, units). Cross attention x is a pair, queries
    (positions, features) and memory (positions of its own, features of its own), or those two and the
    memory's mask (its positions,) of booleans or None -> (query positions, units).

    `causal` lets a position see itself and those before it. Positions that the mask of the run (in cross
    attention that of the memory) takes out get weight 0; where nothing is left to see every head gives
    zeros, so y = b_o. In training `dropout` is the rate at which single weights are dropped.

    Raises ConfigurationError for sizes that are not positive whole numbers, a rate outside 0 <= dropout < 1,
    an unknown initialiser, and for causal cross attention; ShapeError for examples that are no sequences, or
    whose features the heads do not divide while `key_units` is not given.

    >>> layer = gn.nn.MultiHeadAttention(1, use_bias=False)
    >>> one = np.ones((1, 1))
    >>> parameters = {"query": 0 * one, "key": one, "value": one, "output": one}
    >>> layer(parameters, np.array([[1.0], [2.0], [6.0]]))  # a query of zero reads from all alike
    array([[3.],
           [3.],
           [3.]])

    Source: Vaswani et al., "Attention is all you need", NeurIPS (2017), section 3.2.
    """

    heads: int
    units: int | None = None
    key_units: int | None = None
    use_bias: bool = True
    causal: bool = False
    dropout: float = 0.0
    kernel_initializer: str | Initializer = "glorot_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("heads")
        self.require_whole(*(name for name in ("units", "key_units") if getattr(self, name) is not None))
        initializers.resolve(self.kernel_initializer, self.kind)
        if not isinstance(self.dropout, Real) or isinstance(self.dropout, bool) or not 0 <= self.dropout < 1:
            raise ConfigurationError(
                f"{self.kind} got dropout={self.dropout!r}; it takes a number with 0 <= dropout < 1."
            )

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh query, key, value and output, and their biases."""
        queries, memory = self._sequences(in_shape)
        width, units = self.heads * self._width(queries), self.units or queries[-1]
        initializer = initializers.resolve(self.kernel_initializer, self.kind)
        shapes = {
            "query": (width, queries[-1]),
            "key": (width, memory[-1]),
            "value": (width, memory[-1]),
            "output": (units, width),
        }
        parameters: Parameters = {
            name: initializer(key.fold(number), shape, dtype)
            for number, (name, shape) in enumerate(shapes.items())
        }
        if self.use_bias:
            parameters |= {f"{name}_bias": np.zeros(shape[0], dtype) for name, shape in shapes.items()}
        return parameters

    def output_shape(self, in_shape: Shape) -> Shape:
        """(positions, units) for a sequence, or for the queries of a pair."""
        queries, _ = self._sequences(in_shape)
        self._width(queries)
        return (queries[0], self.units or queries[-1])

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """What each position reads, head beside head, and their mixture."""
        queries, memory, mask = _taken_apart(x) if isinstance(x, (tuple, list)) else (x, x, run.mask)
        query = self._projected(parameters, "query", queries)
        key, value = (self._projected(parameters, name, memory) for name in ("key", "value"))
        if self.causal:
            earlier = np.tri(queries.shape[0], dtype=np.bool_)  # (queries, keys)
            mask = earlier if mask is None else gnp.logical_and(earlier, mask)
        weights = run.see("weights", attention_weights(query, key, mask))
        if run.training and self.dropout:
            chance = run.chance(self.kind)
            weights = weights * random.dropout_mask(chance, weights.shape, self.dropout, weights.dtype)
        read = _weighted_sum(weights, value)  # (queries, heads, key_units)
        y = gnp.reshape(read, (queries.shape[0], -1)) @ gnp.transpose(parameters["output"])
        return y + parameters["output_bias"] if self.use_bias else y

    def _projected(self, parameters: Parameters, name: str, x: Any) -> Any:
        """(positions, heads, key_units) of x (positions, inputs)."""
        z = x @ gnp.transpose(parameters[name])
        if self.use_bias:
            z = z + parameters[f"{name}_bias"]
        return gnp.reshape(z, (x.shape[0], self.heads, -1))

    def _sequences(self, in_shape: Any) -> tuple[Shape, Shape]:
        """The shapes of the queries and of the memory."""
        pair = isinstance(in_shape[0], tuple) if in_shape else False
        queries, memory = in_shape[:2] if pair else (in_shape, in_shape)
        if pair and self.causal:
            raise ConfigurationError(
                f"{self.kind} got causal=True for a pair of queries and memory, whose positions have no "
                "common order; leave causal out, or mask the memory."
            )
        if len(queries) != 2 or len(memory) != 2:
            raise self.refuse(
                in_shape,
                "sequences (positions, features) or a pair of such",
                "reshape X to (rows, positions, features), or put an Embedding in front",
            )
        return queries, memory

    def _width(self, queries: Shape) -> int:
        """key_units, or what makes the heads together as wide as the input."""
        if self.key_units is None and queries[-1] % self.heads:
            raise self.refuse(
                queries,
                f"sequences whose features {self.heads} heads divide",
                "take a number of heads that does, give key_units=, or put a Dense in front",
            )
        return self.key_units or queries[-1] // self.heads


def attention_weights(query: Any, key: Any, mask: Any = None) -> Any:
    """How much each query reads from each key: softmax(Q K^T / sqrt(width)), every row sums to 1.

    Shapes: query (queries, ..., width), key (keys, ..., width) -> (..., queries, keys); the axes between,
    such as heads, are treated alike. `mask` of booleans broadcasts to the result: where it is False the
    weight is 0, and a row without any True is all zeros. Raises ShapeError for widths that differ.

    >>> attention_weights(np.array([[0.0]]), np.array([[1.0], [2.0]]), np.array([True, False]))
    array([[1., 0.]])

    Source: Vaswani et al., NeurIPS (2017), equation 1.
    """
    scaled = query * (1.0 / sqrt(query.shape[-1]))
    scores = gnp.einsum("q...d,k...d->...qk", scaled, key)
    if mask is None:
        return gnp.softmax(scores)
    # NOTE -inf would make NaN of a row that sees nothing; half of the least number stays finite in softmax.
    least = float(np.finfo(scores.dtype).min) / 2
    return gnp.where(mask, gnp.softmax(gnp.where(mask, scores, least)), 0.0)


def scaled_dot_product_attention(query: Any, key: Any, value: Any, mask: Any = None) -> Any:
    """Attention as a plain function: softmax(Q K^T / sqrt(width)) V.

    Shapes: query (queries, ..., width), key (keys, ..., width), value (keys, ..., features) -> (queries, ...,
    features); the axes between, such as heads, are treated alike. `mask` is that of `attention_weights`; a
    query that sees nothing reads zeros. Raises ShapeError for shapes that do not fit together.

    >>> scaled_dot_product_attention(np.zeros((1, 2)), np.eye(2), np.array([[1.0], [3.0]]))
    array([[2.]])

    Source: Vaswani et al., NeurIPS (2017), equation 1.
    """
    return _weighted_sum(attention_weights(query, key, mask), value)


def _weighted_sum(weights: Any, value: Any) -> Any:
    return gnp.einsum("...qk,k...d->q...d", weights, value)


def _taken_apart(x: Any) -> tuple[Any, Any, Any]:
    """Queries, memory and the memory's mask."""
    if len(x) not in (2, 3):
        raise ShapeError(
            f"MultiHeadAttention got {len(x)} arrays; it takes one sequence, or queries and memory, or those "
            "two and the memory's mask."
        )
    return (*x, None) if len(x) == 2 else tuple(x)
