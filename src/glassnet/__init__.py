"""glassnet: neural networks you can see through, trained at the speed of the hardware."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from glassnet import estimators, numpy, random
from glassnet.execute import compile
from glassnet.nn import Dense
from glassnet.ops.control import checkpoint, cond, while_loop
from glassnet.ops.scan import scan
from glassnet.ops.structural import stop_gradient
from glassnet.optim import SGD, Adam
from glassnet.persist import load
from glassnet.train import Network
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
    "SGD",
    "Adam",
    "Dense",
    "Network",
    "check_grads",
    "checkpoint",
    "compile",
    "cond",
    "custom",
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
    "numpy",
    "random",
    "scan",
    "stop_gradient",
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
