"""glassnet: neural networks you can see through, trained at the speed of the hardware."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glassnet import data, estimators, losses, nn, numpy, optim, random, train
from glassnet.execute import compile
from glassnet.losses import L1, L2, Elastic
from glassnet.nn import *  # noqa: F403 - a layer's public name is given once, in glassnet.nn
from glassnet.ops.control import checkpoint, cond, while_loop
from glassnet.ops.scan import scan
from glassnet.ops.structural import stop_gradient
from glassnet.optim import (
    EMA,
    LAMB,
    LBFGS,
    SAM,
    SGD,
    SWA,
    Accumulate,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    AdaptiveClip,
    AMSGrad,
    ClipByGlobalNorm,
    ClipByNorm,
    ClipByValue,
    ConjugateGradient,
    Freeze,
    LayerRates,
    LevenbergMarquardt,
    Lion,
    Muon,
    Nadam,
    RAdam,
    RMSprop,
    Rprop,
    ScheduleFree,
    chain,
)
from glassnet.persist import load
from glassnet.train import Convergence, EarlyStopping, Network, StopTraining, TimeLimit, minimize
from glassnet.transforms.batch import vmap
from glassnet.transforms.check import check_grads
from glassnet.transforms.curvature import gauss_newton_product, hessian, hvp
from glassnet.transforms.custom import custom
from glassnet.transforms.derivatives import grad, jacobian, jvp, value_and_grad, vjp
from glassnet.transforms.tracing import graph

if TYPE_CHECKING:
    from glassnet.explain import derive

__version__ = "0.1.0"

__all__ = [
    *nn.__all__,
    "EMA",
    "L1",
    "L2",
    "LAMB",
    "LBFGS",
    "SAM",
    "SGD",
    "SWA",
    "AMSGrad",
    "Accumulate",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "AdaptiveClip",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByValue",
    "ConjugateGradient",
    "Convergence",
    "EarlyStopping",
    "Elastic",
    "Freeze",
    "LayerRates",
    "LevenbergMarquardt",
    "Lion",
    "Muon",
    "Nadam",
    "Network",
    "RAdam",
    "RMSprop",
    "Rprop",
    "ScheduleFree",
    "StopTraining",
    "TimeLimit",
    "chain",
    "check_grads",
    "checkpoint",
    "compile",
    "cond",
    "custom",
    "data",
    "derive",
    "estimators",
    "gauss_newton_product",
    "grad",
    "graph",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "load",
    "losses",
    "minimize",
    "nn",
    "numpy",
    "optim",
    "random",
    "scan",
    "stop_gradient",
    "train",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
]

_LATER = {"derive": "glassnet.explain"}  # loaded when first asked for: training needs none of it


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module 'glassnet' has no attribute {name!r}")
