"""Bidirectional: two recurrent layers on one sequence, one for each direction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.parallel import MERGES
from glassnet.nn.recurrent import Recurrent
from glassnet.nn.run import Run


@dataclass(frozen=True, repr=False)
class Bidirectional(Layer):
    """A recurrent layer forwards, one of the same options backwards: y = merge(forward(x), backward(x)).

    The two have parameters of their own, under "forward" and "backward". `merge` is "concatenate" (along the
    features, forward first), "add", "multiply", "average" or "maximum" (of equal outputs forward takes the
    derivative).

    Shapes: x (positions, inputs) -> (units,), or with the layer's return_sequences (positions, units); 2
    units where concatenated. In a sequence both outputs at t stand beside x_t: together they have seen all of
    x. Without it, forward has ended at the last position and backward at the first. Masks are those of
    Recurrent, in both directions.

    Raises ConfigurationError for what is no recurrent layer, for one that goes backwards itself, and for an
    unknown merge; ShapeError for examples that are no sequences.

    >>> layer = gn.nn.Bidirectional(gn.nn.SimpleRNN(1, "identity", use_bias=False, return_sequences=True))
    >>> sums = {"kernel": np.ones((1, 1)), "recurrent": np.ones((1, 1))}
    >>> layer({"forward": sums, "backward": sums}, np.array([[1.0], [2.0], [3.0]]))
    array([[1., 6.],
           [3., 5.],
           [6., 3.]])

    Source: Schuster and Paliwal, IEEE Transactions on Signal Processing 45 (1997).
    """

    layer: Recurrent
    merge: str = "concatenate"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.layer, Recurrent):
            raise ConfigurationError(
                f"Bidirectional got layer={self.layer!r}; it takes a recurrent layer, such as LSTM(32)."
            )
        if self.layer.go_backwards:
            raise ConfigurationError(
                f"Bidirectional got layer={self.layer!r}, but makes the way back itself: leave go_backwards "
                "out."
            )
        if self.merge not in MERGES:
            raise ConfigurationError(
                f"Bidirectional got merge={self.merge!r}; it takes one of {', '.join(MERGES)}."
            )

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """The parameters of both directions, each with random numbers of its own."""
        self.output_shape(in_shape)
        return {
            name: layer.init(key.fold(number), in_shape, dtype)
            for number, (name, layer) in enumerate(self.parts.items())
        }

    def output_shape(self, in_shape: Shape) -> Shape:
        """That of the layer, with twice its units where the outputs are concatenated."""
        if len(in_shape) != 2:
            raise self.refuse(
                in_shape, "sequences (positions, inputs)", "reshape X to (rows, positions, inputs)"
            )
        *positions, units = self.layer.output_shape(in_shape)
        return (*positions, 2 * units if self.merge == "concatenate" else units)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """Both directions on x, merged."""
        mask = run.mask
        outputs: list[Any] = []
        for name, layer in self.parts.items():
            run.set_mask(mask)
            outputs.append(run.see(name, layer(parameters[name], x, run.inside(name))))
        return MERGES[self.merge](outputs)

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The layer, and the same with go_backwards."""
        return {"forward": self.layer, "backward": replace(self.layer, go_backwards=True)}

    def describe(self) -> str:
        """The layer in short."""
        return f"{self.kind}({self.layer.describe()})"
