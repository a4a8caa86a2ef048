"""PyTorch eager: modules with `torch.optim`, or plain functions with a multi-tensor update."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from cases import Case

from peers import Variants, threads
from peers.torch_layers import network

DISTRIBUTIONS = ("torch",)


class Modules:
    """`nn.Sequential` with an optimiser of `torch.optim`."""

    def __init__(
        self,
        case: Case,
        X: np.ndarray,
        y: np.ndarray,
        *,
        fused: bool | None = None,
        channels_last: bool = False,
    ) -> None:
        import torch

        torch.set_num_threads(threads())
        torch.set_flush_denormal(True)
        torch.manual_seed(0)
        self.torch: Any = torch
        self.case = case
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        self.network = network(case.layers, case.row)
        if X.ndim == 4:
            self.X = self.X.movedim(-1, 1).contiguous()
        if channels_last:
            self.X = self.X.contiguous(memory_format=torch.channels_last)
            self.network = self.network.to(memory_format=torch.channels_last)
        self.parameters = list(self.network.parameters())
        method: Any = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
        decay = {"weight_decay": case.weight_decay} if case.optimizer == "adamw" else {}
        self.optimizer = method[case.optimizer](self.parameters, lr=case.learning_rate, fused=fused, **decay)
        functional = torch.nn.functional
        self.total = torch.zeros(())  # the summed loss of the latest call
        self.divergence: Any = {
            "mean_squared_error": functional.mse_loss,
            "cross_entropy": functional.cross_entropy,
            "binary_cross_entropy": functional.binary_cross_entropy_with_logits,
        }[case.loss]

    def evaluate(self, X: Any, y: Any) -> Any:
        return self.divergence(self.network(X), y)

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
                loss = self.evaluate(X, y)
                self.update(loss)
                self.total += loss.detach()

    def loss(self) -> float:
        return float(self.total) / self.case.steps_per_call


class Functions(Modules):
    """A dense network in plain functions; SGD is one multi-tensor call, Adam that of `torch.optim`, fused."""

    def __init__(self, case: Case, X: np.ndarray, y: np.ndarray) -> None:
        super().__init__(case, X, y, fused=True)
        assert case.dense is not None
        self.activation = getattr(self.torch, case.dense[0].activation or "relu")
        self.hidden = list(zip(self.parameters[:-2:2], self.parameters[1:-2:2], strict=True))

    def evaluate(self, X: Any, y: Any) -> Any:
        functional = self.torch.nn.functional
        for weight, bias in self.hidden:
            X = self.activation(functional.linear(X, weight, bias))
            if self.case.dropout:
                X = functional.dropout(X, self.case.dropout)
        return self.divergence(functional.linear(X, *self.parameters[-2:]), y)

    def update(self, loss: Any) -> None:
        if self.case.optimizer != "sgd":
            super().update(loss)
            return
        gradients = self.torch.autograd.grad(loss, self.parameters)
        with self.torch.no_grad():
            self.torch._foreach_add_(self.parameters, gradients, alpha=-self.case.learning_rate)


def variants(case: Case, X: np.ndarray, y: np.ndarray) -> Variants:
    modules = partial(Modules, case, X, y)
    chosen: Variants = {"modules": modules, "modules, fused optimiser": partial(modules, fused=True)}
    if case.dense is not None:
        chosen["functions"] = lambda: Functions(case, X, y)
    if len(case.row) == 3:
        chosen["modules, fused optimiser, channels last"] = partial(modules, fused=True, channels_last=True)
    return chosen
