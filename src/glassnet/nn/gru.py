"""GRU: a recurrent layer whose gates choose between its state and a new candidate."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import glassnet.numpy as gnp
from glassnet.core.dtype import DType
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.nn import initializers
from glassnet.nn.activations import Activation, resolve
from glassnet.nn.layer import Parameters
from glassnet.nn.recurrent import Recurrent, State


@dataclass(frozen=True, repr=False)
class GRU(Recurrent):
    """The gated recurrent unit: the new state lies between the old one and a candidate.

        r = s(W_r x + R_r h + b_r)                     reset gate
        u = s(W_u x + R_u h + b_u)                     update gate
        n = a(W_n x + b_n + r (R_n h + b'_n))          candidate, with reset_after
        n = a(W_n x + b_n + R_n (r h))                 candidate, without
        h' = u h + (1 - u) n

    with a = `activation`, s = `recurrent_activation`. `reset_after`, on unless switched off, is the form of
    cuDNN, PyTorch and Keras: one product of all gates with h. Without it is the form of the paper. An open
    update gate keeps the old state, as in Cho et al. (2014) and the libraries; Chung et al. (2014) exchange
    u and 1 - u.

    Parameters: kernel (3 units, inputs), recurrent (3 units, units), bias (3 units,), and with reset_after
    recurrent_bias b'_n (units,); the gates stand in the order r, u, n, that of PyTorch (Keras: u, r, n). Of
    the libraries' two biases those of r and u are their sum here. State: (h,).

    Shapes, the other options, masks and errors are those of Recurrent.

    >>> layer = gn.nn.GRU(1, "identity", recurrent_activation="identity", use_bias=False)
    >>> parameters = {"kernel": np.ones((3, 1)), "recurrent": np.array([[0.0], [0.0], [2.0]])}
    >>> layer.step(parameters, (np.array([5.0]),), np.array([0.5]))  # r = u = 0.5, n = 0.5 + 0.5 * 2 * 5
    (array([5.25]),)

    Source: Cho et al., EMNLP (2014), equations 5 to 8; Chetlur et al., cuDNN (2014), for reset_after.
    """

    gates: ClassVar[int] = 3

    _: KW_ONLY
    recurrent_activation: str | Activation = "sigmoid"
    reset_after: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_activation(self.recurrent_activation, f"{self.kind}, for its gates,")

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh kernel, recurrent, bias and, with reset_after, recurrent_bias."""
        parameters = super().init(key, in_shape, dtype)
        if self.use_bias and self.reset_after:
            initializer = initializers.resolve(self.bias_initializer, self.kind)
            parameters["recurrent_bias"] = initializer(key.fold(3), (self.units, 1), dtype).reshape(-1)
        return parameters

    def advance(self, parameters: Parameters, state: State, z: Any) -> State:
        """h' of h; with reset_after from the one product R h of all gates."""
        a, s = (resolve(f, self.kind) for f in (self.activation, self.recurrent_activation))
        (h,) = state
        recurrent = parameters["recurrent"]
        z_r, z_u, z_n = gnp.split(z, self.gates)
        if self.reset_after:
            p_r, p_u, p_n = gnp.split(recurrent @ h, self.gates)
            if self.use_bias:
                p_n = p_n + parameters["recurrent_bias"]
            n = a(z_n + s(z_r + p_r) * p_n)
        else:
            before_candidate = 2 * self.units
            p_r, p_u = gnp.split(recurrent[:before_candidate] @ h, 2)
            n = a(z_n + recurrent[before_candidate:] @ (s(z_r + p_r) * h))
        u = s(z_u + p_u)
        return (u * h + (1.0 - u) * n,)
