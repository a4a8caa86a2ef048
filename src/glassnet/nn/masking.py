"""Masking: positions that only fill a sequence up, told by their value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.shape import Shape
from glassnet.nn.checks import require_finite
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class Masking(Layer):
    """A position counts unless all its features are `value`; those that do not count become 0.

    Positions that did not count before do not count after it either. Shapes: x (positions, features) ->
    (positions, features); the mask is (positions,). Raises ConfigurationError for a value that is not a
    finite number, ShapeError for examples that are no sequences.

    >>> run = gn.nn.Run()
    >>> gn.nn.Masking(-1.0)({}, np.array([[5.0, -1.0], [-1.0, -1.0]]), run)
    array([[ 5., -1.],
           [ 0.,  0.]])
    >>> run.mask
    array([ True, False])
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_finite(self, value=self.value)

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the example."""
        if len(in_shape) != 2:
            raise self.refuse(
                in_shape, "sequences (positions, features)", "reshape X to (rows, positions, features)"
            )
        return in_shape

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """x, with 0 where it does not count."""
        mask = gnp.any(x != self.value, axis=-1)
        if run.mask is not None:
            mask = mask & run.mask
        run.set_mask(mask)
        return gnp.where(gnp.expand_dims(mask, -1), x, 0.0)
