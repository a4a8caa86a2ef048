"""Verdicts on the length of the steps: learning rate, momentum, batches, curvature.

What an option is worth is measured: the last run is repeated for some epochs with that option changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.random import Key, normal
from glassnet.core.tree import flatten, tree_map, unflatten
from glassnet.errors import GlassnetError
from glassnet.explain.diagnosis.evidence import Evidence
from glassnet.explain.diagnosis.probes import epochs_of, option_of, probe, with_option
from glassnet.explain.diagnosis.report import Verdict
from glassnet.train.naming import named
from glassnet.transforms.curvature import hvp

MISSED = 0.25  # of the fall of the loss that the changed run reaches
LITTLE = 0.35  # of the fall of the loss that a rate ten times higher reaches
LITTLE_UNLEARNT = 0.85  # the same where neighbours know the rows far better
USUAL_MOMENTUM = 0.9
SMALL_BATCH = 8
_CURVED_ROWS = 128
_PRODUCTS = 12
STANDSTILL = 0.02  # of the loss
_LONGER = (10, 100, 1000)
_SHORTER = (0.1, 0.01, 0.001)


def step_length(evidence: Evidence) -> Iterator[Verdict]:
    """Steps too long (by the momentum, by the noise of small batches, or by the rate) or too short."""
    optimizer, rate, start = evidence.optimizer, evidence.rate, evidence.loss_at_start
    if optimizer is None or rate is None or evidence.last_fit is None or not math.isfinite(start):
        return
    losses = evidence.losses
    end = math.inf if evidence.diverged or not losses else float(np.median(losses[-3:]))
    if end < 0.02 * start and evidence.skill > 0.95:
        return  # there is nothing left that other steps could reach
    momentum = option_of(optimizer, "momentum") or 0.0
    if momentum > USUAL_MOMENTUM:
        calmer = probe(evidence, with_option(optimizer, "momentum", lambda _: 0.5)).end
        if _misses(end, calmer, start):
            yield _momentum(evidence, momentum, end, calmer)
            return
    if evidence.batch_rows <= SMALL_BATCH and len(evidence.rows.x) >= 4 * SMALL_BATCH * evidence.batch_rows:
        larger = probe(evidence, optimizer, 16 * evidence.batch_rows).end
        if _misses(end, larger, start):
            yield _batch(evidence, end, larger)
            return
    for factor in _SHORTER if evidence.diverged else _SHORTER[:2]:
        shorter = probe(evidence, optimizer.with_learning_rate(factor * rate)).end
        if _misses(end, shorter, start):
            yield _too_high(evidence, rate, factor, end, shorter)
            return
    if evidence.diverged:
        yield _diverged(evidence, rate)
        return
    limit = LITTLE_UNLEARNT if evidence.unlearnt else LITTLE
    for factor in _LONGER if start - end < STANDSTILL * start else _LONGER[:1]:
        longer = probe(evidence, optimizer.with_learning_rate(factor * rate)).end
        if start - end < limit * (start - longer) and longer < 0.9 * start:
            yield _too_low(evidence, rate, factor, end, longer, start)
            return


def _misses(end: float, changed: float, start: float) -> bool:
    """Whether a run ended far above what it reaches, in no more epochs, with an option changed."""
    return changed < 0.9 * start and end > 1.25 * changed and end - changed > MISSED * (start - changed)


def _ended(end: float) -> str:
    return f"ended at {end:.3g}" if math.isfinite(end) else "diverged"


def _too_high(evidence: Evidence, rate: float, factor: float, end: float, shorter: float) -> Verdict:
    jumps = sum(after > before for before, after in zip(evidence.losses, evidence.losses[1:], strict=False))
    risen = f", the loss rising in {jumps} of {len(evidence.losses)} epochs" if jumps else ""
    return Verdict(
        "learning_rate_too_high",
        "error" if evidence.diverged else "warning",
        f"The learning rate {rate:g} is too high: the run {_ended(end)}{risen}, while "
        f"{factor * rate:g} reaches {shorter:.3g} in {epochs_of(evidence)} epochs.",
        end / max(shorter, 1e-30),
        1.25,
        "measured by running again; Bengio (2012), section 3: the highest rate that does not make "
        "the loss grow",
        f"Set the learning rate to about {factor * rate:g}, or find one with net.find_learning_rate(X, y).",
    )


def _diverged(evidence: Evidence, rate: float) -> Verdict:
    return Verdict(
        "learning_rate_too_high",
        "error",
        f"The run diverged after {len(evidence.losses)} epochs at the learning rate {rate:g}, and runs with "
        f"rates down to {_SHORTER[-1] * rate:g} do not settle either.",
        rate,
        _SHORTER[-1] * rate,
        "measured by running again; Bengio (2012), section 3: the highest rate that does not make "
        "the loss grow",
        "Mend what is said above first; then let net.find_learning_rate(X, y) find a rate.",
    )


def _too_low(
    evidence: Evidence, rate: float, factor: float, end: float, longer: float, start: float
) -> Verdict:
    return Verdict(
        "learning_rate_too_low",
        "warning",
        f"The learning rate {rate:g} is too low: the loss fell from {start:.3g} to {end:.3g} (by "
        f"{update_to_weight(evidence):.1g} of the weights a step, where 1e-3 is usual), while "
        f"{factor * rate:g} reaches {longer:.3g} in {epochs_of(evidence)} epochs.",
        (start - end) / (start - longer),
        LITTLE_UNLEARNT if evidence.unlearnt else LITTLE,
        "measured by running again; Smith, WACV (2017), section 3.3: rates at which the loss hardly falls",
        f"Set the learning rate to {factor * rate:g} or more; net.find_learning_rate(X, y) finds one.",
    )


def update_to_weight(evidence: Evidence) -> float:
    """How far a step took the typical array of weights, relative to its size: the run's way over its steps.

    Source: Karpathy, Stanford CS231n notes: about 1e-3 in a run that learns.
    """
    steps = len(evidence.losses) * -(-len(evidence.rows.x) // evidence.batch_rows)
    weights = [name for name, array in named(evidence.start[0]).items() if array.ndim > 1 and array.any()]
    return float(np.median([evidence.moved[name] for name in weights])) / max(steps, 1) if weights else 0.0


def _momentum(evidence: Evidence, momentum: float, end: float, calmer: float) -> Verdict:
    return Verdict(
        "momentum_too_high",
        "error" if evidence.diverged else "warning",
        f"The momentum {momentum:g} makes steps {1 / (1 - momentum):.3g} times as long as the rate "
        f"says, and the run {_ended(end)}; with momentum 0.5 it reaches {calmer:.3g} in "
        f"{epochs_of(evidence)} epochs.",
        momentum,
        USUAL_MOMENTUM,
        "measured by running again; Sutskever et al., ICML (2013), section 2: effective rate eta / (1 - mu)",
        "Take momentum 0.9 or less, or divide the learning rate by as much as the momentum multiplies it.",
    )


def _batch(evidence: Evidence, end: float, larger: float) -> Verdict:
    noise = noise_scale(evidence)
    return Verdict(
        "batch_too_small",
        "warning",
        f"Batches of {evidence.batch_rows} are too noisy for this rate: the run {_ended(end)}, while "
        f"batches of {16 * evidence.batch_rows} reach {larger:.3g} in {epochs_of(evidence)} epochs (gradient "
        f"noise scale {noise:.3g} rows).",
        noise,
        float(evidence.batch_rows),
        "McCandlish et al., An empirical model of large-batch training (2018), equation 2.9",
        f"Take batches of {16 * evidence.batch_rows} rows or more, or a lower learning rate.",
    )


def noise_scale(evidence: Evidence) -> float:
    """tr(S) / |g|^2: the batch at which the gradient's noise is as large as the gradient, both unbiased.

    S is the covariance of the rows' gradients, g their mean, here before the run.
    Source: McCandlish et al. (2018), equation 2.9 and appendix A.
    """
    seen = evidence.first
    if seen is None or not seen.finite or len(seen.squares) < 2:
        return math.nan
    rows = len(seen.squares)
    each = float(seen.squares.sum(axis=1, dtype=np.float64).mean())
    of_mean = sum(float(np.square(g, dtype=np.float64).sum()) for g in seen.gradient.values())
    if evidence.composition.reduction == "sum":
        of_mean /= rows**2
    noise = (each - of_mean) * rows / (rows - 1)
    signal = of_mean - noise / rows
    return noise / signal if signal > 0 else math.inf


def gradient_noise(evidence: Evidence) -> Iterator[Verdict]:
    """The gradient noise scale, and the batch size that it suggests; a note."""
    noise = noise_scale(evidence)
    if not math.isfinite(noise) or evidence.composition.regularized:
        return
    suggested = 2 ** max(0, round(math.log2(max(noise, 1.0))))
    yield Verdict(
        "gradient_noise_scale",
        "note",
        f"The gradient noise scale before training is {noise:.3g} rows; the run's batches have "
        f"{evidence.batch_rows}.",
        noise,
        float(evidence.batch_rows),
        "McCandlish et al., An empirical model of large-batch training (2018), equation 2.9",
        f"Batches of about {min(suggested, len(evidence.rows.x))} rows make good use of each row at first.",
    )


def sharp_minimum(evidence: Evidence) -> Iterator[Verdict]:
    """The largest curvature against what the rate can follow; a note."""
    optimizer, rate = evidence.optimizer, evidence.rate
    if type(optimizer).__name__ != "SGD" or rate is None or evidence.last is None or not evidence.last.finite:
        return
    edge = 2 * (1 + (option_of(optimizer, "momentum") or 0.0))
    sharpness = largest_curvature(evidence)
    if sharpness * rate >= edge:
        yield Verdict(
            "sharp_minimum",
            "note",
            f"The largest curvature of the loss, {sharpness:.3g}, times the rate {rate:g} is "
            f"{sharpness * rate:.3g}: along it, steps of gradient descent overshoot.",
            sharpness * rate,
            edge,
            "Cohen et al., ICLR (2021), section 2: gradient descent is stable below 2 (1 + momentum) / rate",
            "A lower learning rate settles; a run that still improves may be left as it is.",
        )


def largest_curvature(evidence: Evidence) -> float:
    """The largest eigenvalue of the loss's Hessian at the model as it is, by power iteration; NaN if none."""
    parameters, statistics = evidence.now
    rows = evidence.few.take(np.arange(min(_CURVED_ROWS, len(evidence.few.x))))
    leaves, structure = flatten(parameters)

    def loss(parameters: Any) -> Any:
        return evidence.composition.loss_in_use(parameters, statistics, rows.x, rows.target)

    direction = [normal(Key(1).fold(i), leaf.shape).astype(leaf.dtype) for i, leaf in enumerate(leaves)]
    value = math.nan
    try:
        for _ in range(_PRODUCTS):
            direction = _unit(direction)
            product = hvp(loss, (parameters,), (unflatten(structure, direction),))
            curved = flatten(tree_map(np.asarray, product))[0]
            value = sum(float(np.vdot(v, p)) for v, p in zip(direction, curved, strict=True))
            direction = curved
    except GlassnetError:
        return math.nan
    return value


def _unit(arrays: list[NDArray]) -> list[NDArray]:
    length = math.sqrt(sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays))
    return [array / array.dtype.type(max(length, 1e-30)) for array in arrays]
