"""Verdicts on gradients and units: vanishing, exploding, dead, saturated, frozen."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.explain.diagnosis.evidence import Evidence
from glassnet.explain.diagnosis.passes import LayerPass, Pass, norms
from glassnet.explain.diagnosis.report import LayerNumbers, Verdict
from glassnet.nn.activations import name_of
from glassnet.nn.recurrent import Recurrent

VANISHED = 1e-3  # of the last layer's delta
EXPLODED = 1e2
EXPLODED_IN_TIME = 1e3
VANISHED_IN_TIME = 1e-4
DEAD = 0.4
SATURATED = 0.5
FLAT = 0.05  # of the steepest slope, on average over the rows
STILL = 1e-7  # relative: below the rounding of float32
_STEEPEST = {"sigmoid": 0.25, "tanh": 1.0, "hard_sigmoid": 1 / 6, "softsign": 1.0}
_RECTIFIERS = ("relu", "relu6")
_GLOROT = "Glorot and Bengio, AISTATS (2010), section 4.2: back-propagated gradients by layer"
_PASCANU = "Pascanu, Mikolov and Bengio, ICML (2013), section 2: the product of Jacobians through time"


def activation_of(layer: LayerPass) -> str:
    """The name of a layer's activation; empty for one of the user's own."""
    return name_of(layer.layer.output_activation) or ""


def slopes(layer: LayerPass) -> NDArray | None:
    """f'(z) of every unit (rows and positions, units), from y; None for activations not known here."""
    y = layer.units
    match activation_of(layer):
        case "sigmoid":
            return y * (1 - y)
        case "tanh":
            return 1 - y * y
        case "hard_sigmoid":
            return np.where((y > 0) & (y < 1), 1 / 6, 0.0)
        case "softsign":
            return (1 - np.abs(y)) ** 2
        case "relu" | "relu6":
            return (y > 0).astype(y.dtype)
        case _:
            return None


def dead_share(layer: LayerPass) -> float:
    """The share of a rectifier's units that are 0 for every row; NaN for other layers."""
    if activation_of(layer) not in _RECTIFIERS:
        return math.nan
    return float(np.mean((layer.units == 0).all(axis=0)))


def saturated_share(layer: LayerPass) -> float:
    """The share of sigmoid and tanh units whose mean slope is below FLAT of the steepest; NaN for others."""
    steepest, each = _STEEPEST.get(activation_of(layer)), slopes(layer)
    if steepest is None or each is None or isinstance(layer.layer, Recurrent):
        return math.nan
    return float(np.mean(each.mean(axis=0) < FLAT * steepest))


def vanishing_gradients(evidence: Evidence) -> Iterator[Verdict]:
    """Deltas that shrink from the last layer to the first, or along a sequence."""
    seen = evidence.first
    if seen is None or not seen.finite:
        return
    layers = _with_z(seen)
    if len(layers) > 2:
        ratio, chain = _across(layers)
        if ratio < VANISHED:
            severity = "note" if evidence.good else "error" if ratio < VANISHED**2 else "warning"
            yield Verdict(
                "vanishing_gradients",
                severity,
                f"The gradient shrinks from {layers[-1].name} to {layers[0].name} by the factor {ratio:.2g} "
                f"through {len(layers)} layers ({chain}), so that the first layers hardly learn.",
                ratio,
                VANISHED,
                _GLOROT,
                "Use relu (or tanh) in place of sigmoid inside the network with its default initialisation, "
                "normalisation between layers, or residual connections.",
                layers[0].name,
            )
            return
    ratio, layer = _through_time(evidence, seen)
    if layer and ratio < VANISHED_IN_TIME and evidence.trained and evidence.skill < 0.5:
        yield Verdict(
            "vanishing_gradients",
            "warning",
            f"The gradient at the first step of the sequence is {ratio:.2g} of the largest, so that {layer} "
            "learns nothing from what comes early.",
            ratio,
            VANISHED_IN_TIME,
            _PASCANU,
            "Use an LSTM or GRU, an orthogonal recurrent_initializer, or shorter sequences.",
            layer,
        )


def exploding_gradients(evidence: Evidence) -> Iterator[Verdict]:
    """Deltas that grow from the last layer to the first, or along a sequence."""
    for seen in reversed(evidence.passes):
        layers = _with_z(seen)
        ratio, chain = _across(layers) if len(layers) > 2 else (1.0, "")
        in_time, layer = _through_time(evidence, seen)
        if ratio > EXPLODED:
            where = f"from {layers[-1].name} to {layers[0].name} ({chain})"
            number, limit, source, layer = ratio, EXPLODED, _GLOROT, layers[0].name
        elif layer and in_time > EXPLODED_IN_TIME:
            where = f"from the last step of the sequence to the first through {layer}"
            number, limit, source = in_time, EXPLODED_IN_TIME, _PASCANU
        else:
            continue
        yield Verdict(
            "exploding_gradients",
            "warning",
            f"The gradient grows {where} by the factor {number:.2g}, so that steps are far too long there.",
            number,
            limit,
            source,
            "Start from smaller weights (the default initialisers; orthogonal for recurrent ones), and clip: "
            "gn.chain(gn.ClipByGlobalNorm(1.0), gn.Adam()).",
            layer,
        )
        return


def dead_units_at_start(evidence: Evidence) -> Iterator[Verdict]:
    """Units that the initialisation has killed."""
    yield from _dead(evidence, evidence.first, "before training")


def dead_units(evidence: Evidence) -> Iterator[Verdict]:
    """Units that died in training."""
    if evidence.trained and not any(_dead(evidence, evidence.first, "")):
        yield from _dead(evidence, evidence.last, "now")


def _dead(evidence: Evidence, seen: Pass | None, when: str) -> Iterator[Verdict]:
    found = [] if seen is None else [(dead_share(layer), layer) for layer in seen.layers]
    found = [(share, layer) for share, layer in found if share >= DEAD and layer.units.shape[1] > 3]
    if not found:
        return
    share, layer = max(found, key=lambda each: each[0])
    severity = "error" if share == 1 else "note" if evidence.good or len(evidence.few.x) < 20 else "warning"
    yield Verdict(
        "dead_units",
        severity,
        f"{share:.0%} of the {layer.units.shape[1]} units of {layer.name} are dead {when}: they give "
        f"0 for all {len(layer.y)} rows, and no gradient goes through them.",
        share,
        DEAD,
        "Karpathy, Stanford CS231n notes: as much as 40 % of a network can be dead",
        "Start biases at 0 with He initialisation, lower the learning rate, or use leaky_relu or elu.",
        layer.name,
    )


def saturated_units_at_start(evidence: Evidence) -> Iterator[Verdict]:
    """Units that start at the flat ends."""
    yield from _saturated(evidence, evidence.first, "before training")


def saturated_units(evidence: Evidence) -> Iterator[Verdict]:
    """Units that training drove to the flat ends."""
    if evidence.trained and not any(_saturated(evidence, evidence.first, "")):
        yield from _saturated(evidence, evidence.last, "now")


def _saturated(evidence: Evidence, seen: Pass | None, when: str) -> Iterator[Verdict]:
    hidden = [] if seen is None else list(seen.layers[:-1])
    found = [(saturated_share(layer), layer) for layer in hidden]
    found = [(share, layer) for share, layer in found if share >= SATURATED]
    if not found:
        return
    share, layer = max(found, key=lambda each: each[0])
    yield Verdict(
        "saturated_units",
        "note" if evidence.good else "warning",
        f"{share:.0%} of the units of {layer.name} are saturated {when}: their {activation_of(layer)} "
        f"is so flat that on average less than {FLAT:.0%} of its steepest slope is left.",
        share,
        SATURATED,
        "Glorot and Bengio, AISTATS (2010), section 3: saturated units hardly pass gradients on",
        "Start from smaller weights and biases of 0, standardise the inputs, or lower the learning rate.",
        layer.name,
    )


def frozen_layer(evidence: Evidence) -> Iterator[Verdict]:
    """Layers whose parameters do not move though their gradient is there."""
    if (
        not evidence.losses
        or evidence.first is None
        or evidence.last is None
        or evidence.now is evidence.start
    ):
        return
    for layer in evidence.first.layers:
        arrays = [name for name, _ in evidence.parameters(layer.name, evidence.start)]
        if not arrays or any(evidence.moved[name] > STILL for name in arrays):
            continue
        slope = math.sqrt(sum(float(np.square(evidence.first.gradient[name]).sum()) for name in arrays))
        whole = math.sqrt(sum(float(np.square(g).sum()) for g in evidence.first.gradient.values()))
        if slope > 1e-6 * whole:
            yield Verdict(
                "frozen_layer",
                "warning",
                f"{layer.name} has not moved in {len(evidence.losses)} epochs, though "
                f"{slope / whole:.1%} of the gradient was its own.",
                max(evidence.moved[name] for name in arrays),
                STILL,
                "Karpathy, Stanford CS231n notes: updates are about 1e-3 of the weights in every step",
                f"Take {layer.name} out of Freeze, or leave it so if it was trained before on other data.",
                layer.name,
            )


def layer_numbers(evidence: Evidence) -> tuple[LayerNumbers, ...]:
    """The numbers of every layer of the model as it is."""
    seen = evidence.last
    if seen is None:
        return ()
    rows: list[LayerNumbers] = []
    for layer in seen.layers:
        arrays = dict(evidence.parameters(layer.name, evidence.now))
        weights = norm_of(list(arrays.values()))
        each = slopes(layer)
        rows.append(
            LayerNumbers(
                layer.name,
                _root_mean_square(layer.y),
                math.nan if layer.z is None else _root_mean_square(layer.z),
                float(np.mean(layer.delta_norms)),
                math.nan if each is None else float(np.mean(each)),
                dead_share(layer),
                saturated_share(layer),
                norm_of([seen.gradient[name] for name in arrays]) / weights if weights else math.nan,
                _moved(evidence, layer.name),
            )
        )
    return tuple(rows)


def _moved(evidence: Evidence, layer: str) -> float:
    """How far the run took all parameters of a layer, relative to their size before it."""
    before = dict(evidence.parameters(layer, evidence.start))
    size = norm_of(list(before.values()))
    if not size or evidence.now is evidence.start:
        return math.nan
    return norm_of([array - before[name] for name, array in evidence.parameters(layer, evidence.now)]) / size


def norm_of(arrays: list[NDArray]) -> float:
    """The Euclidean norm of all numbers of some arrays."""
    return math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))


def _root_mean_square(array: NDArray) -> float:
    return float(np.sqrt(np.square(array, dtype=np.float64).mean()))


def _with_z(seen: Pass) -> list[LayerPass]:
    return [layer for layer in seen.layers if layer.z is not None]


def _across(layers: list[LayerPass]) -> tuple[float, str]:
    """The first layer's delta against the last one's, and the factors that make it."""
    sizes = [float(np.mean(layer.delta_norms)) for layer in layers]
    if not all(map(math.isfinite, sizes)) or not sizes[-1] or not sizes[0]:
        return 1.0, ""  # no gradient at all is another verdict's
    means = [float(np.mean(each)) for each in map(slopes, layers[:-1]) if each is not None]
    slope = f", mean slope {np.exp(np.mean(np.log(np.maximum(means, 1e-30)))):.2g}" if means else ""
    each = (sizes[0] / sizes[-1]) ** (1 / (len(sizes) - 1))
    return sizes[0] / sizes[-1], f"{each:.2g} a layer{slope}"


def _through_time(evidence: Evidence, seen: Pass) -> tuple[float, str]:
    """The gradient at the first step of the first recurrent layer's walk against the last, and its name."""
    for place, layer in enumerate(seen.layers):
        if isinstance(layer.layer, Recurrent):
            into = seen.x_bar if place == 0 else seen.layers[place - 1].delta
            if into.ndim != 3 or into.shape[1] < 3 or not np.isfinite(into).all():
                return 1.0, ""
            steps = np.array([float(norms(into[:, t]).mean()) for t in range(into.shape[1])])
            if layer.layer.go_backwards:
                steps = steps[::-1]
            grows = steps[0] > steps[-1]
            against = steps[-1] if grows else steps.max()
            return (float(steps[0] / against), layer.name) if against > 0 else (1.0, "")
    return 1.0, ""
