"""Verdicts on the end of the network: its output activation, its loss, its targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.explain.diagnosis.evidence import Evidence
from glassnet.explain.diagnosis.passes import Pass
from glassnet.explain.diagnosis.report import Verdict
from glassnet.nn.activations import name_of

_RANGES = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "sparsemax": (0.0, 1.0),
    "gaussian": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "sine": (-1.0, 1.0),
    "relu": (0.0, np.inf),
    "relu6": (0.0, 6.0),
    "softplus": (0.0, np.inf),
    "exponential": (0.0, np.inf),
    "square": (0.0, np.inf),
}
OUTSIDE = 0.01  # of the targets; fewer may be outliers
FEW_CLASSES = 20
FAR_TARGETS = 10.0
_SQUARED = ("mean_squared_error", "half_squared_error", "mean_absolute_error", "huber", "log_cosh")


def non_finite_at_start(evidence: Evidence) -> Iterator[Verdict]:
    """NaN or infinity in an activation, the loss or its gradient before the first step."""
    yield from _not_finite(evidence.first, evidence.refusal)


def non_finite(evidence: Evidence) -> Iterator[Verdict]:
    """The same now; its cause is mostly steps too long."""
    if not any(non_finite_at_start(evidence)):
        yield from _not_finite(evidence.last, evidence.refusal)


def _not_finite(seen: Pass | None, refusal: str) -> Iterator[Verdict]:
    sentence, layer, share = ("", None, 0.0) if seen else (refusal, None, 1.0)
    if seen is not None and not seen.finite:
        for each in seen.layers:
            share = _not_finite_rows(each.y)
            if share:
                layer = each.name
                sentence = f"The output of {layer} is not finite for {share:.1%} of the rows"
                break
        else:
            share = _not_finite_rows(seen.divergence)
            what, share = ("loss", share) if share else ("gradient", _not_finite_rows(seen.squares))
            sentence = f"The {what} is not finite for {share:.1%} of the rows, though all outputs are"
    if sentence:
        yield Verdict(
            "non_finite",
            "error",
            f"{sentence.rstrip('.')}.",
            share,
            0.0,
            "no step can be taken from a value that is not finite",
            "Keep what that layer takes where its value is finite (log and sqrt of positive numbers, exp of "
            "moderate ones), and standardise the inputs.",
            layer,
        )


def _not_finite_rows(values: NDArray) -> float:
    """The share of rows with a value that is not finite."""
    return float(np.mean(~np.isfinite(values.reshape(len(values), -1)).all(axis=1)))


def output_range(evidence: Evidence) -> Iterator[Verdict]:
    """Targets that the output activation cannot give."""
    loss, last = evidence.composition.loss, evidence.composition.network.layers[-1]
    if (
        loss.link is not None
        or loss.targets in ("signs", "classes")
        or evidence.rows.target.dtype.kind == "i"
    ):
        return
    activation = name_of(last.output_activation)
    low, high = _RANGES.get(activation or "", (-np.inf, np.inf))
    target: NDArray = evidence.rows.target
    outside = float(np.mean((target < low) | (target > high)))
    if outside > OUTSIDE:
        yield Verdict(
            "output_range",
            "error",
            f"The output activation {activation} gives values from {low:g} to {high:g}, but {outside:.0%} of "
            f"the targets, which go from {target.min():.3g} to {target.max():.3g}, lie outside.",
            outside,
            OUTSIDE,
            "Bishop, Pattern Recognition and Machine Learning (2006), section 5.2: output unit and "
            "error match",
            f"Take the activation out of {evidence.composition.names[-1]}, or scale the targets into "
            "its range.",
            evidence.composition.names[-1],
        )


def target_scale(evidence: Evidence) -> Iterator[Verdict]:
    """Targets far from the order of 1, against outputs that start near 0."""
    target = evidence.rows.target
    if evidence.composition.loss.targets != "values" or target.dtype.kind == "i":
        return
    if (name_of(evidence.composition.network.layers[-1].output_activation) or "") in _RANGES:
        return
    size = float(np.sqrt(np.square(target, dtype=np.float64).mean()))
    spread = float(target.std(dtype=np.float64))
    far, tiny = size > FAR_TARGETS, 0 < spread < 1 / FAR_TARGETS**2
    if not (far or tiny):
        return
    harmless = evidence.good and size < FAR_TARGETS**2
    yield Verdict(
        "target_scale",
        "note" if harmless else "warning",
        f"The targets are far from the order of 1 (root mean square {size:.3g}, standard deviation "
        f"{spread:.3g}), while outputs start near 0.",
        size if far else spread,
        FAR_TARGETS if far else 1 / FAR_TARGETS**2,
        "Bishop, Neural Networks for Pattern Recognition (1995), section 8.2: targets of the order of 1",
        "Train on (y - mean) / standard deviation, and turn predictions back.",
    )


def repeated_output_activation(evidence: Evidence) -> Iterator[Verdict]:
    """Probabilities where the loss takes z, and makes probabilities of them once more."""
    link = evidence.composition.loss.link
    if link is None or not evidence.passes:
        return
    z = np.concatenate([seen.last.reshape(-1, seen.last.shape[-1]) for seen in evidence.passes])
    if not _looks_like_probabilities(z.astype(np.float64), link):
        return
    name = evidence.composition.names[-1]
    yield Verdict(
        "repeated_output_activation",
        "error",
        f"What {name} gives to the loss are probabilities already (all from {z.min():.2g} to {z.max():.2g}"
        f"{', with sum 1' if link == 'softmax' else ''}), and {evidence.composition.loss.name} "
        f"applies {link} to them once more, so that no answer can be sure.",
        float(z.max()),
        1.0,
        "Bishop, Pattern Recognition and Machine Learning (2006), section 5.2: one link for each loss",
        f"Take the {link} out of the network; the loss has it.",
        name,
    )


def _looks_like_probabilities(z: NDArray, link: str) -> bool:
    inside = bool((z >= 0).all() and (z <= 1).all() and z.any())
    if link == "softmax":
        return inside and bool(np.allclose(z.sum(axis=1), 1, atol=1e-3))
    return inside and len(z) > 8 and bool(z.std() > 0)


def wrong_loss(evidence: Evidence) -> Iterator[Verdict]:
    """A loss of another kind than the targets."""
    loss, target = evidence.composition.loss, evidence.rows.target
    found = None
    if loss.name in _SQUARED and target.ndim == 2 and len(target) > 8:
        found = _classes_as_values(target, loss.name, evidence)
    elif loss.targets == "binary" and target.ndim == 2 and target.shape[1] > 2 and _one_hot(target):
        found = (
            f"{loss.name} asks {target.shape[1]} yes-or-no questions, but in every row exactly one "
            "answer is yes",
            "cross_entropy",
        )
    elif loss.task == "classification" and evidence.encoding.classes is not None:
        classes = evidence.encoding.classes
        if classes.dtype.kind == "f" and (classes != np.round(classes)).any():
            found = (
                f"{loss.name} takes the {len(classes)} different values of y, such as {classes[0]:.3g}, for "
                "classes without order",
                "mean_squared_error",
            )
    if found:
        what, right = found
        yield Verdict(
            "wrong_loss",
            "warning",
            f"{what}.",
            float(len(np.unique(target))),
            float(FEW_CLASSES),
            "Bishop, Pattern Recognition and Machine Learning (2006), section 5.2: one loss for each "
            "kind of target",
            f'Use loss="{right}"'
            + (" with one output a class." if right == "cross_entropy" else " with one output."),
        )


def _classes_as_values(target: NDArray, name: str, evidence: Evidence) -> tuple[str, str] | None:
    """What is wrong where a loss for values gets numbers of classes, or one-hot rows."""
    if target.shape[1] > 1:
        rows = evidence.rows.x
        copies = rows.shape == target.shape and np.array_equal(rows, target)
        if _one_hot(target) and not copies:
            return f"{name} compares values, but every row of y is one-hot: it names a class", "cross_entropy"
        return None
    values = np.unique(target)
    whole = len(values) <= FEW_CLASSES and bool((values == np.arange(len(values)) + values[0]).all())
    if whole and values[0] in (0, 1) and len(values) > 2 and len(target) >= 5 * len(values):
        return (
            f"{name} compares values, but y holds the whole numbers {values[0]:g} to {values[-1]:g}, "
            "which look like numbers of classes",
            "cross_entropy",
        )
    return None


def _one_hot(target: NDArray) -> bool:
    binary = bool(((target == 0) | (target == 1)).all())
    return binary and bool((target.sum(axis=1) == 1).all()) and bool((target.sum(axis=0) > 0).sum() > 1)
