"""Verdicts on what came of the training: too much, too little, held back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glassnet.explain.diagnosis.evidence import LEARNABLE, Evidence
from glassnet.explain.diagnosis.probes import option_of
from glassnet.explain.diagnosis.report import Verdict
from glassnet.nn import Dropout, Layer

GENERALISATION_LOSS = 0.2
GAP = 2.0
SKILL_LOST = 0.15
BY_HEART = 0.05  # of the loss held out
MOST_DROPPED = 0.7
DROWNED = 1.1  # times the loss without
SHRUNK = 0.5


def too_much_regularization(evidence: Evidence) -> Iterator[Verdict]:
    """A penalty on the weights that outweighs the loss of the data."""
    decay = option_of(evidence.optimizer, "weight_decay") or 0.0
    if not evidence.trained or evidence.good or not (evidence.composition.regularized or decay):
        return
    if not np.isfinite(evidence.loss_now) or not np.isfinite(evidence.loss_at_start):
        return
    kept = [
        float(np.linalg.norm(after) / max(float(np.linalg.norm(before)), 1e-30))
        for (name, before), (_, after) in zip(
            _weights(evidence, evidence.start), _weights(evidence, evidence.now), strict=True
        )
        if not name.endswith("bias")
    ]
    share = evidence.penalty(evidence.now) / max(evidence.loss_now, 1e-30)
    shrunk = float(np.median(kept)) if kept else 1.0
    if shrunk < SHRUNK or share > SHRUNK:
        what = "penalty" if evidence.composition.regularized else f"weight decay {decay:g}"
        yield Verdict(
            "too_much_regularization",
            "warning",
            f"The {what} outweighs the data: it is {share:.0%} of the loss, the weights have come to "
            f"{shrunk:.2g} of their initial size, and the skill is {evidence.skill:.2f} on the "
            "training rows.",
            shrunk,
            SHRUNK,
            "Goodfellow, Bengio and Courville, Deep Learning (2016), section 7.1.1: what decay does "
            "to weights",
            "Divide the strength by ten until the training rows are fitted, then choose it by validation.",
        )


def dropout_too_high(evidence: Evidence) -> Iterator[Verdict]:
    """So much dropped that the signal drowns."""
    rate = max(_dropped(evidence.composition.network), default=0.0)
    if rate <= MOST_DROPPED or evidence.last is None or not evidence.last.finite:
        return
    in_use = float(np.mean(evidence.last.divergence))
    ratio = evidence.loss_in_training / max(in_use, 1e-30)
    yield Verdict(
        "dropout_too_high",
        "warning" if evidence.trained and (ratio > DROWNED or not evidence.good) else "note",
        f"Dropout of {rate:g} leaves little of the signal: the loss with it is "
        f"{evidence.loss_in_training:.3g}, "
        f"{ratio:.3g} times the loss without ({in_use:.3g}).",
        rate,
        MOST_DROPPED,
        "Srivastava et al., JMLR 15 (2014), section 7.3: keeping less than 0.4 of the units underfits",
        "Drop 0.2 to 0.5 of the units.",
    )


def overfitting(evidence: Evidence) -> Iterator[Verdict]:
    """A training loss far below a validation loss that rises."""
    history = evidence.last_fit.history if evidence.last_fit else None
    validation = history.validation_loss if history else []
    if not evidence.trained or evidence.diverged or evidence.last is None or not evidence.last.finite:
        return
    training = float(np.mean(evidence.last.divergence))
    if evidence.held_out is not None:
        end = evidence.held_out_loss()
    elif validation and history:
        end = validation[(history.best_epoch or len(validation)) - 1]
    else:
        return
    best = min([*validation, end])
    rise = end / best - 1 if best > 0 else 0.0
    worse = end - training > 0.1 * evidence.loss_at_start
    if evidence.held_out_skill is not None:  # a loss may rise while the answers stay as good
        worse = worse and evidence.skill - evidence.held_out_skill > SKILL_LOST
    by_heart = evidence.held_out is not None and training < BY_HEART * end
    if end > GAP * training and worse and (rise > GENERALISATION_LOSS or by_heart):
        yield Verdict(
            "overfitting",
            "warning",
            f"The network overfits: the loss is {training:.3g} on the training rows and {end:.3g} on "
            f"those held out, {rise:.0%} above its best.",
            rise,
            GENERALISATION_LOSS,
            "Prechelt, Early stopping - but when? (1998), section 2: generalisation loss",
            "Stop early (stopping=gn.EarlyStopping()), use more rows, a smaller network, dropout or L2.",
        )


def underfitting(evidence: Evidence) -> Iterator[Verdict]:
    """Rows that are not fitted though their neighbours know them, at the end of a run that has settled."""
    near, losses = evidence.neighbours, evidence.losses
    if near is None or not evidence.trained or evidence.diverged or evidence.good or len(losses) < 5:
        return
    tail = losses[-max(2, len(losses) // 5) :]
    falling = (tail[0] - tail[-1]) / max(abs(tail[-1]), 1e-30)
    if not evidence.unlearnt:
        return
    settled = falling < 0.05
    yield Verdict(
        "underfitting" if settled else "too_few_epochs",
        "warning" if settled else "note",
        f"The network fits its own rows with a skill of {evidence.skill:.2f}, where their nearest neighbours "
        f"know {near.skill:.2f}"
        + (", and the loss has settled." if settled else ", and the loss still falls."),
        near.skill - evidence.skill,
        LEARNABLE,
        "Cover and Hart (1967): the nearest neighbour's error is at most twice the best possible",
        "Give it more units or a hidden layer with relu or tanh." if settled else "Train for more epochs.",
    )


def _weights(evidence: Evidence, model: object) -> list[tuple[str, np.ndarray]]:
    chosen = evidence.start if model is evidence.start else evidence.now
    return [pair for name in evidence.composition.names for pair in evidence.parameters(name, chosen)]


def _dropped(layer: Layer) -> list[float]:
    own = [float(layer.rate)] if isinstance(layer, Dropout) else []
    return own + [rate for part in layer.parts.values() for rate in _dropped(part)]
