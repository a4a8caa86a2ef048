"""How good predictions are: figures of whole sets of rows, by name.

Every metric is a function (predicted, actual, weights=None) of arrays; the prediction comes first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from glassnet.errors import ConfigurationError
from glassnet.train.metrics.labels import (
    accuracy,
    balanced_accuracy,
    confusion_matrix,
    f1,
    precision,
    recall,
)
from glassnet.train.metrics.probabilities import (
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    log_loss,
    reliability_curve,
    roc_auc,
    top_k_accuracy,
)
from glassnet.train.metrics.values import mean_absolute_error, r2, root_mean_squared_error

__all__ = [
    "METRICS",
    "Metric",
    "ReliabilityCurve",
    "accuracy",
    "balanced_accuracy",
    "brier_score",
    "confusion_matrix",
    "expected_calibration_error",
    "f1",
    "log_loss",
    "mean_absolute_error",
    "precision",
    "r2",
    "recall",
    "reliability_curve",
    "resolve",
    "roc_auc",
    "root_mean_squared_error",
    "top_k_accuracy",
]

Task = Literal["classification", "regression"]
Needs = Literal["labels", "probabilities", "values"]


@dataclass(frozen=True)
class Metric:
    """A figure that a network is judged by, and what it takes.

    `needs` says what the prediction is: "labels" (rows,) of a classifier, beside the actual labels; its
    "probabilities" (rows,) or (rows, classes), beside which the actual classes are numbered 0 .. classes-1;
    or the "values" (rows, outputs) of a regressor. `better` says which way is up.

    Raises ConfigurationError for another `needs`, `better` or `task`.

    >>> METRICS["accuracy"]([0, 1, 1], [0, 1, 0], weights=[1, 1, 2])
    0.5
    >>> within_one = Metric("within_one", "values", lambda y, d: np.mean(abs(y - d) <= 1))
    >>> within_one(np.array([1.0, 5.0]), np.array([2.0, 3.0])), within_one.task
    (0.5, 'regression')
    """

    name: str
    needs: Needs
    function: Callable[..., Any]
    better: Literal["higher", "lower"] = "higher"

    def __post_init__(self) -> None:
        for option, value, known in (
            ("needs", self.needs, ("labels", "probabilities", "values")),
            ("better", self.better, ("higher", "lower")),
        ):
            if value not in known:
                raise ConfigurationError(
                    f"Metric {self.name} got {option}={value!r}; it takes one of {', '.join(known)}."
                )

    @property
    def task(self) -> Task:
        """What kind of network it judges: "regression" where it needs values, else "classification"."""
        return "regression" if self.needs == "values" else "classification"

    def __call__(self, predicted: Any, actual: Any, weights: Any = None) -> float:
        """The figure; a function that takes no weights is given none unless there are some."""
        if weights is None:
            return float(self.function(predicted, actual))
        return float(self.function(predicted, actual, weights=weights))

    def is_better(self, figure: float, than: float) -> bool:
        """Whether `figure` is strictly better; a figure that is NaN never is.

        >>> METRICS["log_loss"].is_better(0.2, than=0.3), METRICS["accuracy"].is_better(0.2, than=0.3)
        (True, False)
        """
        return figure > than if self.better == "higher" else figure < than


def _all_metrics() -> list[Metric]:
    averaged = [
        Metric(f"{function.__name__}_{average}", "labels", partial(function, average=average))
        for function in (precision, recall, f1)
        for average in ("macro", "micro", "weighted")
    ]
    return [
        *(Metric(f.__name__, "labels", f) for f in (accuracy, balanced_accuracy, precision, recall, f1)),
        *averaged,
        *(Metric(f"top_{k}_accuracy", "probabilities", partial(top_k_accuracy, k=k)) for k in (2, 3, 5)),
        Metric("roc_auc", "probabilities", roc_auc),
        Metric("log_loss", "probabilities", log_loss, "lower"),
        Metric("brier_score", "probabilities", brier_score, "lower"),
        Metric("expected_calibration_error", "probabilities", expected_calibration_error, "lower"),
        Metric("r2", "values", r2),
        Metric("mean_absolute_error", "values", mean_absolute_error, "lower"),
        Metric("root_mean_squared_error", "values", root_mean_squared_error, "lower"),
    ]


METRICS: dict[str, Metric] = {metric.name: metric for metric in _all_metrics()}


def resolve(metric: str | Metric | Callable[..., Any], task: Task) -> Metric:
    """The metric of that name, the metric itself, or one made of a function (predicted, actual).

    A function is given labels by a classifier and values by a regressor, and higher figures are better; for
    anything else write a Metric. Raises ConfigurationError for an unknown name, and for a metric of the
    other task.

    >>> resolve("r2", "regression").better
    'higher'
    """
    if callable(metric) and not isinstance(metric, Metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(name, "values" if task == "regression" else "labels", metric)
    of_task = [known.name for known in METRICS.values() if known.task == task]
    if not isinstance(metric, Metric):
        if not isinstance(metric, str) or metric not in METRICS:
            raise ConfigurationError(
                f"metric {metric!r} is not one of {', '.join(of_task)}, nor a function (predicted, actual)."
            )
        metric = METRICS[metric]
    if metric.task != task:
        raise ConfigurationError(
            f"The metric {metric.name} is for {metric.task} and the network's loss for {task}; take one of "
            f"{', '.join(of_task)}."
        )
    return metric
