"""LSTM: a cell that adds to its memory instead of overwriting it, and gates that decide how much."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.nn.activations import Activation, resolve
from glassnet.nn.layer import Parameters
from glassnet.nn.recurrent import Recurrent, State


@dataclass(frozen=True, repr=False)
class LSTM(Recurrent):
    """Long short-term memory: gates multiply what enters, stays in and leaves the cell c.

        i = s(W_i x + R_i h + b_i)     input gate
        f = s(W_f x + R_f h + b_f)     forget gate
        g = a(W_g x + R_g h + b_g)     candidate
        o = s(W_o x + R_o h + b_o)     output gate
        c' = f c + i g,   h' = o a(c')

    with a = `activation`, s = `recurrent_activation`. dc'/dc along the cell is f: while the forget gate is
    open, derivatives neither vanish nor explode.

    Parameters: kernel (4 units, inputs), recurrent (4 units, units), bias (4 units,); the gates stand in the
    order i, f, g, o, that of Keras (whose kernels are transposed) and of PyTorch (whose two biases are their
    sum here). State: (h, c). `unit_forget_bias`, on unless switched off, starts the forget gate's bias at 1;
    PyTorch does not. `peephole` lets the gates see the cell: parameter peephole (3 units,) in the order i, f,
    o, each times c before its gate's s, where o sees c'; it starts at zero.

    Shapes, the other options, masks and errors are those of Recurrent.

    >>> layer = gn.nn.LSTM(1, "identity", recurrent_activation="identity", use_bias=False)
    >>> parameters = {"kernel": np.ones((4, 1)), "recurrent": np.zeros((4, 1))}
    >>> layer.step(parameters, (np.array([0.0]), np.array([1.0])), np.array([2.0]))
    (array([12.]), array([6.]))

    Source: Hochreiter and Schmidhuber, Neural Computation 9 (1997); Gers, Schmidhuber and Cummins, Neural
    Computation 12 (2000), the forget gate; Gers, Schraudolph and Schmidhuber, JMLR 3 (2002), the peepholes;
    Jozefowicz, Zaremba and Sutskever, ICML (2015), the forget gate's bias.
    """

    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    _: KW_ONLY
    recurrent_activation: str | Activation = "sigmoid"
    unit_forget_bias: bool = True
    peephole: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_activation(self.recurrent_activation, f"{self.kind}, for its gates,")

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh kernel, recurrent, bias and, where asked for, peephole."""
        parameters = super().init(key, in_shape, dtype)
        if self.use_bias and self.unit_forget_bias:
            parameters["bias"][self.units : 2 * self.units] = 1.0
        if self.peephole:
            parameters["peephole"] = np.zeros(3 * self.units, dtype)
        return parameters

    def advance(self, parameters: Parameters, state: State, z: Any) -> State:
        """(h', c') of (h, c), from the one product R h of all gates."""
        a, s = (resolve(f, self.kind) for f in (self.activation, self.recurrent_activation))
        h, c = state
        z_i, z_f, z_g, z_o = gnp.split(z + parameters["recurrent"] @ h, self.gates)
        if not self.peephole:
            c = s(z_f) * c + s(z_i) * a(z_g)
            return s(z_o) * a(c), c
        p_i, p_f, p_o = gnp.split(parameters["peephole"], 3)
        c = s(z_f + p_f * c) * c + s(z_i + p_i * c) * a(z_g)
        return s(z_o + p_o * c) * a(c), c
