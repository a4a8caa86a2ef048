"""NumPy's names and rules for functions that can be differentiated, batched and compiled.

On plain arrays these functions compute at once; on traced arrays they record what they do.

    import glassnet.numpy as gnp
    gnp.exp(x), gnp.where(x > 0, x, 0.0), a @ b, gnp.sum(x, axis=0)
"""

from __future__ import annotations

import math

from glassnet.core.dtype import FLOAT32, FLOAT64
from glassnet.ops.activation import leaky_relu, relu
from glassnet.ops.arithmetic import (
    abs,
    add,
    divide,
    maximum,
    minimum,
    multiply,
    negative,
    power,
    sign,
    sqrt,
    square,
    subtract,
)
from glassnet.ops.classification import sigmoid_cross_entropy, softmax, softmax_cross_entropy
from glassnet.ops.comparison import equal, greater, greater_equal, less, less_equal, not_equal, one_hot, where
from glassnet.ops.exponential import exp, expm1, log, log1p, sigmoid, softplus
from glassnet.ops.matrix import contract, matmul, outer
from glassnet.ops.reduction import logsumexp, mean, sum
from glassnet.ops.shaping import broadcast_to, concatenate, expand_dims, reshape, stack, transpose
from glassnet.ops.structural import stop_gradient
from glassnet.ops.trigonometric import cos, sin, tanh

float32 = FLOAT32
float64 = FLOAT64
pi = math.pi
e = math.e

__all__ = [
    "abs",
    "add",
    "broadcast_to",
    "concatenate",
    "contract",
    "cos",
    "divide",
    "e",
    "equal",
    "exp",
    "expand_dims",
    "expm1",
    "float32",
    "float64",
    "greater",
    "greater_equal",
    "leaky_relu",
    "less",
    "less_equal",
    "log",
    "log1p",
    "logsumexp",
    "matmul",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "negative",
    "not_equal",
    "one_hot",
    "outer",
    "pi",
    "power",
    "relu",
    "reshape",
    "sigmoid",
    "sigmoid_cross_entropy",
    "sign",
    "sin",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "sqrt",
    "square",
    "stack",
    "stop_gradient",
    "subtract",
    "sum",
    "tanh",
    "transpose",
    "where",
]
