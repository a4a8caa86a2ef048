"""Losses as configuration: options out of range, names, documents, losses of the user's own."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

import glassnet.numpy as gnp
from glassnet import losses
from glassnet.errors import ConfigurationError, ModelFileError
from glassnet.losses import LOSSES, Loss
from glassnet.losses import loss as registry

Z = np.array([0.5, -1.0, 2.0])
DISTRIBUTION = np.array([0.2, 0.3, 0.5])

OUT_OF_RANGE = [
    (losses.Huber, {"delta": 0}, r"^huber got delta=0; it takes a number above 0\.$"),
    (losses.Huber, {"delta": math.inf}, "number above 0"),
    (losses.Huber, {"delta": "1"}, "got delta='1'"),
    (losses.Huber, {"delta": True}, "got delta=True"),
    (losses.Quantile, {"quantile": 50}, r"^quantile got quantile=50; .* above 0 and below 1\.$"),
    (losses.Quantile, {"quantile": math.nan}, "got quantile=nan"),
    (losses.CrossEntropy, {"label_smoothing": 1.0}, "^cross_entropy got .*=1.0; .* at least 0 and below 1"),
    (losses.BinaryCrossEntropy, {"label_smoothing": -0.1}, "^binary_cross_entropy got label_smoothing=-0.1"),
    (losses.CrossEntropyFromProbabilities, {"epsilon": 0}, "^cross_entropy_from_probabilities got epsilon=0"),
    (losses.BinaryCrossEntropyFromProbabilities, {"epsilon": 0.5}, "number above 0 and below 0.5"),
    (losses.Focal, {"gamma": -1}, r"^focal got gamma=-1; it takes a number of at least 0\.$"),
    (losses.Focal, {"alpha": 0.25}, "^focal got alpha=0.25; it takes a tuple, one weight for each class"),
    (losses.Focal, {"alpha": (1.0, -1.0)}, r"^focal got alpha\[1\]=-1.0; it takes a number of at least 0"),
    (losses.BinaryFocal, {"alpha": 1.0}, "^binary_focal got alpha=1.0; .* above 0 and below 1"),
    (losses.Poisson, {"log_rate": "no"}, "^poisson got log_rate='no'; it takes True or False"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "sentence"), OUT_OF_RANGE, ids=str)
def test_an_option_out_of_its_range_is_refused_by_the_loss_and_its_function(
    kind: type[Loss], options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        kind(**options)
    with pytest.raises(ConfigurationError, match=sentence):
        getattr(losses, kind.name)(Z, DISTRIBUTION, **options)


def test_as_many_weights_as_classes() -> None:
    with pytest.raises(ConfigurationError, match=r"^focal got alpha with 2 weights for 3 classes"):
        losses.Focal(alpha=(1.0, 1.0)).divergence(Z, DISTRIBUTION)


# -- names and documents


def test_a_loss_is_found_by_name_or_is_itself() -> None:
    loss = losses.resolve("cross_entropy")
    assert loss is LOSSES["cross_entropy"] is losses.resolve(loss)
    assert losses.resolve(losses.Huber(2.0)) == losses.Huber(2.0) != losses.resolve("huber")


@pytest.mark.parametrize("name", ["mse", None, ["cross_entropy"]], ids=repr)
def test_an_unknown_loss_is_refused_with_the_list_of_known_ones(name: object) -> None:
    with pytest.raises(
        ConfigurationError, match=r"is not one of binary_cross_entropy, cross_entropy, .* such as Huber"
    ):
        losses.resolve(name)


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_says_what_it_is(name: str) -> None:
    loss = LOSSES[name]
    assert loss.name == name
    assert loss.link in (None, "softmax", "sigmoid")
    assert loss.task in ("classification", "regression")
    assert loss.formula
    function = getattr(losses, name)
    assert function(Z, DISTRIBUTION) == loss.divergence(Z, DISTRIBUTION) or name.startswith("poisson")


CHANGED: dict[str, Any] = {
    "delta": 2.0, "quantile": 0.9, "log_rate": False, "label_smoothing": 0.1, "epsilon": 1e-3, "gamma": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_survives_its_document(name: str) -> None:
    loss = LOSSES[name]
    assert loss.to_document() == name
    assert Loss.from_document(name) is loss
    for option in fields(loss):
        value = CHANGED.get(option.name, (1.0, 2.0) if name == "focal" else 0.25)
        changed = replace(loss, **{option.name: value})
        document = json.loads(json.dumps(changed.to_document()))
        assert document["name"] == name
        assert Loss.from_document(document) == changed != loss


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ("mse", "has the loss 'mse', which this glassnet does not know; it knows binary"),
        (None, "has the loss None"),
        ({"delta": 1.0}, "has the loss None"),
        ({"name": ["huber"]}, r"has the loss \['huber'\]"),
        ({"name": "huber", "sigma": 1.0}, "describes its loss huber wrongly: .*sigma"),
        ({"name": "huber", "delta": -1.0}, "describes its loss huber wrongly: huber got delta=-1.0"),
    ],
    ids=str,
)
def test_a_document_of_no_loss_is_refused(document: Any, sentence: str) -> None:
    with pytest.raises(ModelFileError, match=sentence):
        Loss.from_document(document)


@pytest.fixture
def scratch_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_CLASSES", dict(registry._CLASSES))
    monkeypatch.setattr(registry, "_defaults", dict(registry._defaults))


@pytest.mark.usefixtures("scratch_registry")
def test_a_loss_of_the_user_s_own_takes_its_place_among_the_others() -> None:
    def define(power: int) -> type[Loss]:
        @dataclass(frozen=True)
        class Power(Loss):
            name = "power"
            exponent: int = power

            def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
                return gnp.sum((prediction - target) ** self.exponent)

        return Power

    define(4)
    assert losses.resolve("power").divergence(Z, np.zeros(3)) == np.sum(Z**4)
    define(2)  # once more, as when a cell of a notebook runs again
    assert losses.resolve("power").divergence(Z, np.zeros(3)) == np.sum(Z**2)
    document = type(losses.resolve("power"))(exponent=6).to_document()
    assert document == {"name": "power", "exponent": 6}
    assert Loss.from_document(document).divergence(Z, np.zeros(3)) == np.sum(Z**6)


@pytest.mark.usefixtures("scratch_registry")
def test_a_name_that_is_taken_and_targets_that_nobody_knows_are_refused() -> None:
    with pytest.raises(
        ConfigurationError, match="The loss Mine has the name 'huber', which is that of Huber"
    ):
        type("Mine", (Loss,), {"name": "huber"})
    with pytest.raises(ConfigurationError, match="says targets='labels'; it takes one of classes, binary"):
        type("Mine", (Loss,), {"name": "mine", "targets": "labels"})
