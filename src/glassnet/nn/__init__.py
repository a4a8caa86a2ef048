"""Layers: frozen dataclasses with `init` and a pure call on ONE example; vmap adds the batch."""

from glassnet.nn.dense import Dense
from glassnet.nn.layer import LAYERS, Layer, Parameters

__all__ = ["LAYERS", "Dense", "Layer", "Parameters"]
