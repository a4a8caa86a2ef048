"""Divergences between prediction and target, and what is added to them for large weights.

Each divergence is a pure function of one example, and a `Loss` of the same name in capitals that holds its
options.
"""

from glassnet.losses.classification import (
    BinaryCrossEntropy,
    BinaryCrossEntropyFromProbabilities,
    CrossEntropy,
    CrossEntropyFromProbabilities,
    KLDivergence,
    binary_cross_entropy,
    binary_cross_entropy_from_probabilities,
    cross_entropy,
    cross_entropy_from_probabilities,
    kl_divergence,
)
from glassnet.losses.focal import BinaryFocal, Focal, binary_focal, focal
from glassnet.losses.loss import LOSSES, Loss, resolve
from glassnet.losses.margin import (
    Hinge,
    MulticlassHinge,
    Perceptron,
    SquaredHinge,
    hinge,
    multiclass_hinge,
    perceptron,
    squared_hinge,
)
from glassnet.losses.regression import (
    HalfSquaredError,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    Poisson,
    Quantile,
    half_squared_error,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_squared_error,
    poisson,
    quantile,
)
from glassnet.losses.regularizers import L1, L2, Elastic, Regularizer, max_norm

__all__ = [
    "L1",
    "L2",
    "LOSSES",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyFromProbabilities",
    "BinaryFocal",
    "CrossEntropy",
    "CrossEntropyFromProbabilities",
    "Elastic",
    "Focal",
    "HalfSquaredError",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "MulticlassHinge",
    "Perceptron",
    "Poisson",
    "Quantile",
    "Regularizer",
    "SquaredHinge",
    "binary_cross_entropy",
    "binary_cross_entropy_from_probabilities",
    "binary_focal",
    "cross_entropy",
    "cross_entropy_from_probabilities",
    "focal",
    "half_squared_error",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "max_norm",
    "mean_absolute_error",
    "mean_squared_error",
    "multiclass_hinge",
    "perceptron",
    "poisson",
    "quantile",
    "resolve",
    "squared_hinge",
]
