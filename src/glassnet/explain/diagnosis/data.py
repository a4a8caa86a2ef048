"""Verdicts on the data: features, targets, labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.explain.diagnosis.evidence import MOST_ROWS, Evidence
from glassnet.explain.diagnosis.report import Verdict
from glassnet.nn.normalisation import Normalization

_EFFICIENT_BACKPROP = "LeCun et al., Efficient BackProp (1998), section 4.3: inputs near mean 0, variance 1"
ORDER_OF_ONE = 10.0  # within a factor of ten of the 1 that section asks for
SMALLEST_SHARE = 1e-3  # of the largest feature: its weights learn a million times more slowly
SAME = 1e-5  # 1 - r^2 at the rounding of float32 data: a variance inflation of 1e5, where 10 is called high
LABEL_NOISE = 0.033
CLEAR = 0.8  # of how sure the other answers are, above chance
AGREEMENT = 0.6  # of the rows
IMBALANCE = 9.0
CHANCE_ERRORS = 2.0  # standard errors
CHANCE_SKILL = 0.1  # on the rows held out, which are fewer


def constant_feature(evidence: Evidence) -> Iterator[Verdict]:
    """A column that is the same in every row."""
    x = _table(evidence)
    if x is None or len(x) < 3:
        return
    constant = np.flatnonzero(np.ptp(x, axis=0) == 0)
    # The background of images, which standardised as a whole is not 0 any more.
    least = x.min()
    background = 0.0 if (x[:, np.ptp(x, axis=0) > 0].min(initial=np.inf)) > least else least
    telling = [int(column) for column in constant if x[0, column] not in (0, background)]
    silent = [int(column) for column in constant if x[0, column] in (0, background)]
    for columns, severity, effect in (
        (telling, "warning", "so that its weights are a second bias"),
        (silent, "note", "so that its weights never learn and do no harm"),
    ):
        if columns:
            yield Verdict(
                "constant_feature",
                severity,
                f"{_columns(columns)} of X {'is' if len(columns) == 1 else 'are'} the same in every "
                f"row, {effect}.",
                float(len(columns)),
                0.0,
                "a column without variance tells no two rows apart",
                f"Remove {'it' if len(columns) == 1 else 'them'}, or find out why nothing varies there.",
            )


def duplicate_feature(evidence: Evidence) -> Iterator[Verdict]:
    """Two columns that are the same but for a factor."""
    x = _table(evidence)
    if x is None or len(x) < 20 or x.shape[1] > 2000:
        return
    x = evidence.many.x.astype(np.float64)
    # Columns of two values, or of one value nearly everywhere, agree by chance or by their coding.
    telling = [c for c in range(x.shape[1]) if _values(x[:, c]) > max(2, len(x) // 20)]
    columns = x[:, telling]
    lengths = np.sqrt((columns * columns).sum(axis=0))
    centred = columns - columns.mean(axis=0)
    spreads = np.sqrt((centred * centred).sum(axis=0))
    if len(telling) < 2:
        return
    along = np.abs(columns.T @ columns) / np.outer(lengths, lengths)
    about = np.abs(centred.T @ centred) / np.outer(spreads, spreads)
    same = np.triu(np.minimum(along, about), 1)
    place = np.unravel_index(int(same.argmax()), same.shape)
    if 1 - same[place] ** 2 < SAME:
        first, second = (telling[int(i)] for i in place)
        yield Verdict(
            "duplicate_feature",
            "warning",
            f"Columns {first} and {second} of X are the same but for a factor (correlation "
            f"{same[place]:.6f}), so that only the sum of their weights is determined.",
            float(1 - same[place] ** 2),
            SAME,
            "Belsley, Kuh and Welsch, Regression Diagnostics (1980), chapter 3: collinear columns",
            f"Remove column {second}, or add what it was meant to hold.",
        )


def input_scale(evidence: Evidence) -> Iterator[Verdict]:
    """Features on very different scales, or far from the order of 1."""
    if evidence.reads_symbols or isinstance(evidence.leading, Normalization):
        return
    x = evidence.many.x
    columns = (x if x.ndim == 2 else x.reshape(-1, x.shape[-1])).astype(np.float64)
    size = np.sqrt(np.square(columns).mean(axis=0))
    spread = columns.std(axis=0)
    reach = np.abs(columns).max(axis=0)
    varying = spread > 0
    if not varying.any():
        return
    largest = int(np.where(varying, size, 0).argmax())
    if size[largest] > ORDER_OF_ONE:
        others = float(np.median(size[varying]))
        unlike = (
            f", {size[largest] / others:.2g} times that of the typical column"
            if size[largest] > ORDER_OF_ONE * others
            else ""
        )
        yield _scale(
            f"The inputs are far from the order of 1: the root mean square of column {largest} is "
            f"{size[largest]:.3g}{unlike}.",
            float(size[largest]),
            ORDER_OF_ONE,
        )
    elif reach[varying].max() < 1 / ORDER_OF_ONE**2:
        yield _scale(
            f"The inputs are far from the order of 1: the largest is {reach[varying].max():.3g}.",
            float(reach[varying].max()),
            1 / ORDER_OF_ONE**2,
        )
    elif reach[varying].min() < SMALLEST_SHARE * reach[varying].max():
        small = int(np.flatnonzero(varying)[reach[varying].argmin()])
        yield _scale(
            f"The features are on very different scales: column {small} reaches {reach[small]:.3g} and "
            f"column {int(reach.argmax())} {reach.max():.3g}.",
            float(reach[small] / reach.max()),
            SMALLEST_SHARE,
        )
    else:
        shift = np.where(varying & (size > 1), np.abs(columns.mean(axis=0)) / np.where(varying, spread, 1), 0)
        worst = int(shift.argmax())
        if shift[worst] > ORDER_OF_ONE:
            yield _scale(
                f"Column {worst} of X lies {shift[worst]:.3g} standard deviations from 0, so that its weight "
                "and the bias are hard to tell apart.",
                float(shift[worst]),
                ORDER_OF_ONE,
            )


def _scale(sentence: str, number: float, threshold: float) -> Verdict:
    return Verdict(
        "input_scale",
        "warning",
        sentence,
        number,
        threshold,
        _EFFICIENT_BACKPROP,
        "Standardise every feature with the mean and standard deviation of the training rows, or put a "
        "BatchNorm first.",
    )


def class_imbalance(evidence: Evidence) -> Iterator[Verdict]:
    """A class so frequent that others are hardly ever predicted."""
    truth = evidence.truth
    if truth is None or len(truth) < 20:
        return
    counts = np.bincount(truth)
    present = np.flatnonzero(counts)
    rare, common = int(present[counts[present].argmin()]), int(counts.argmax())
    ratio = counts[common] / counts[rare]
    if ratio < IMBALANCE or counts[rare] < 2:
        return
    recall = 0.0
    if evidence.trained and np.isfinite(evidence.outputs).all():
        recall = float(np.mean(evidence.chosen(evidence.outputs)[truth == rare] == rare))
    missed = evidence.trained and recall < 0.5
    found = f", and {recall:.0%} of it is found" if evidence.trained else ""
    yield Verdict(
        "class_imbalance",
        "warning" if missed else "note",
        f"Class {_name(evidence, common)} has {ratio:.3g} times as many rows as class "
        f"{_name(evidence, rare)}{found}.",
        float(ratio),
        IMBALANCE,
        "He and Garcia, IEEE TKDE 21 (2009): imbalance, here 9 to 1, with less than half of a class found",
        'Train with class_weight="balanced", and judge by balanced accuracy rather than by accuracy.',
    )


def random_labels(evidence: Evidence) -> Iterator[Verdict]:
    """Labels that have nothing to do with the inputs."""
    near, held_out = evidence.neighbours, evidence.held_out_skill
    if near is None or not evidence.trained or near.skill > CHANCE_ERRORS * near.error:
        return
    limit = max(CHANCE_SKILL, CHANCE_ERRORS * near.error)
    learns_nothing = held_out is not None and held_out <= limit
    learns_by_heart = held_out is None and evidence.skill > 0.5 and evidence.truth is not None
    if not (learns_nothing or learns_by_heart):
        return
    shown = f"{held_out:.2f} on the rows held out" if held_out is not None else "nothing to generalise from"
    yield Verdict(
        "random_labels",
        "error",
        "The targets seem to have nothing to do with the inputs: the nearest rows know them no better than "
        f"chance (skill {near.skill:.2f}), and the network reaches {evidence.skill:.2f} on its own rows and "
        f"{shown}.",
        near.skill,
        CHANCE_ERRORS * near.error,
        "Zhang et al., ICLR (2017): networks fit random labels; chance is 2 standard errors",
        "Check that X and y are in the same order (one of them shuffled, sorted or joined wrongly).",
    )


def mislabelled_rows(evidence: Evidence) -> Iterator[Verdict]:
    """A part of the labels is wrong: rows of which neighbours, or the network, surely say something else."""
    near, truth = evidence.neighbours, evidence.truth
    if near is None or truth is None or len(truth) < 60:
        return
    wrong = near.said != truth
    if not _stands_out(wrong, near.votes, truth):
        # The network may know better than the neighbours, but where they are with the label it is mistaken.
        missed, sure = _missed(evidence, truth)
        if not _stands_out(missed, sure, truth) or float(wrong[missed].mean()) < AGREEMENT:
            return
        wrong = missed
    share = float(wrong.mean())
    yield Verdict(
        "mislabelled_rows",
        "warning",
        f"About {share:.0%} of the labels look wrong: their neighbours say something else as clearly as "
        f"elsewhere{_slopes(evidence, wrong)}.",
        share,
        LABEL_NOISE,
        "Northcutt, Athalye and Mueller, NeurIPS (2021): 3.3 % wrong labels in public test sets on average",
        f"Look at rows {', '.join(map(str, _suspects(evidence, wrong)[:8]))} first; correct or remove what "
        "is wrong, or smooth the labels.",
    )


def _stands_out(wrong: NDArray, sure: NDArray, truth: NDArray) -> bool:
    """Whether answers against the label are about as sure as the others, in no class the majority.

    Where classes overlap, mistaken answers are close; wrong labels lie where the answers are clear.
    """
    if not LABEL_NOISE < float(wrong.mean()) < 0.4:
        return False
    kept = [1 - float(wrong[truth == c].mean()) for c in np.unique(truth) if (truth == c).sum() >= 5]
    if not kept or min(kept) < 0.5:
        return False  # a class that is not known at all
    chance = 1 / len(np.unique(truth))
    return float(sure[wrong].mean()) - chance > CLEAR * (float(sure[~wrong].mean()) - chance)


def _missed(evidence: Evidence, truth: NDArray) -> tuple[NDArray, NDArray]:
    """The rows that the network answers against their label, and how sure it is of each row."""
    p = evidence.outputs
    if not evidence.trained or evidence.composition.loss.link is None or not np.isfinite(p).all():
        return np.zeros(len(truth), np.bool_), np.ones(len(truth))
    sure = np.maximum(p, 1 - p)[:, 0] if p.shape[-1] == 1 else p.max(axis=-1)
    return evidence.chosen(p) != truth, sure


def _slopes(evidence: Evidence, wrong: NDArray) -> str:
    """How much larger the gradients of the suspected rows are."""
    if evidence.last is None or not evidence.trained:
        return ""
    inside = np.isin(evidence.places(MOST_ROWS), evidence.places(evidence.pass_rows))
    each = np.sqrt(evidence.last.squares.sum(axis=1, dtype=np.float64))
    suspected = wrong[inside]
    if not suspected.any() or suspected.all():
        return ""
    ratio = float(np.mean(each[suspected]) / max(float(np.median(each[~suspected])), 1e-30))
    return f", and their gradients are {ratio:.3g} times as long as the typical row's"


def _suspects(evidence: Evidence, wrong: NDArray) -> list[int]:
    """The numbers in X of the suspected rows, those that the neighbours are surest of first."""
    assert evidence.neighbours is not None  # asked by the caller
    order = np.argsort(-evidence.neighbours.votes[wrong], kind="stable")
    return evidence.places(MOST_ROWS)[np.flatnonzero(wrong)[order]].tolist()


def _table(evidence: Evidence) -> NDArray | None:
    """X where it has one column a feature."""
    x = evidence.rows.x
    return x if x.ndim == 2 and not evidence.reads_symbols else None


def _values(column: NDArray) -> int:
    """How many rows differ from the most frequent value, or 0 for a column of two values."""
    values, counts = np.unique(column, return_counts=True)
    return 0 if len(values) < 3 else len(column) - int(counts.max())


def _columns(columns: list[int]) -> str:
    if len(columns) == 1:
        return f"Column {columns[0]}"
    listed = ", ".join(map(str, columns[:8])) + (", ..." if len(columns) > 8 else "")
    return f"Columns {listed}"


def _name(evidence: Evidence, number: int) -> str:
    classes = evidence.encoding.classes
    return repr(number if classes is None else classes[number].item())
