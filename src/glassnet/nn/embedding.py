"""Embedding: a vector for each word of a vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.core.trace import Array
from glassnet.errors import ConfigurationError, DataError
from glassnet.nn import initializers
from glassnet.nn.initializers import Initializer
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class Embedding(Layer):
    """Row x of a table: y = W[x], the product of W^T with a one-hot vector without the product.

    Parameters: weight W (vocabulary, units), a row for each index: "uniform" (+-0.05) unless an initialiser
    is given. Shapes: x (...) -> (..., units), x of whole numbers from 0 to vocabulary - 1; floating numbers
    that are whole are taken too (in float32 up to 2^24 they are exact). dy/dW adds to the rows that were
    read; there is no derivative with respect to x.

    `mask_index` is the index that only fills a sequence up: its positions do not count for the layers that
    follow. It has a row of the table like any other.

    Raises ConfigurationError for sizes that are not positive whole numbers, a `mask_index` outside the
    vocabulary, an unknown initialiser; DataError for an index outside the vocabulary, with its place, where
    the values are known; elsewhere reading the table refuses it.

    >>> table = {"weight": np.array([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]])}
    >>> gn.nn.Embedding(3, 2)(table, np.array([2, 1, 2]))
    array([[3., 4.],
           [1., 2.],
           [3., 4.]])

    Source: Bengio, Ducharme, Vincent and Jauvin, JMLR 3 (2003), section 2.
    """

    vocabulary: int
    units: int
    mask_index: int | None = None
    initializer: str | Initializer = "uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("vocabulary", "units")
        initializers.resolve(self.initializer, "Embedding")
        if self.mask_index is not None:
            self.require_whole("mask_index", low=0)
            if self.mask_index >= self.vocabulary:
                raise ConfigurationError(
                    f"Embedding got mask_index={self.mask_index}; it takes one of the vocabulary, from 0 to "
                    f"{self.vocabulary - 1}."
                )

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh weight (vocabulary, units)."""
        self.output_shape(in_shape)
        initializer = initializers.resolve(self.initializer, "Embedding")
        return {"weight": initializer(key.fold(0), (self.vocabulary, self.units), dtype)}

    def output_shape(self, in_shape: Shape) -> Shape:
        """(..., units) for indices (...)."""
        if self.mask_index is not None and len(in_shape) != 1:
            raise self.refuse(in_shape, "with mask_index sequences (positions,)", "leave mask_index out")
        return (*in_shape, self.units)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The rows of W at x."""
        self.check(x)
        index = gnp.stop_gradient(x)
        if self.mask_index is not None:
            run.set_mask(index != self.mask_index)
        # NOTE reading W[-1] or rounding 2.5 would pass in silence: what is no index becomes one too large,
        # which reading the table refuses.
        valid = (index >= 0) & (index < self.vocabulary) & (index == gnp.floor(index))
        index = gnp.astype(gnp.where(valid, index, self.vocabulary), gnp.int32)
        return gnp.take(parameters["weight"], index, axis=0)

    def check(self, x: Any) -> None:
        """DataError where an index, of one example or of rows, is not in the vocabulary; traced ones pass."""
        values = x.node.value if type(x) is Array else np.asarray(x)
        if values is None:
            return
        wrong = np.argwhere(~((values >= 0) & (values < self.vocabulary) & (values == np.floor(values))))
        if len(wrong):
            place = tuple(map(int, wrong[0]))
            at = f" at position {place[0] if len(place) == 1 else place}" if place else ""
            raise DataError(
                f"{self.describe()} got the index {values[place]}{at}; it takes whole numbers from 0 to "
                f"{self.vocabulary - 1}: enlarge the vocabulary, or give unknown words an index in it."
            )
