"""PyTorch eager on one thread: modules with `torch.optim`, or plain functions with a multi-tensor update."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from cases import Case

from peers import Variants

DISTRIBUTIONS = ("torch",)


class Modules:
    """`nn.Sequential` with an optimiser of `torch.optim`."""

    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray, *, fused: bool | None = None) -> None:
        import torch

        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        torch.manual_seed(0)
        self.torch: Any = torch
        self.case = case
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        layers: list[Any] = []
        for inputs, units in pairwise(case.units):
            layers += [torch.nn.Linear(inputs, units), self.activation_module()]
        self.network = torch.nn.Sequential(*layers[:-1])
        self.parameters = list(self.network.parameters())
        optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[case.optimizer]
        self.optimizer: Any = optimizer(self.parameters, lr=case.learning_rate, fused=fused)
        functional = torch.nn.functional
        self.total = torch.zeros(())  # the summed loss of the latest call
        self.divergence = (
            functional.mse_loss if case.loss == "mean_squared_error" else functional.cross_entropy
        )

    def activation_module(self) -> Any:
        nn = self.torch.nn
        return nn.ReLU() if self.case.activation == "relu" else nn.Tanh()

    def forward(self, X: Any) -> Any:
        return self.network(X)

    def update(self, loss: Any) -> None:
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def batches(self) -> Any:
        case = self.case
        if case.full_batch:
            return ((self.X, self.y) for _ in range(case.steps_per_call))
        permutation = self.torch.randperm(case.rows)
        return zip(self.X[permutation].split(case.batch), self.y[permutation].split(case.batch), strict=True)

    def run(self, calls: int) -> None:
        for _ in range(calls):
            self.total = self.torch.zeros(())
            for X, y in self.batches():
                loss = self.divergence(self.forward(X), y)
                self.update(loss)
                self.total += loss.detach()

    def loss(self) -> float:
        return float(self.total) / self.case.steps_per_call


class Functions(Modules):
    """Plain functions; SGD is one multi-tensor call, Adam is the fused one of `torch.optim`."""

    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray) -> None:
        super().__init__(case, X, y, fused=True)
        self.activation = self.torch.relu if case.activation == "relu" else self.torch.tanh
        self.hidden = list(zip(self.parameters[:-2:2], self.parameters[1:-2:2], strict=True))

    def forward(self, X: Any) -> Any:
        linear = self.torch.nn.functional.linear
        for weight, bias in self.hidden:
            X = self.activation(linear(X, weight, bias))
        return linear(X, *self.parameters[-2:])

    def update(self, loss: Any) -> None:
        if self.case.optimizer == "adam":
            super().update(loss)
            return
        gradients = self.torch.autograd.grad(loss, self.parameters)
        with self.torch.no_grad():
            self.torch._foreach_add_(self.parameters, gradients, alpha=-self.case.learning_rate)


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    modules = partial(Modules, case, X, y)
    return {
        "modules": modules,
        "modules, fused optimiser": partial(modules, fused=True),
        "functions": lambda: Functions(case, X, y),
    }
