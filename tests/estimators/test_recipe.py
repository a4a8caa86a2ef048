from __future__ import annotations

import math

import pytest

from glassnet.errors import ConfigurationError
from glassnet.estimators import Recipe
from glassnet.optim import SGD, Adam


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"hidden": (64, 0)}, "The hidden widths are 64,0; give positive whole numbers"),
        ({"epochs": 0}, "The number of epochs is 0"),
        ({"batch_size": 0}, "The batch size is 0"),
        ({"seed": -1}, "The seed is -1"),
        ({"optimizer": "adm"}, "'adm' is not one of adadelta, .*, sgd"),
        ({"learning_rate": 0.0}, "learning_rate=0.0; it takes a positive number"),
        ({"learning_rate": math.nan}, "learning_rate=nan"),
        ({"learning_rate": math.inf, "optimizer": "sgd"}, "learning_rate=inf"),
    ],
)
def test_values_that_cannot_be_are_refused(options, sentence):
    with pytest.raises(ConfigurationError, match=sentence):
        Recipe(**options)


@pytest.mark.parametrize(
    ("options", "rows", "epochs"),
    [
        ({}, 640, 100),  # 20 steps an epoch, 2,000 in all
        ({}, 641, 96),  # a short batch is a step too: 2000 / 21, rounded up
        ({}, 10, 500),
        ({}, 1_000_000, 20),
        ({"epochs": 7}, 10, 7),
    ],
)
def test_epochs_are_those_asked_for_or_about_two_thousand_steps(options, rows, epochs):
    assert Recipe(**options).epochs_for(rows) == epochs


def test_the_learning_rate_replaces_the_usual_one_and_nothing_else():
    assert Recipe().make_optimizer() == Adam()
    assert Recipe(learning_rate=0.5, optimizer="momentum").make_optimizer() == SGD(0.5, momentum=0.9)
