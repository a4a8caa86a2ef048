"""Figures that the training program sums up itself: those of the predictions, for every metric it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import glassnet as gn
from glassnet.train.metrics import METRICS
from glassnet.train.training import TrainingProgram

RANDOM = np.random.default_rng(11)
X = RANDOM.normal(size=(150, 4))  # two whole blocks of rows and a part of a third
ASIDE = RANDOM.normal(size=(67, 4))
WEIGHTS = RANDOM.uniform(0.1, 2.0, 150)
OF_LABELS = [name for name, metric in METRICS.items() if metric.needs == "labels"]
OF_TWO = ["accuracy", "balanced_accuracy", "precision", "recall", "f1"]
OF_SEVERAL = [name for name in OF_LABELS if name not in ("precision", "recall", "f1")]
OF_SEVERAL += ["top_2_accuracy", "top_3_accuracy"]
OF_VALUES = [name for name, metric in METRICS.items() if metric.needs == "values"]


def labels(classes: int, rows: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(0, classes, rows)


def values(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).normal([3.0, 0.0], size=(rows, 2))


def distributions(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).dirichlet([1.0, 1.0, 1.0], rows)


CASES: dict[str, tuple[str, int, Any, list[str]]] = {
    "several classes": ("cross_entropy", 3, lambda rows: labels(3, rows), OF_SEVERAL),
    "distributions": ("cross_entropy", 3, distributions, OF_SEVERAL),
    "two classes": ("binary_cross_entropy", 1, lambda rows: labels(2, rows), OF_TWO),
    "names": ("binary_cross_entropy", 1, lambda rows: np.array(["no", "yes"])[labels(2, rows)], OF_TWO),
    "signs": ("hinge", 1, lambda rows: 2 * labels(2, rows) - 1, OF_TWO),
    "yes or no": ("binary_cross_entropy", 2, lambda rows: (values(rows) > 1).astype(float), OF_TWO),
    "quantities": ("mean_squared_error", 2, values, OF_VALUES),
}


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[TrainingProgram]:
    """The programs that are run."""
    made: list[TrainingProgram] = []
    run = TrainingProgram.run_recorded

    def noted(program: TrainingProgram, epochs: int) -> Any:
        made.append(program)
        return run(program, epochs)

    monkeypatch.setattr(TrainingProgram, "run_recorded", noted)
    return made


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
@pytest.mark.parametrize("case", CASES)
def test_the_program_measures_what_is_measured_of_its_predictions(
    case: str, weights: Any, programs: list[TrainingProgram]
) -> None:
    loss, outputs, targets, metrics = CASES[case]
    layers = [gn.Dense(6, activation="tanh"), gn.Dense(outputs)]
    options = {"metrics": metrics, "validation_data": (ASIDE, targets(67)), "sample_weight": weights}
    histories = [
        gn.Network(layers, loss, dtype="float64", seed=2).fit(
            X, targets(150), epochs=4, batch_size=64, engine=engine, **options
        )
        for engine in ("compiled", "interpreter")
    ]
    assert all(program.takes_tallies for program in programs)
    assert programs
    compiled, interpreted = (history.figures for history in histories)
    assert list(compiled) == list(interpreted)
    for name, figures in compiled.items():
        np.testing.assert_allclose(figures, interpreted[name], rtol=1e-9, err_msg=name)
