"""glassnet: neural networks you can see through, trained at the speed of the hardware."""

from __future__ import annotations

from glassnet import estimators, numpy
from glassnet.explain import derive
from glassnet.nn import Dense
from glassnet.optim import SGD, Adam
from glassnet.persist import load
from glassnet.train import Network
from glassnet.transforms.batch import vmap
from glassnet.transforms.check import check_grads
from glassnet.transforms.derivatives import grad, jacobian, jvp, value_and_grad, vjp

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Adam",
    "Dense",
    "Network",
    "check_grads",
    "derive",
    "estimators",
    "grad",
    "jacobian",
    "jvp",
    "load",
    "numpy",
    "value_and_grad",
    "vjp",
    "vmap",
]
