"""Positions: what tells attention, which sees a set, the order of a sequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from glassnet.core.dtype import DType, NDArray
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.nn import initializers
from glassnet.nn.initializers import Initializer
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


class Positions(Layer):
    """Base of the layers that add a vector to each position of a sequence: y_p = x_p + e_p."""

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        if len(in_shape) != 2:
            raise self.refuse(
                in_shape,
                "sequences (positions, features)",
                "reshape X to (rows, positions, features), or put an Embedding in front",
            )
        return in_shape


@dataclass(frozen=True, repr=False)
class SinusoidalPositions(Positions):
    """Waves of the position, from fast to slow, added to the features.

        y[p, 2i] = x[p, 2i] + sin(p / base^(2i / features)),   y[p, 2i + 1] = x[p, 2i + 1] + cos(the same)

    p counts from 0; an odd number of features ends in a sine. Sine and cosine alternate as in the paper;
    others put all sines first. There are no parameters and no longest sequence. The paper multiplies x by
    sqrt(features) before; this layer does not.

    Shapes: x (positions, features) -> (positions, features). Raises ConfigurationError for a base that is
    not a positive number, ShapeError for examples that are no sequences.

    >>> gn.nn.SinusoidalPositions()({}, np.zeros((3, 2))).round(3)
    array([[ 0.   ,  1.   ],
           [ 0.841,  0.54 ],
           [ 0.909, -0.416]])

    Source: Vaswani et al., "Attention is all you need", NeurIPS (2017), section 3.5.
    """

    base: float = 10000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("base")

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x + e."""
        return x + self.encoding(*self.output_shape(x.shape)).astype(x.dtype)

    def encoding(self, positions: int, features: int) -> NDArray:
        """e (positions, features), in float64."""
        feature = np.arange(features)
        angle = np.arange(positions)[:, None] / self.base ** ((feature - feature % 2) / features)
        return np.where(feature % 2 == 0, np.sin(angle), np.cos(angle))


@dataclass(frozen=True, repr=False)
class LearnedPositions(Positions):
    """A learnt vector for each position, added to the features: y_p = x_p + W_p.

    Parameters: weight W (length, features), a row for each position, "uniform" (+-0.05) unless an initialiser
    is given. Shapes: x (positions, features) -> (positions, features), with at most `length` positions; a
    shorter sequence takes the first rows.

    Raises ConfigurationError for a length that is not a positive whole number and an unknown initialiser;
    ShapeError for examples that are no sequences, or longer than `length`.

    >>> layer = gn.nn.LearnedPositions(3)
    >>> layer({"weight": np.array([[1.0], [2.0], [3.0]])}, np.zeros((2, 1)))
    array([[1.],
           [2.]])

    Source: Gehring et al., ICML (2017), section 3.1.
    """

    length: int
    initializer: str | Initializer = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("length")
        initializers.resolve(self.initializer, self.kind)

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh weight (length, features)."""
        _, features = self.output_shape(in_shape)
        initializer = initializers.resolve(self.initializer, self.kind)
        return {"weight": initializer(key.fold(0), (self.length, features), dtype)}

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example; ShapeError for a sequence longer than the positions."""
        positions, _ = super().output_shape(in_shape)
        if positions > self.length:
            raise self.refuse(
                in_shape,
                f"sequences of at most {self.length} positions",
                f"give it length={positions} or more, or cut the sequences",
            )
        return in_shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x + W for the positions that there are."""
        # NOTE without the check a sequence that is too long would broadcast against one row of W.
        positions, _ = self.output_shape(x.shape)
        return x + parameters["weight"][:positions]
