"""The declarations of all ops, one file a topic. Importing this package fills the registry."""

from glassnet.ops import (
    activation,
    arithmetic,
    classification,
    comparison,
    exponential,
    indexing,
    matrix,
    reduction,
    shaping,
    structural,
    trigonometric,
)

__all__ = [
    "activation",
    "arithmetic",
    "classification",
    "comparison",
    "exponential",
    "indexing",
    "matrix",
    "reduction",
    "shaping",
    "structural",
    "trigonometric",
]
