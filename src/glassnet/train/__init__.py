"""The training program, the loop around it, and Network, which holds the parameters."""

from glassnet.train.events import (
    BatchesFinished,
    EpochFinished,
    EpochStarted,
    Event,
    Listener,
    RunFinished,
    RunStarted,
    StopTraining,
)
from glassnet.train.history import History
from glassnet.train.minimize import minimize
from glassnet.train.network import Network
from glassnet.train.stopping import Convergence, EarlyStopping, StoppingRule, TimeLimit
from glassnet.train.training import TrainingProgram

__all__ = [
    "BatchesFinished",
    "Convergence",
    "EarlyStopping",
    "EpochFinished",
    "EpochStarted",
    "Event",
    "History",
    "Listener",
    "Network",
    "RunFinished",
    "RunStarted",
    "StopTraining",
    "StoppingRule",
    "TimeLimit",
    "TrainingProgram",
    "minimize",
]
