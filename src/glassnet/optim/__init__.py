"""Optimisers as (init, update) pairs of pure functions."""

from glassnet.optim.optimizer import OPTIMIZERS, SGD, Adam, Optimizer, resolve

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Optimizer", "resolve"]
