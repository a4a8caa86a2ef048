"""Activations. Where slopes can be read off the output they are: the backward pass need not keep z."""

# The rules are lambdas over an open array namespace `xp`, whose members no type checker knows.
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownMemberType=false

from __future__ import annotations

import math
from typing import Any

from glassnet.core.op import call
from glassnet.core.registry import function
from glassnet.ops.arithmetic import abs, clip, square
from glassnet.ops.comparison import choose, greater, where
from glassnet.ops.declare import elementwise
from glassnet.ops.exponential import expm1, sigmoid, softplus
from glassnet.ops.special import erfc
from glassnet.ops.trigonometric import tanh

relu = elementwise(
    "relu",
    # NOTE x < 0 ? 0 : x, not max(0, x): a NaN stays a NaN in every engine.
    value=lambda xp, x: xp.where(x < 0, xp.zeros_like(x), x),
    partials=lambda out, x: choose(greater(out, 0), 1.0, 0.0, out),
    result="same",
    formula=call("relu"),
    kinks="relu'(0) = 0",
    analytic=False,
    source="Nair and Hinton, ICML 2010",
    summary="The rectified linear unit: x where x > 0, else 0.",
)
_leaky_relu = elementwise(
    "leaky_relu",
    value=lambda xp, x, *, slope: xp.where(x > 0, x, slope * x),
    partials=lambda out, x, *, slope: choose(greater(out, 0), 1.0, slope, out),
    formula=call("leaky"),
    kinks="leaky_relu'(0) = slope",
    analytic=False,
    source="Maas, Hannun and Ng, ICML workshop 2013",
    summary="x where x > 0, else slope * x, for a slope > 0.",
)
softsign = elementwise(
    "softsign",
    value=lambda xp, x: x / (1 + xp.abs(x)),
    # An op of its own: composed, its slope 1/(1+|x|) - |x|/(1+|x|)^2 cancels for large x.
    partials=lambda out, x: 1 / square(1 + abs(x)),
    formula=call("softsign"),
    note="The slope has a kink at 0; the second derivative there is taken as 0.",
    analytic=False,  # the value rule takes |x|
    source="Turian, Bergstra and Bengio, NAACL 2009",
    summary="x / (1 + |x|), between -1 and 1.",
)

# The fixed point of Klambauer et al.: mean 0 and variance 1 go to mean 0 and variance 1.
_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


@function
def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x where x > 0, else slope * x, for a slope > 0.

    The shape is that of x. The slope at 0 is `slope`, that of the left side.

    >>> leaky_relu(np.array([-2.0, 3.0]))
    array([-0.02,  3.  ])

    Source: Maas, Hannun and Ng, ICML workshop 2013.
    """
    return _leaky_relu(x, slope=slope)


@function
def gelu(x: Any) -> Any:
    """The Gaussian error linear unit, exactly: x times the probability that a normal number is below x.

    gelu(x) = x erfc(-x / sqrt(2)) / 2. The shape is that of x; there are no kinks.

    >>> round(float(gelu(1.0)), 6)
    0.841345

    Source: Hendrycks and Gimpel (2016), section 2.
    """
    return 0.5 * x * erfc(-math.sqrt(0.5) * x)


@function
def silu(x: Any) -> Any:
    """The sigmoid linear unit (swish), x s(x).

    The shape is that of x; there are no kinks.

    >>> round(float(silu(1.0)), 6)
    0.731059

    Source: Elfwing, Uchibe and Doya, Neural Networks 107 (2018).
    """
    return x * sigmoid(x)


@function
def mish(x: Any) -> Any:
    """x tanh(softplus(x)).

    The shape is that of x; there are no kinks.

    >>> round(float(mish(1.0)), 6)
    0.865098

    Source: Misra, BMVC 2020.
    """
    return x * tanh(softplus(x))


@function
def elu(x: Any, alpha: float = 1.0) -> Any:
    """The exponential linear unit: x where x > 0, else alpha (exp(x) - 1).

    The shape is that of x. The slope at 0 is alpha, that of the left side (1 for alpha = 1: no kink).

    >>> elu(np.array([-1.0, 2.0])).round(4)
    array([-0.6321,  2.    ])

    Source: Clevert, Unterthiner and Hochreiter, ICLR 2016.
    """
    positive = greater(x, 0)
    # The side that is not taken must not overflow.
    return where(positive, x, alpha * expm1(where(positive, 0.0, x)))


@function
def selu(x: Any) -> Any:
    """The self-normalising unit: elu with alpha = 1.6733 times 1.0507.

    The shape is that of x. The slope at 0 is that of the left side, 1.7581.

    >>> selu(np.array([-1.0, 2.0])).round(4)
    array([-1.1113,  2.1014])

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, NIPS 2017.
    """
    return _SELU_SCALE * elu(x, _SELU_ALPHA)


@function
def relu6(x: Any) -> Any:
    """The rectified linear unit with a ceiling, min(max(x, 0), 6).

    The shape is that of x. The slope at 0 and at 6 is 0.

    >>> relu6(np.array([-1.0, 2.0, 9.0]))
    array([0., 2., 6.])

    Source: Krizhevsky (2010), convolutional deep belief networks on CIFAR-10.
    """
    return clip(x, 0.0, 6.0)


@function
def hard_sigmoid(x: Any) -> Any:
    """The sigmoid in three straight pieces, min(max(x / 6 + 1/2, 0), 1).

    The shape is that of x. The slope at -3 and 3 is 0.

    >>> hard_sigmoid(np.array([-4.0, 0.0, 1.5, 4.0]))
    array([0.  , 0.5 , 0.75, 1.  ])

    Source: Howard et al., ICCV 2019.
    """
    return clip(x / 6 + 0.5, 0.0, 1.0)


@function
def hard_tanh(x: Any) -> Any:
    """The tanh in three straight pieces, min(max(x, -1), 1).

    The shape is that of x. The slope at -1 and 1 is 0.

    >>> hard_tanh(np.array([-2.0, 0.5, 2.0]))
    array([-1. ,  0.5,  1. ])

    Source: Collobert (2004), large scale machine learning.
    """
    return clip(x, -1.0, 1.0)
