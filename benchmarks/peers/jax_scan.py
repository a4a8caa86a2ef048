"""JAX with optax: an epoch as one jitted `lax.scan` with donated state, or one jitted call per step.

What was tried and is nowhere faster: integer labels in place of one-hot rows, the permutation drawn by JAX
itself (its sort costs more than the copy of NumPy's), synchronous dispatch, XLA without fusion emitters.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np
from cases import Case
from layers import LSTM, Convolution, Dropout, walk

from peers import Variants, threads
from peers.jax_layers import Ways, apply, initial

DISTRIBUTIONS = ("jax", "jaxlib", "optax")
WIDE = {"xla_cpu_prefer_vector_width": 512}
PLAIN = Ways()


class State:
    """Parameters, optimiser state, the rows on the device, and the pure function of one step."""

    def __init__(
        self,
        case: Case,
        X: np.ndarray,
        y: np.ndarray,
        *,
        flat: bool = False,
        wide: bool = False,
        ways: Ways = PLAIN,
        generator: str = "threefry2x32",
    ) -> None:
        import jax
        import optax

        self.case, self.ways = case, ways
        self.steps = case.rows // case.batch
        self.compiler_options = WIDE if wide else None
        self.rng = np.random.default_rng(0)
        make: Any = {"sgd": optax.sgd, "adam": optax.adam, "adamw": optax.adamw}[case.optimizer]
        decay = {"weight_decay": case.weight_decay} if case.optimizer == "adamw" else {}
        self.optimizer = make(case.learning_rate, **decay)
        if flat:
            self.optimizer = optax.flatten(self.optimizer)
        keys = jax.random.split(jax.random.key(0), len(case.layers))
        pairs = zip(walk(case.layers, case.row), keys, strict=True)
        parameters = [initial(layer, shape, key) for (layer, shape), key in pairs]
        key = jax.random.key(1, impl=generator)
        self.carry: Any = (parameters, self.optimizer.init(parameters), key, jax.numpy.zeros(()))
        self.rows = (jax.numpy.asarray(X), jax.numpy.asarray(targets(case, y)))

    def divergence(self, parameters: Any, X: Any, target: Any, key: Any) -> Any:
        """The mean divergence of a batch: X (batch, *row), target (batch, outputs)."""
        import jax
        import optax

        def fresh() -> Any:
            nonlocal key
            key, used = jax.random.split(key)
            return used

        out = X
        for layer, own in zip(self.case.layers, parameters, strict=True):
            out = apply(layer, own, out, self.ways, fresh)
        if self.case.loss == "mean_squared_error":
            return jax.numpy.mean((out - target) ** 2)
        if self.case.loss == "binary_cross_entropy":
            return optax.sigmoid_binary_cross_entropy(out, target).mean()
        return optax.softmax_cross_entropy(out, target).mean()

    def step(self, carry: Any, rows: Any) -> tuple[Any, None]:
        import jax
        import optax

        parameters, state, key, total = carry
        used = key
        if self.case.dropout:
            key, used = jax.random.split(key)
        loss, gradient = jax.value_and_grad(self.divergence)(parameters, *rows, used)
        updates, state = self.optimizer.update(gradient, state, parameters)
        return (optax.apply_updates(parameters, updates), state, key, total + loss), None

    def permutation(self) -> np.ndarray:
        return self.rng.permutation(self.case.rows).astype(np.int32)

    def loss(self) -> float:
        return float(self.carry[-1]) / self.case.steps_per_call


class Scan(State):
    """One jitted call is one epoch, or `epochs_per_call` steps on all rows."""

    def __init__(self, *args: Any, unroll: int = 1, gather_inside: bool = False, **options: Any) -> None:
        import jax

        super().__init__(*args, **options)
        self.unroll, self.gather_inside = unroll, gather_inside
        function = self.repeat if self.case.full_batch else self.epoch
        self.call = jax.jit(function, donate_argnums=0, compiler_options=self.compiler_options)

    def repeat(self, carry: Any, rows: Any) -> Any:
        import jax.numpy as jnp
        from jax import lax

        carry = (*carry[:-1], jnp.zeros(()))
        length = self.case.epochs_per_call
        return lax.scan(lambda c, _: self.step(c, rows), carry, length=length, unroll=self.unroll)[0]

    def epoch(self, carry: Any, rows: Any, permutation: Any) -> Any:
        import jax.numpy as jnp
        from jax import lax

        carry = (*carry[:-1], jnp.zeros(()))
        shape = (self.steps, self.case.batch)
        if self.gather_inside:
            indices = permutation.reshape(shape)
            return lax.scan(
                lambda c, i: self.step(c, [a[i] for a in rows]), carry, indices, unroll=self.unroll
            )[0]
        batches = [a[permutation].reshape(*shape, *a.shape[1:]) for a in rows]
        return lax.scan(self.step, carry, batches, unroll=self.unroll)[0]

    def run(self, calls: int) -> None:
        for _ in range(calls):
            shuffled = () if self.case.full_batch else (self.permutation(),)
            self.carry = self.call(self.carry, self.rows, *shuffled)
        self.carry[-1].block_until_ready()


class Steps(State):
    """One jitted call is one step; the epoch's rows are gathered by a call of their own."""

    def __init__(self, *args: Any, **options: Any) -> None:
        import jax

        super().__init__(*args, **options)
        self.gather = jax.jit(lambda rows, permutation: [a[permutation] for a in rows])
        self.call = jax.jit(self.step_at, donate_argnums=0, compiler_options=self.compiler_options)

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
            self.carry = (*self.carry[:-1], np.float32(0))
            for step in range(case.steps_per_call):
                self.carry = self.call(self.carry, rows, np.int32(step % self.steps * case.batch))
        self.carry[-1].block_until_ready()


def targets(case: Case, y: np.ndarray) -> np.ndarray:
    return np.eye(case.outputs, dtype=np.float32)[y] if case.loss == "cross_entropy" else y


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    # NOTE: read once, when jaxlib loads; without it small products pay for a thread pool of one thread.
    if threads() == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    os.environ["JAX_PLATFORMS"] = "cpu"
    scan, steps = partial(Scan, case, X, y), partial(Steps, case, X, y)
    chosen: Variants = {
        "scan": scan,
        "scan, 512-bit vectors": partial(scan, wide=True),
        "scan, gathering inside, 512-bit vectors": partial(scan, gather_inside=True, wide=True),
        "one call per step": steps,
        "one call per step, 512-bit vectors": partial(steps, wide=True),
    }
    if case.parameters < 10**6:  # the others gain nothing and take gigabytes
        chosen["scan, unrolled by 8"] = partial(scan, unroll=8)
        chosen["scan, flat parameters, 512-bit vectors"] = partial(scan, flat=True, wide=True)
    kinds = {type(layer) for layer in case.layers}
    if Convolution in kinds:
        product, windows = Ways(convolution_as_product=True), Ways(pool_by_reshape=False)
        chosen["scan, convolution as a product"] = partial(scan, ways=product, wide=True)
        chosen["one call per step, convolution as a product"] = partial(steps, ways=product, wide=True)
        chosen["one call per step, pooling by windows"] = partial(steps, ways=windows)
    if LSTM in kinds:
        for turns in (5, 10):
            ways = Ways(time_unroll=turns)
            chosen[f"scan, {turns} times unrolled, 512-bit vectors"] = partial(scan, ways=ways, wide=True)
    if Dropout in kinds:
        for generator in ("rbg", "unsafe_rbg"):
            chosen[f"scan, {generator} random numbers"] = partial(scan, generator=generator, wide=True)
    return chosen
