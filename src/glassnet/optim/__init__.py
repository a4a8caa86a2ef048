"""Optimisers, the transforms and wrappers that combine with them, and schedules of the learning rate."""

from glassnet.optim.accumulation import Accumulate
from glassnet.optim.adam import LAMB, Adam, Adamax, AdamW, AMSGrad, Nadam, RAdam
from glassnet.optim.adaptive import Adadelta, Adagrad, RMSprop
from glassnet.optim.averaging import EMA, SWA
from glassnet.optim.chaining import Chain, chain
from glassnet.optim.clipping import AdaptiveClip, ClipByGlobalNorm, ClipByNorm, ClipByValue
from glassnet.optim.conjugate_gradient import ConjugateGradient
from glassnet.optim.finder import LearningRateCurve, LearningRateFinder
from glassnet.optim.full_batch import FullBatchMethod
from glassnet.optim.gradient_descent import SGD, Perceptron
from glassnet.optim.layers import Freeze, LayerRates
from glassnet.optim.lbfgs import LBFGS
from glassnet.optim.levenberg_marquardt import LevenbergMarquardt
from glassnet.optim.optimizer import OPTIMIZERS, Optimizer, resolve
from glassnet.optim.orthogonal import Muon
from glassnet.optim.plateau import Plateau, PlateauState
from glassnet.optim.problems import LeastSquares, Objective, flatten_parameters
from glassnet.optim.schedule_free import ScheduleFree
from glassnet.optim.schedules import (
    Constant,
    Cosine,
    CosineRestarts,
    Custom,
    Exponential,
    OneCycle,
    Piecewise,
    Polynomial,
    Schedule,
    Step,
    Warmup,
    resolve_schedule,
)
from glassnet.optim.sharpness import SAM
from glassnet.optim.sign_based import Lion, Rprop
from glassnet.optim.transforms import GradientNoise, WeightDecay

__all__ = [
    "EMA",
    "LAMB",
    "LBFGS",
    "OPTIMIZERS",
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
    "Chain",
    "ClipByGlobalNorm",
    "ClipByNorm",
    "ClipByValue",
    "ConjugateGradient",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "Custom",
    "Exponential",
    "Freeze",
    "FullBatchMethod",
    "GradientNoise",
    "LayerRates",
    "LearningRateCurve",
    "LearningRateFinder",
    "LeastSquares",
    "LevenbergMarquardt",
    "Lion",
    "Muon",
    "Nadam",
    "Objective",
    "OneCycle",
    "Optimizer",
    "Perceptron",
    "Piecewise",
    "Plateau",
    "PlateauState",
    "Polynomial",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Schedule",
    "ScheduleFree",
    "Step",
    "Warmup",
    "WeightDecay",
    "chain",
    "flatten_parameters",
    "resolve",
    "resolve_schedule",
]
