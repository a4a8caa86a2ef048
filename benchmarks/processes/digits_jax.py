"""The digits model in JAX, as a script: `python digits_jax.py digits.npz`.

An epoch is one jitted scan. The batches are whole ones: what 32 does not divide is left out of an epoch.
"""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

with np.load(sys.argv[1]) as file:
    X, y = file["images"].reshape(-1, 64).astype(np.float32) / 16, file["labels"].astype(np.int32)
rng = np.random.default_rng()
parameters = [
    (rng.normal(size=(a, b)).astype(np.float32) * np.float32(np.sqrt(2 / a)), np.zeros(b, np.float32))
    for a, b in [(64, 128), (128, 64), (64, 10)]
]
optimizer = optax.adam(1e-3)


def outputs(parameters, X):
    *hidden, (weight, bias) = parameters
    for W, b in hidden:
        X = jax.nn.relu(X @ W + b)
    return X @ weight + bias


def divergence(parameters, X, y):
    return optax.softmax_cross_entropy_with_integer_labels(outputs(parameters, X), y).mean()


def step(carry, rows):
    parameters, state = carry
    updates, state = optimizer.update(jax.grad(divergence)(parameters, *rows), state)
    return (optax.apply_updates(parameters, updates), state), None


@jax.jit
def epoch(carry, X, y):
    return jax.lax.scan(step, carry, (X, y))[0]


carry = (parameters, jax.jit(optimizer.init)(parameters))
for _ in range(20):
    rows = rng.permutation(len(X))[: len(X) // 32 * 32].reshape(-1, 32)
    carry = epoch(carry, X[rows], y[rows])
print(np.mean(np.asarray(jax.jit(outputs)(carry[0], jnp.asarray(X))).argmax(1) == y))
