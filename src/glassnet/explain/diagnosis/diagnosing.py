"""`diagnose`: the verdicts in the order of cause and effect, and what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from glassnet.core.random import Key
from glassnet.explain.diagnosis import data, fit, gradients, initialization, output, rate
from glassnet.explain.diagnosis.evidence import Evidence
from glassnet.explain.diagnosis.report import Report, Verdict
from glassnet.train.rows import Rows
from glassnet.train.setting import INITIALIZATION, Setting
from glassnet.train.state import NetworkState
from glassnet.train.targets import as_rows, as_targets

# A cause stands before what follows from it: data, start, output and loss, gradients as they start, steps,
# then what has become of the units, and of the fit.
VERDICTS: tuple[Callable[[Evidence], Iterator[Verdict]], ...] = (
    data.constant_feature,
    data.duplicate_feature,
    data.input_scale,
    data.random_labels,
    output.output_range,
    output.target_scale,
    output.wrong_loss,
    output.repeated_output_activation,
    initialization.symmetric_units,
    initialization.weight_scale,
    output.non_finite_at_start,
    gradients.frozen_layer,
    gradients.dead_units_at_start,
    gradients.saturated_units_at_start,
    gradients.vanishing_gradients,
    gradients.exploding_gradients,
    data.class_imbalance,
    fit.dropout_too_high,
    fit.too_much_regularization,
    rate.step_length,
    output.non_finite,
    gradients.dead_units,
    gradients.saturated_units,
    data.mislabelled_rows,
    fit.overfitting,
    fit.underfitting,
    rate.sharp_minimum,
    rate.gradient_noise,
)


def diagnose(net: NetworkState, X: Any, y: Any, validation_data: tuple[Any, Any] | None = None) -> Report:
    """Why a network learns, or does not: verdicts with evidence and advice, and the numbers of its layers.

    X (rows, ...) and y are what `fit` was given, or other rows like them; `validation_data` (X, y) brings
    rows that were not trained on. The network may be untrained, trained or diverged; it stays as it is.
    What is known of the last run comes from the network itself, and options of the run are judged by
    repeating it for some epochs with another. Gradients are taken of at most 512 rows, neighbours of 2000.

    The report's `verdicts` have a `kind`, a `severity` ("note", "warning", "error"), a `sentence`, a `number`
    and its `threshold` with the `source`, and an `advice`; warnings and errors come before notes, and each
    cause before its symptoms. Raises DataError, ShapeError or ConfigurationError for rows that do not fit.

    >>> X = np.linspace(-1.0, 1.0, 64).reshape(-1, 1)
    >>> net = gn.Network([gn.Dense(8, "tanh", kernel_initializer="zeros"),
    ...                   gn.Dense(1, kernel_initializer="zeros")], loss="mean_squared_error")
    >>> history = net.fit(X, X**2, epochs=5)
    >>> net.diagnose(X, X**2).verdicts[0].kind
    'symmetric_units'
    """
    evidence = evidence_of(net, X, y, validation_data)
    return Report(verdicts_of(evidence), gradients.layer_numbers(evidence), len(evidence.rows.x))


def evidence_of(net: NetworkState, X: Any, y: Any, validation_data: tuple[Any, Any] | None) -> Evidence:
    """The network, its rows and its last run; an untrained network is built for these rows as `fit` would."""
    rows = as_rows(X, net.dtype)
    encoding, target = net._encoding_for(as_targets(y, len(rows)), rows.shape[1:])
    net._build(rows.shape[1:])
    held_out = None
    if validation_data is not None:
        x, answers = validation_data
        x = as_rows(x, net.dtype, "validation X")
        held_out = Rows(x, encoding.encode(as_targets(answers, len(x), "validation y"), "validation y"))
    last, now = net.last_fit, net._model
    weight = last.weight if last and last.weight is not None and len(last.weight) == len(rows) else None
    start, first_epoch = (last.start, last.first_epoch) if last else (now, net._epochs_trained)
    if last is None and net._epochs_trained:  # read from a file: it began as the seed says
        start, first_epoch = (
            net._composition.init(Key(net.seed).fold(INITIALIZATION), rows.shape[1:], net.dtype),
            0,
        )
    return Evidence(
        net._composition,
        encoding,
        start,
        now,
        Rows(rows, target, weight),
        held_out,
        last,
        bool(net._epochs_trained) or last is not None,
        Setting(net._composition, start, net.seed, net.dtype, first_epoch),
    )


def verdicts_of(evidence: Evidence) -> tuple[Verdict, ...]:
    """All verdicts: alarms first, each part in the order of VERDICTS."""
    with np.errstate(all="ignore"):
        found = [verdict for judge in VERDICTS for verdict in judge(evidence)]
    return tuple(sorted(found, key=lambda verdict: verdict.severity == "note"))
