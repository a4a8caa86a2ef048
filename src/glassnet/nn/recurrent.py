"""Recurrent layers: one cell walks along a sequence and hands its state from position to position."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import DType, NDArray
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError
from glassnet.nn import initializers
from glassnet.nn.activations import Activation, RandomActivation, resolve
from glassnet.nn.initializers import Initializer
from glassnet.nn.layer import Layer, Parameters
from glassnet.nn.run import Run
from glassnet.ops.scan import scan

State = tuple[Any, ...]  # of arrays (units,); the first is the output h


@dataclass(frozen=True, repr=False)
class Recurrent(Layer):
    """Base of the recurrent layers: state_t = step(state_{t-1}, x_t), whose first array is the output h_t.

    Parameters: kernel W (gates units, inputs), recurrent R (gates units, units), bias b (gates units,), in
    blocks of `units` rows, one for each gate in the order that the layer names. Each block starts as the
    initialiser makes it alone (Keras fills all blocks as one matrix), so that an orthogonal block is
    orthogonal.

    Shapes: x (positions, inputs) -> (units,), the output of the last position; with `return_sequences`
    (positions, units). `go_backwards` walks from the last position to the first, and h_t stays beside x_t
    (Keras returns the sequence in the order of the walk). The walk starts from zeros, or in `unroll` and
    `step` from a state that is given.

    Masks: a position that does not count hands the state on unchanged. So the output is that of the last
    position that counts, zeros where none does; in a sequence the output before it is repeated, and the mask
    is kept.

    Raises ConfigurationError for units that are not a positive whole number, an unknown activation or
    initialiser, and an activation with chance in it; ShapeError for examples that are no sequences.
    """

    gates: ClassVar[int]  # blocks of rows in W, R and b
    states: ClassVar[int] = 1  # arrays in the state

    units: int
    activation: str | Activation = "tanh"
    _: KW_ONLY
    use_bias: bool = True
    return_sequences: bool = False
    go_backwards: bool = False
    kernel_initializer: str | Initializer = "glorot_uniform"
    recurrent_initializer: str | Initializer = "orthogonal"
    bias_initializer: str | Initializer = "zeros"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_whole("units")
        self.require_activation(self.activation, self.kind)
        for chosen in (self.kernel_initializer, self.recurrent_initializer, self.bias_initializer):
            initializers.resolve(chosen, self.kind)

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh kernel (gates units, inputs), recurrent (gates units, units) and bias (gates units,)."""
        self.output_shape(in_shape)
        inputs, units = in_shape[-1], self.units
        parameters: Parameters = {
            "kernel": self._blocks(self.kernel_initializer, key.fold(0), (units, inputs), dtype),
            "recurrent": self._blocks(self.recurrent_initializer, key.fold(1), (units, units), dtype),
        }
        if self.use_bias:
            bias = self._blocks(self.bias_initializer, key.fold(2), (units, 1), dtype)
            parameters["bias"] = bias.reshape(-1)
        return parameters

    def output_shape(self, in_shape: Shape) -> Shape:
        """(units,), or (positions, units) with `return_sequences`, for an example (positions, inputs)."""
        if len(in_shape) != 2:
            mend = "reshape X to (rows, positions, inputs)"
            if len(in_shape) == 1:
                mend += ", or let a recurrent layer in front return_sequences=True"
            raise self.refuse(in_shape, "sequences (positions, inputs)", mend)
        return (in_shape[0], self.units) if self.return_sequences else (self.units,)

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The outputs of all positions, or of the last one that counts."""
        outputs, last = self._walk(parameters, x, None, run.mask, keep_outputs=self.return_sequences)
        if self.return_sequences:
            return outputs
        run.set_mask(None)
        return last[0]

    def unroll(self, parameters: Parameters, x: Any, state: State | None = None, mask: Any = None) -> Any:
        """The outputs (positions, units) for x (positions, inputs), and the state at the end of the walk.

        It starts from `state`, zeros unless given; `mask` (positions,) says which positions count. A long
        sequence in pieces, each from the state in which the last one ended, gives what it gives in one.

        >>> layer = gn.nn.SimpleRNN(1, "identity")
        >>> sums = {"kernel": np.ones((1, 1)), "recurrent": np.ones((1, 1)), "bias": np.zeros(1)}
        >>> layer.unroll(sums, np.array([[1.0], [2.0]]), (np.array([10.0]),))
        (array([[11.],
               [13.]]), (array([13.]),))
        """
        return self._walk(parameters, x, state, mask, keep_outputs=True)

    def step(self, parameters: Parameters, state: State, x: Any) -> State:
        """The state after one position x (inputs,); its first array is the output, from which to go on.

        >>> layer = gn.nn.SimpleRNN(1, "identity")
        >>> sums = {"kernel": np.ones((1, 1)), "recurrent": np.ones((1, 1)), "bias": np.zeros(1)}
        >>> layer.step(sums, layer.initial_state(np.dtype("float64")), np.array([5.0]))
        (array([5.]),)
        """
        return self.advance(parameters, state, self.project(parameters, x))

    def initial_state(self, dtype: DType) -> State:
        """The state before the first position: zeros (units,), as many as the layer carries."""
        return tuple(np.zeros(self.units, dtype) for _ in range(self.states))

    def project(self, parameters: Parameters, x: Any) -> Any:
        """W x + b (..., gates units) for x (..., inputs): all positions in one product before the walk."""
        z = x @ gnp.transpose(parameters["kernel"])
        return z + parameters["bias"] if self.use_bias else z

    @abstractmethod
    def advance(self, parameters: Parameters, state: State, z: Any) -> State:
        """The state after a position of which `project` made z (gates units,)."""

    def require_activation(self, activation: str | Activation, owner: str) -> None:
        """ConfigurationError, which names the owner, unless the cell can take it at every position."""
        if isinstance(resolve(activation, owner), RandomActivation):
            raise ConfigurationError(
                f"{owner} got activation={activation!r}, which draws random numbers; inside the recurrence "
                "it takes activations without chance, such as 'leaky_relu'."
            )

    def _blocks(self, initializer: str | Initializer, key: Key, shape: Shape, dtype: DType) -> NDArray:
        """One block of `shape` for each gate, below each other."""
        made = initializers.resolve(initializer, self.kind)
        return np.concatenate([made(key.fold(gate), shape, dtype) for gate in range(self.gates)])

    def _walk(
        self, parameters: Parameters, x: Any, state: State | None, mask: Any, *, keep_outputs: bool
    ) -> tuple[Any, State]:
        z = self.project(parameters, x)  # (positions, gates units)

        def body(before: State, row: tuple[Any, Any]) -> tuple[State, Any]:
            z_t, counts = row
            after = self.advance(parameters, before, z_t)
            if counts is not None:
                pairs = zip(after, before, strict=True)
                after = tuple(gnp.where(counts, new, old) for new, old in pairs)
            return after, after[0] if keep_outputs else None

        start = self.initial_state(z.dtype) if state is None else state
        last, outputs = scan(body, start, (z, mask), reverse=self.go_backwards)
        return outputs, last


@dataclass(frozen=True, repr=False)
class SimpleRNN(Recurrent):
    """The fully recurrent layer: h_t = f(W x_t + R h_{t-1} + b).

    Parameters: kernel W (units, inputs), recurrent R (units, units), bias b (units,); PyTorch's two biases
    are their sum here. State: (h,). With f = "relu" and recurrent_initializer="identity" it is the IRNN.

    Shapes, options, masks and errors are those of Recurrent.

    >>> layer = gn.nn.SimpleRNN(1, "identity", return_sequences=True)
    >>> halves = {"kernel": np.ones((1, 1)), "recurrent": np.full((1, 1), 0.5), "bias": np.zeros(1)}
    >>> layer(halves, np.array([[1.0], [0.0], [1.0]]))
    array([[1.  ],
           [0.5 ],
           [1.25]])

    Source: Elman, Cognitive Science 14 (1990); Le, Jaitly and Hinton (2015) for the IRNN.
    """

    gates: ClassVar[int] = 1

    def advance(self, parameters: Parameters, state: State, z: Any) -> State:
        """h' = f(z + R h)."""
        (h,) = state
        return (resolve(self.activation, self.kind)(z + parameters["recurrent"] @ h),)
