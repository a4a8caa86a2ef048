"""The training program, the loop around it, and Network, which holds the parameters."""

from glassnet.train.events import EpochFinished, Event, Listener, RunFinished, RunStarted
from glassnet.train.history import History
from glassnet.train.loop import TrainingProgram
from glassnet.train.network import Network

__all__ = [
    "EpochFinished",
    "Event",
    "History",
    "Listener",
    "Network",
    "RunFinished",
    "RunStarted",
    "TrainingProgram",
]
