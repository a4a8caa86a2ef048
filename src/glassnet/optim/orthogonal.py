"""Muon: matrices move by orthogonal steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import glassnet.numpy as gnp
from glassnet.core.tree import flatten, tree_map
from glassnet.errors import ConfigurationError
from glassnet.optim.adam import Adam
from glassnet.optim.hyperparameters import FRACTION, NOT_NEGATIVE, WHOLE, require
from glassnet.optim.moments import norm
from glassnet.optim.optimizer import OPTIMIZERS, UpdateRule, with_decay, zeros_like
from glassnet.optim.parts import combine, select
from glassnet.optim.schedules import Rate

# Jordan et al.: the odd quintic whose slope at 0 is steepest; it takes singular values to about [0.7, 1.2].
_QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalized(matrix: Any, iterations: int = 5) -> Any:
    """Nearly U V^T of the matrix U S V^T, by an iteration of Newton and Schulz without a factorisation.

    X <- matrix / (|matrix| + 1e-7), then `iterations` times X <- a X + (b A + c A^2) X with A = X X^T,
    (a, b, c) = (3.4445, -4.7750, 2.0315); |.| is the Frobenius norm.

    Shapes: (rows, columns) -> the same. The singular values become about 1, not exactly: from 0.7 to 1.2.

    >>> bool(np.all(np.abs(np.linalg.svd(orthogonalized(np.diag([1.0, 0.3])))[1] - 0.95) < 0.3))
    True

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024), section "Newton-
    Schulz".
    """
    a, b, c = _QUINTIC
    x = matrix / (norm(matrix) + 1e-7)
    upright = matrix.shape[0] > matrix.shape[1]
    for _ in range(iterations):
        # f(X X^T) X = X f(X^T X): the smaller of the two products
        gram = gnp.matmul(gnp.transpose(x), x) if upright else gnp.matmul(x, gnp.transpose(x))
        factor = b * gram + c * gnp.matmul(gram, gram)
        x = a * x + (gnp.matmul(x, factor) if upright else gnp.matmul(factor, x))
    return x


@dataclass(frozen=True)
class Muon(UpdateRule):
    """Muon: momentum, made orthogonal, for matrices; Adam for vectors and numbers.

    B <- mu B + G;  O = orthogonalized(G + mu B)   (without `nesterov`: of B)
    W <- W - eta (0.2 sqrt(max(rows, columns)) O + lambda W)

    An array of more axes, such as a convolution's kernel, counts as a matrix (outputs, rest). The factor 0.2
    sqrt(max(rows, columns)) gives O the typical size of Adam's steps, so that one learning rate serves both
    (Jordan et al. scale by sqrt(max(1, rows / columns)) and have a rate of its own for each); of `rest` the
    hyperparameters count, its rate does not. Raises ConfigurationError for a learning rate that is not
    positive, a momentum outside [0, 1), a negative `weight_decay`, or a `rest` that is no Adam.

    >>> w = {"w": np.eye(2)}
    >>> steps, _ = Muon(0.1).update({"w": 3.0 * np.eye(2)}, Muon().init(w), w, 1, 0.1)
    >>> bool(0.7 < steps["w"][0, 0] / (0.1 * 0.2 * 2**0.5) < 1.2), steps["w"][0, 1].item()
    (True, 0.0)

    Source: Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); Liu et al., "Muon
    is scalable for LLM training", arXiv:2502.16982 (2025), section 2.2, for the factor and the decay.
    """

    learning_rate: Rate = 0.001
    momentum: float = 0.95
    nesterov: bool = True
    iterations: int = 5
    weight_decay: float = 0.0
    rest: Adam = field(default_factory=Adam)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, FRACTION, "momentum")
        require(self, WHOLE, "iterations")
        require(self, NOT_NEGATIVE, "weight_decay")
        if not isinstance(self.rest, Adam):
            raise ConfigurationError(
                f"Muon got rest={self.rest!r}; it takes an Adam, such as Adam(beta_2=0.95)."
            )

    def init(self, parameters: Any) -> Any:
        """The momentum of the matrices, zero, and Adam's state for the rest."""
        matrices = _matrices(parameters)
        others = [not matrix for matrix in matrices]
        return {
            "momentum": zeros_like(select(parameters, matrices)),
            "rest": self.rest.init(select(parameters, others)),
        }

    def update(
        self, gradients: Any, state: Any, parameters: Any, step: Any, learning_rate: Any
    ) -> tuple[Any, Any]:
        """One step: orthogonal for the matrices, Adam's for the rest."""
        matrices = _matrices(parameters)
        others = [not matrix for matrix in matrices]

        def accelerate(b: Any, g: Any) -> Any:
            return self.momentum * b + g

        slopes = select(gradients, matrices)
        momentum = tree_map(accelerate, state["momentum"], slopes)
        directions = tree_map(accelerate, momentum, slopes) if self.nesterov else momentum
        steps = tree_map(lambda direction: self._step(direction, learning_rate), directions)
        plain, rest = self.rest.update(
            select(gradients, others), state["rest"], select(parameters, others), step, learning_rate
        )
        steps = combine(matrices, steps, combine(others, plain, gradients))
        return with_decay(steps, parameters, learning_rate, self.weight_decay), {
            "momentum": momentum,
            "rest": rest,
        }

    def _step(self, direction: Any, learning_rate: Any) -> Any:
        shape = direction.shape
        rows, columns = shape[0], math.prod(shape[1:])
        matrix = direction if len(shape) == 2 else gnp.reshape(direction, (rows, columns))
        orthogonal = orthogonalized(matrix, self.iterations)
        step = learning_rate * (0.2 * math.sqrt(max(rows, columns))) * orthogonal
        return step if len(shape) == 2 else gnp.reshape(step, shape)


def _matrices(parameters: Any) -> list[bool]:
    """For each leaf, whether it is a matrix or can be flattened to one."""
    return [len(leaf.shape) >= 2 for leaf in flatten(parameters)[0]]


OPTIMIZERS.update(muon=Muon())
