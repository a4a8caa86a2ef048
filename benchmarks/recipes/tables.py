"""Four small tables, against scikit-learn's MLP: the same rows, the same folds, a small grid for each."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import product
from typing import Any

import numpy as np
from recipes.task import Outcome, Task, fit, silent

import glassnet as gn
from glassnet.core.dtype import NDArray
from glassnet.data import Standardizer, stratified_split
from glassnet.train.events import Listener

Fold = tuple[NDArray, NDArray]  # rows to train on, rows to score on
Score = Callable[[NDArray, NDArray, NDArray, NDArray], float]  # X, y to train on, X, y to score on

HIDDEN = ((16,), (64,))
DECAYS = (1e-3, 1e-2, 1e-1)
