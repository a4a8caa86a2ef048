"""NumPy by hand in float32: no allocation inside a step and as few calls as the mathematics allows.

Two habits make it lean: the bias is the last row of the weight and meets a column of ones in the layer's
input, and all weights are views into one flat vector, so that the optimiser is few calls at any depth.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from cases import Case

from peers import NotExpressibleError, Variants

DISTRIBUTIONS = ("numpy",)
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


class ByHand:
    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray) -> None:
        assert case.dense is not None
        self.case = case
        self.rng = np.random.default_rng(0)
        self.relu = case.dense[0].activation == "relu"
        self.X = with_ones(X)  # (rows, inputs + 1)
        self.target = np.eye(case.outputs, dtype=np.float32)[y] if case.loss == "cross_entropy" else y
        widths = [*case.row, *(layer.units for layer in case.dense)]
        shapes = [(inputs + 1, units) for inputs, units in pairwise(widths)]
        size = sum(math.prod(shape) for shape in shapes)
        self.flat, self.gradient, self.m, self.v, self.work = np.zeros((5, size), np.float32)
        self.weights = views(self.flat, shapes)
        self.gradients = views(self.gradient, shapes)
        for weight in self.weights:
            inputs = len(weight) - 1
            weight[:-1] = self.rng.standard_normal((inputs, weight.shape[1])) / math.sqrt(inputs)
        self.transposed = [weight[:-1].T for weight in self.weights]  # (units, inputs)
        batch = case.batch
        self.outputs = [with_ones(np.empty((batch, units), np.float32)) for units in widths[1:-1]]
        self.activations = [output[:, :-1] for output in self.outputs]  # (batch, units)
        self.z = [np.empty((batch, units), np.float32) for units in widths[1:]]
        self.delta = [np.empty_like(z) for z in self.z]
        self.masks = [np.empty_like(z) for z in self.z[:-1]] if case.dropout else []
        self.column = np.empty((batch, 1), np.float32)
        self.steps = 0
        self.total = 0.0  # the summed loss of the latest call
        # SGD needs the gradient only times the rate: the scale of the loss carries it at no cost.
        scale = (2.0 / case.outputs if case.loss == "mean_squared_error" else 1.0) / batch
        self.scale = np.float32(scale * (case.learning_rate if case.optimizer == "sgd" else 1.0))

    def run(self, calls: int) -> None:
        case = self.case
        for _ in range(calls):
            total = 0.0
            if case.full_batch:
                for _ in range(case.steps_per_call):
                    total += self.step(self.X, self.target)
            else:
                permutation = self.rng.permutation(case.rows)
                X, target = self.X[permutation], self.target[permutation]
                for first in range(0, case.rows, case.batch):
                    total += self.step(X[first : first + case.batch], target[first : first + case.batch])
            self.total = total

    def step(self, X: np.ndarray, target: np.ndarray) -> float:
        self.forward(X)
        loss = self.diverge(target)
        self.backward(X)
        if self.case.optimizer == "sgd":
            np.subtract(self.flat, self.gradient, out=self.flat)
        else:
            self.adam()
        return loss

    def forward(self, X: np.ndarray) -> None:
        for k, activation in enumerate(self.activations):
            np.dot(X, self.weights[k], out=self.z[k])
            if self.relu:
                np.maximum(self.z[k], 0, out=activation)
            else:
                np.tanh(self.z[k], out=activation)
            if self.masks:
                self.drop(k)
            X = self.outputs[k]
        np.dot(X, self.weights[-1], out=self.z[-1])

    def drop(self, k: int) -> None:
        """Multiply the activations by a mask of zeros and 1 / (1 - rate); tanh is kept in z for its slope."""
        mask, rate = self.masks[k], self.case.dropout
        self.rng.random(out=mask, dtype=np.float32)
        np.greater_equal(mask, rate, out=mask)
        np.multiply(mask, 1 / (1 - rate), out=mask)
        np.copyto(self.z[k], self.activations[k])
        np.multiply(self.activations[k], mask, out=self.activations[k])

    def diverge(self, target: np.ndarray) -> float:
        """Put the scaled derivative of the loss into the last delta; return the summed loss of the batch."""
        z, delta, column = self.z[-1], self.delta[-1], self.column
        if self.case.loss == "mean_squared_error":
            np.subtract(z, target, out=delta)
            loss = np.vdot(delta, delta) / z.shape[1]
        elif self.case.loss == "binary_cross_entropy":
            np.absolute(z, out=delta)  # log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|))
            np.exp(np.negative(delta, out=delta), out=delta)
            loss = np.add.reduce(np.log1p(delta), axis=None) + np.vdot(z, (z > 0) - target)
            np.divide(1, np.add(1, np.exp(np.negative(z, out=delta), out=delta), out=delta), out=delta)
            np.subtract(delta, target, out=delta)
        else:
            np.maximum.reduce(z, axis=1, keepdims=True, out=column)
            np.subtract(z, column, out=z)
            np.exp(z, out=delta)
            np.add.reduce(delta, axis=1, keepdims=True, out=column)
            np.divide(delta, column, out=delta)
            np.subtract(delta, target, out=delta)
            loss = np.add.reduce(np.log(column, out=column), axis=None) - np.vdot(z, target)
        np.multiply(delta, self.scale, out=delta)
        return float(loss)

    def backward(self, X: np.ndarray) -> None:
        for k in range(len(self.activations), 0, -1):
            np.dot(self.outputs[k - 1].T, self.delta[k], out=self.gradients[k])
            below, z, activation = self.delta[k - 1], self.z[k - 1], self.activations[k - 1]
            np.dot(self.delta[k], self.transposed[k], out=below)
            if self.masks:
                np.multiply(below, self.masks[k - 1], out=below)
                activation = z
            if self.relu:
                np.multiply(below, np.greater(z, 0), out=below)
            else:
                np.multiply(activation, activation, out=z)
                np.subtract(1, z, out=z)
                np.multiply(below, z, out=below)
        np.dot(X.T, self.delta[0], out=self.gradients[0])

    def adam(self) -> None:
        m, v, g, work = self.m, self.v, self.gradient, self.work
        self.steps += 1
        correction = math.sqrt(1 - BETA2**self.steps)
        np.multiply(g, g, out=work)
        np.multiply(work, 1 - BETA2, out=work)
        np.multiply(v, BETA2, out=v)
        np.add(v, work, out=v)
        np.multiply(g, 1 - BETA1, out=g)
        np.multiply(m, BETA1, out=m)
        np.add(m, g, out=m)
        np.sqrt(v, out=work)
        np.add(work, EPSILON * correction, out=work)
        np.divide(m, work, out=work)
        np.multiply(work, self.case.learning_rate * correction / (1 - BETA1**self.steps), out=work)
        if self.case.optimizer == "adamw":
            np.multiply(self.flat, 1 - self.case.learning_rate * self.case.weight_decay, out=self.flat)
        np.subtract(self.flat, work, out=self.flat)

    def loss(self) -> float:
        return float(self.total) / (self.case.steps_per_call * self.case.batch)


def with_ones(X: np.ndarray) -> np.ndarray:
    return np.hstack([X, np.ones((len(X), 1), np.float32)])


def views(flat: np.ndarray, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    parts = np.split(flat, np.cumsum([math.prod(shape) for shape in shapes])[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    if case.dense is None:
        raise NotExpressibleError("only dense networks are written by hand here")
    return {"preallocated": lambda: ByHand(case, X, y)}
