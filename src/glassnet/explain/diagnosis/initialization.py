"""Verdicts on how the network starts: equal units, weights of a wrong size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.explain.diagnosis.evidence import Evidence
from glassnet.explain.diagnosis.passes import LayerPass, Pass
from glassnet.explain.diagnosis.report import Verdict
from glassnet.nn import Embedding
from glassnet.nn.initializers import fans

LARGE_GAIN = 10 / 3  # twice the largest that is recommended, 5/3 for tanh
SMALL_GAIN = 0.1
_KERNELS = ("weight", "kernel", "recurrent")


def symmetric_units(evidence: Evidence) -> Iterator[Verdict]:
    """Units of a hidden layer with equal weights and equal gradients."""
    seen = evidence.first
    if seen is None:
        return
    for layer, arrays in _hidden(evidence, seen):
        if not arrays or not all(
            _equal_units(array, layer.layer) and _equal_units(seen.gradient[name], layer.layer)
            for name, array in arrays
        ):
            continue
        first = arrays[0][1]
        what = f"all {float(first.flat[0]):g}" if np.ptp(first) == 0 else "equal from unit to unit"
        yield Verdict(
            "symmetric_units",
            "error",
            f"The weights of {layer.name} start {what}, and the gradients of its {layer.y.shape[-1]} "
            "units are equal too, so that training keeps them copies of one unit.",
            0.0,
            0.0,
            "Goodfellow, Bengio and Courville, Deep Learning (2016), section 8.4: symmetry must be broken",
            f"Start {layer.name} from random weights: leave kernel_initializer out, or take "
            '"glorot_uniform" or "he_uniform".',
            layer.name,
        )
        return


def weight_scale(evidence: Evidence) -> Iterator[Verdict]:
    """Initial weights far too large, or in layer after layer far too small, for the fan."""
    seen = evidence.first
    if seen is None:
        return
    large: list[tuple[float, str, LayerPass]] = []
    small: list[tuple[float, str, LayerPass]] = []
    for layer in seen.layers:
        if isinstance(layer.layer, Embedding):  # its weights are no sums' factors: they have no fan
            continue
        for name, array in evidence.parameters(layer.name, evidence.start):
            if name.rsplit(".", 1)[-1] not in _KERNELS or array.ndim < 2 or not array.any():
                continue
            fan_in, fan_out = _fans(name, array, layer.layer)
            size = float(np.sqrt(np.square(array, dtype=np.float64).mean()))
            if size * math.sqrt(fan_in) > LARGE_GAIN:
                large.append((size * math.sqrt(fan_in), name, layer))
            if size * math.sqrt((fan_in + fan_out) / 2) < SMALL_GAIN:
                small.append((size * math.sqrt((fan_in + fan_out) / 2), name, layer))
    if large:
        number, name, layer = max(large, key=lambda found: found[0])
        yield _weights(
            f"{name} starts {number:.3g} times as large as keeps the size of a signal"
            f"{_growth(seen)}, so that activations saturate or explode.",
            number,
            LARGE_GAIN,
            layer.name,
        )
    elif len(small) > 1:
        number, name, layer = min(small, key=lambda found: found[0])
        yield _weights(
            f"{name} and {len(small) - 1} more arrays start far too small ({number:.3g} of what keeps the "
            f"size of a signal){_growth(seen)}, so that the signal dies away.",
            number,
            SMALL_GAIN,
            layer.name,
        )


def _weights(sentence: str, number: float, threshold: float, layer: str) -> Verdict:
    return Verdict(
        "large_weights",
        "warning",
        sentence,
        number,
        threshold,
        "Glorot and Bengio, AISTATS (2010), equation 12; He et al., ICCV (2015), equation 10: gain 1 "
        "to sqrt 2",
        f"Start {layer} with standard deviation sqrt(1 / inputs): leave kernel_initializer out, or take "
        '"glorot_uniform" (tanh, sigmoid) or "he_uniform" (relu).',
        layer,
    )


def _growth(seen: Pass) -> str:
    """How z changes from the first layer that has one to the last."""
    sizes = [
        float(np.sqrt(np.square(each.z, dtype=np.float64).mean()))
        for each in seen.layers
        if each.z is not None
    ]
    return f" (z goes from {sizes[0]:.2g} to {sizes[-1]:.2g} through the layers)" if len(sizes) > 1 else ""


def _fans(name: str, array: NDArray, layer: Any) -> tuple[int, int]:
    fan_in, fan_out = fans(array.shape)
    units = getattr(layer, "units", None)
    if not name.endswith(".weight") and isinstance(units, int) and array.shape[0] % units == 0:
        fan_out = units  # the blocks of several gates lie below each other
    return fan_in, fan_out


def _hidden(evidence: Evidence, seen: Pass) -> Iterator[tuple[LayerPass, list[tuple[str, NDArray]]]]:
    """The layers with weights, but for the last of them, and their arrays of two axes or more."""
    with_weights = [
        (layer, [(n, a) for n, a in evidence.parameters(layer.name, evidence.start) if a.ndim > 1])
        for layer in seen.layers
    ]
    yield from [(layer, arrays) for layer, arrays in with_weights if arrays][:-1]


def _equal_units(array: NDArray, layer: Any) -> bool:
    """Whether the rows of an array, one a unit, are equal; of several gates those of each gate."""
    units = getattr(layer, "units", array.shape[0])
    rows = array.reshape(-1, units if array.shape[0] % units == 0 else array.shape[0], array[0].size)
    if rows.shape[1] < 2:
        return False
    return bool(np.allclose(rows, rows[:, :1], rtol=1e-4, atol=1e-6 * float(np.abs(array).max(initial=0.0))))
