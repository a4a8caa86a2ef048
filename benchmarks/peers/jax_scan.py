"""JAX with optax: an epoch as one jitted `lax.scan` with donated state, or one jitted call per step.

What was tried and is nowhere faster: integer labels in place of one-hot rows, the permutation drawn by JAX
itself (its sort costs more than the copy of NumPy's), synchronous dispatch, XLA without fusion emitters.
"""

from __future__ import annotations

import os
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from cases import Case

from peers import Variants

DISTRIBUTIONS = ("jax", "jaxlib", "optax")
WIDE = {"xla_cpu_prefer_vector_width": 512}


class State:
    """Parameters, optimiser state, the rows on the device, and the pure function of one step."""

    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray, *, flat: bool = False) -> None:
        import jax
        import optax

        self.case = case
        self.steps = case.rows // case.batch
        self.rng = np.random.default_rng(0)
        self.optimizer = {"sgd": optax.sgd, "adam": optax.adam}[case.optimizer](case.learning_rate)
        if flat:
            self.optimizer = optax.flatten(self.optimizer)
        keys = jax.random.split(jax.random.key(0), len(case.units) - 1)
        parameters = []
        for key, (inputs, units) in zip(keys, pairwise(case.units), strict=True):
            weight = jax.random.normal(key, (inputs, units)) / np.sqrt(inputs)
            parameters.append((weight, jax.numpy.zeros(units)))
        self.carry: Any = (parameters, self.optimizer.init(parameters), jax.numpy.zeros(()))
        self.rows = (jax.numpy.asarray(X), jax.numpy.asarray(targets(case, y)))

    def step(self, carry: Any, rows: Any) -> tuple[Any, None]:
        import jax
        import optax

        parameters, state, total = carry
        loss, gradient = jax.value_and_grad(partial(divergence, self.case))(parameters, *rows)
        updates, state = self.optimizer.update(gradient, state, parameters)
        return (optax.apply_updates(parameters, updates), state, total + loss), None

    def permutation(self) -> np.ndarray:
        return self.rng.permutation(self.case.rows).astype(np.int32)

    def loss(self) -> float:
        return float(self.carry[2]) / self.case.steps_per_call


class Scan(State):
    """One jitted call is one epoch, or `epochs_per_call` steps on all rows."""

    def __init__(
        self,
        case: Case,
        X: np.ndarray,
        y: np.ndarray,
        *,
        flat: bool = False,
        unroll: int = 1,
        wide: bool = False,
        gather_inside: bool = False,
    ) -> None:
        import jax

        super().__init__(case, X, y, flat=flat)
        self.unroll = unroll
        self.gather_inside = gather_inside
        function = self.repeat if case.full_batch else self.epoch
        self.call = jax.jit(function, donate_argnums=0, compiler_options=WIDE if wide else None)

    def repeat(self, carry: Any, rows: Any) -> Any:
        import jax.numpy as jnp
        from jax import lax

        carry = (*carry[:2], jnp.zeros(()))
        length = self.case.epochs_per_call
        return lax.scan(lambda c, _: self.step(c, rows), carry, length=length, unroll=self.unroll)[0]

    def epoch(self, carry: Any, rows: Any, permutation: Any) -> Any:
        import jax.numpy as jnp
        from jax import lax

        carry = (*carry[:2], jnp.zeros(()))
        shape = (self.steps, self.case.batch)
        if self.gather_inside:
            indices = permutation.reshape(shape)
            return lax.scan(
                lambda c, i: self.step(c, [a[i] for a in rows]), carry, indices, unroll=self.unroll
            )[0]
        batches = [a[permutation].reshape(*shape, -1) for a in rows]
        return lax.scan(self.step, carry, batches, unroll=self.unroll)[0]

    def run(self, calls: int) -> None:
        for _ in range(calls):
            shuffled = () if self.case.full_batch else (self.permutation(),)
            self.carry = self.call(self.carry, self.rows, *shuffled)
        self.carry[2].block_until_ready()


class Steps(State):
    """One jitted call is one step; the epoch's rows are gathered by a call of their own."""

    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray) -> None:
        import jax

        super().__init__(case, X, y)
        self.gather = jax.jit(lambda rows, permutation: [a[permutation] for a in rows])
        self.call = jax.jit(self.step_at, donate_argnums=0)

    def step_at(self, carry: Any, rows: Any, first: Any) -> Any:
        from jax import lax

        batch = rows
        if not self.case.full_batch:
            batch = [lax.dynamic_slice_in_dim(a, first, self.case.batch) for a in rows]
        return self.step(carry, batch)[0]

    def run(self, calls: int) -> None:
        case = self.case
        for _ in range(calls):
            rows = self.rows if case.full_batch else self.gather(self.rows, self.permutation())
            self.carry = (*self.carry[:2], np.float32(0))
            for step in range(case.steps_per_call):
                self.carry = self.call(self.carry, rows, np.int32(step % self.steps * case.batch))
        self.carry[2].block_until_ready()


def targets(case: Case, y: np.ndarray) -> np.ndarray:
    return y if case.loss == "mean_squared_error" else np.eye(case.units[-1], dtype=np.float32)[y]


def divergence(case: Case, parameters: Any, X: Any, target: Any) -> Any:
    """Return the mean divergence of a batch: X (batch, inputs), target (batch, outputs)."""
    import jax
    import optax

    activation = {"relu": jax.nn.relu, "tanh": jax.numpy.tanh}[case.activation]
    *hidden, (weight, bias) = parameters
    for W, b in hidden:
        X = activation(X @ W + b)
    out = X @ weight + bias
    if case.loss == "mean_squared_error":
        return jax.numpy.mean((out - target) ** 2)
    return optax.softmax_cross_entropy(out, target).mean()


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    # NOTE: read once, when jaxlib loads; without it small products pay for a thread pool of one thread.
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["JAX_PLATFORMS"] = "cpu"
    scan = partial(Scan, case, X, y)
    return {
        "scan": scan,
        "scan, 512-bit vectors": partial(scan, wide=True),
        "scan, unrolled by 8": partial(scan, unroll=8),
        "scan, gathering inside, 512-bit vectors": partial(scan, gather_inside=True, wide=True),
        "scan, flat parameters, 512-bit vectors": partial(scan, flat=True, wide=True),
        "one call per step": lambda: Steps(case, X, y),
    }
