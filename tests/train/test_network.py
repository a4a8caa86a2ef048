"""Network in use: construction, prediction, parameters, files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.errors import ConfigurationError, DTypeError, GlassnetError, ModelFileError, NotFittedError
from glassnet.losses import Loss, loss

LABELS = np.array(["ash", "birch", "cedar"])[np.arange(23) % 3]


def classifier(**options: Any) -> gn.Network:
    return gn.Network([gn.Dense(4, activation="relu"), gn.Dense(3)], loss="cross_entropy", **options)


# -- construction


def test_the_seed_and_the_layer_decide_the_first_weights() -> None:
    first, again, other = (classifier(seed=seed, input_shape=5).parameters for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not np.array_equal(first["dense_1.weight"], other["dense_1.weight"])
    square = gn.Network([gn.Dense(4), gn.Dense(4)], loss="mean_squared_error", input_shape=4).parameters
    assert not np.isin(square["dense_1.weight"], square["dense_2.weight"]).any()


def test_what_a_network_tells_about_itself() -> None:
    net = classifier(input_shape=(5,))
    assert repr(net) == "Network([Dense(4, relu), Dense(3, identity)], loss='cross_entropy')"
    assert net.layer_table() == [
        ("dense_1", "Dense(4, relu)", (4,), 24),
        ("dense_2", "Dense(3, softmax)", (3,), 15),
    ]
    assert net.parameter_names == ["dense_1.weight", "dense_1.bias", "dense_2.weight", "dense_2.bias"]
    assert net.output_shape == (3,)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda: gn.Network([], "cross_entropy"),
            r"layers=\[\]; it takes a list of one or more layers, such as",
        ),
        (lambda: gn.Network("dense", "cross_entropy"), r"layers='dense'; it takes a list of one or more"),
        (lambda: gn.Network([gn.Dense(2), "tanh"], "cross_entropy"), "it takes a list of one or more layers"),
        (lambda: gn.Network([gn.Dense], "cross_entropy"), "it takes a list of one or more layers"),
        (
            lambda: gn.Network([gn.Dense(2)], "hing"),
            "loss='hing' is not one of .*hinge, .*half_squared_error",
        ),
        (lambda: classifier(seed=-1), "seed=-1; it takes a whole number from 0 to 18446744073709551615"),
        (lambda: classifier(seed=2**64), "seed=18446744073709551616; it takes"),
        (lambda: classifier(seed=0.5), "seed=0.5; it takes"),
        (lambda: classifier(input_shape=0), "input_shape=0; it takes a whole number of 1 or more"),
        (lambda: classifier(input_shape=(2.5,)), "input_shape=2.5; it takes"),
        (lambda: classifier(input_shape="4"), "input_shape='4'; it takes"),
        (
            lambda: gn.Network([gn.Dense(3, activation="tanh")], "cross_entropy"),
            r'activation softmax, but the last layer, dense_1, is Dense\(3, tanh\); give it .*"softmax"',
        ),
        (
            lambda: gn.Network([gn.Dense(3, activation=lambda z: z)], "binary_cross_entropy"),
            "contains the output activation sigmoid, but the last layer, dense_1, is",
        ),
        (
            lambda: gn.Network([gn.Dense(1)], "cross_entropy", input_shape=2),
            'softmax of cross_entropy makes it always 1; .*"binary_cross_entropy"',
        ),
    ],
)
def test_a_network_that_cannot_be_is_refused_in_one_sentence(make: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_dtype_that_is_not_floating_is_refused() -> None:
    with pytest.raises(
        DTypeError, match='Network got dtype \'int32\'; it computes in "float32" or "float64"'
    ):
        classifier(dtype="int32")


@pytest.mark.parametrize("activation", ["identity", "softmax", gnp.softmax], ids=str)
def test_the_activation_of_the_loss_may_be_written_or_left_out(activation: Any, rows: np.ndarray) -> None:
    nets = [
        gn.Network([gn.Dense(3, activation=written)], loss="cross_entropy")
        for written in ("identity", activation)
    ]
    losses = [net.fit(rows, LABELS, epochs=2).loss for net in nets]
    assert losses[0] == losses[1]
    assert np.array_equal(nets[0].predict_proba(rows), nets[1].predict_proba(rows))


def test_a_softmax_before_a_squared_error_is_a_layer_like_any_other(rows: np.ndarray) -> None:
    net = gn.Network([gn.Dense(3, activation="softmax")], loss="mean_squared_error", dtype="float64")
    net.fit(rows, np.eye(3)[np.arange(23) % 3], epochs=1)
    np.testing.assert_allclose(net.predict(rows).sum(axis=1), 1.0, rtol=1e-14)


# -- use


def test_a_classifier_predicts_labels_and_probabilities(rows: np.ndarray) -> None:
    net = classifier()
    net.fit(rows, LABELS, epochs=3)
    probabilities = net.predict_proba(rows)
    assert probabilities.shape == (23, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-6)
    assert net.predict(rows).tolist() == net.classes[probabilities.argmax(axis=1)].tolist()
    figures = net.evaluate(rows, LABELS)
    assert list(figures) == ["loss", "accuracy"]
    assert figures["accuracy"] == np.mean(net.predict(rows) == LABELS)
    rank = np.arange(23) % 3
    assert figures["loss"] == pytest.approx(-np.log(probabilities[np.arange(23), rank]).mean(), rel=1e-5)


def test_one_yes_or_no_output_has_two_probabilities(rows: np.ndarray) -> None:
    net = gn.Network([gn.Dense(1)], loss="binary_cross_entropy")
    answers = np.where(rows[:, 0] > 0, "yes", "no")
    net.fit(rows, answers, epochs=200, optimizer=gn.Adam(0.1))
    probabilities = net.predict_proba(rows)
    assert probabilities.shape == (23, 2)
    assert net.classes.tolist() == ["no", "yes"]
    assert np.array_equal(net.predict(rows) == "yes", probabilities[:, 1] >= 0.5)
    assert net.evaluate(rows, answers)["accuracy"] == 1.0


def test_several_yes_or_no_outputs_answer_one_by_one(rows: np.ndarray) -> None:
    net = gn.Network([gn.Dense(2)], loss="binary_cross_entropy")
    answers = (rows[:, :2] > 0).astype(int)
    net.fit(rows, answers, epochs=200, optimizer=gn.Adam(0.1))
    assert net.predict_proba(rows).shape == (23, 2)
    assert np.array_equal(net.predict(rows), answers)
    assert net.evaluate(rows, answers)["accuracy"] == 1.0


def test_a_regressor_predicts_in_the_shape_of_its_targets(rows: np.ndarray) -> None:
    one = gn.Network([gn.Dense(1)], loss="mean_squared_error", dtype="float64")
    one.fit(rows, rows[:, 0], epochs=1)
    assert one.predict(rows).shape == (23,)
    two = gn.Network([gn.Dense(2)], loss="half_squared_error", dtype="float64")
    two.fit(rows, rows[:, :2], epochs=1)
    predicted = two.predict(rows)
    assert predicted.shape == (23, 2)
    figures, error = two.evaluate(rows, rows[:, :2]), predicted - rows[:, :2]
    assert list(figures) == ["loss", "r2", "mean_absolute_error"]
    assert figures["loss"] == pytest.approx(0.5 * (error**2).sum(axis=1).mean(), rel=1e-13)
    assert figures["mean_absolute_error"] == pytest.approx(np.abs(error).mean(), rel=1e-13)
    with pytest.raises(
        ConfigurationError, match="predict_proba is for classifiers, and this network minimises"
    ):
        one.predict_proba(rows)


def test_prediction_does_not_depend_on_how_the_rows_are_cut() -> None:
    net = classifier(input_shape=2, dtype="float64")
    net.fit([[0.0, 1.0]] * 3, [0, 1, 2], epochs=1)
    X = np.random.default_rng(0).normal(size=(9000, 2))  # more than one piece
    pieces = [net.predict_proba(part) for part in np.split(X, [1, 3, 4097, 8000])]
    np.testing.assert_allclose(np.concatenate(pieces), net.predict_proba(X), rtol=1e-12)
    labels = np.arange(9000) % 3
    halves = [net.evaluate(X[part], labels[part])["loss"] for part in (slice(0, 4500), slice(4500, None))]
    assert net.evaluate(X, labels)["loss"] == pytest.approx(np.mean(halves), rel=1e-12)


@pytest.mark.parametrize(
    "call", ["predict", "predict_proba", "parameters", "layer_table", "output_shape", "save"]
)
def test_a_network_without_parameters_says_so(call: str, rows: np.ndarray, tmp_path: Path) -> None:
    net = classifier()
    arguments = {
        "predict": [rows],
        "predict_proba": [rows],
        "layer_table": [],
        "save": [tmp_path / "n.glass"],
    }
    with pytest.raises(
        NotFittedError, match="has no parameters yet; call fit first, or give Network an input_shape"
    ):
        getattr(net, call)(*arguments[call])


def test_a_classifier_that_knows_no_classes_says_so(rows: np.ndarray) -> None:
    net = classifier(input_shape=3)
    for call in (lambda: net.predict(rows), lambda: net.evaluate(rows, LABELS)):
        with pytest.raises(NotFittedError, match="does not know its classes yet; call fit first"):
            call()
    assert net.predict_proba(rows).shape == (23, 3)


def test_rows_of_another_width_are_refused(rows: np.ndarray) -> None:
    net = classifier()
    net.fit(rows, LABELS, epochs=1)
    sentence = r"X has rows of shape \(2,\), but this network takes rows of shape \(3,\)"
    for call in (
        net.predict,
        net.predict_proba,
        lambda X: net.fit(X, LABELS),
        lambda X: net.evaluate(X, LABELS),
    ):
        with pytest.raises(GlassnetError, match=sentence):
            call(rows[:, :2])


# -- parameters


def test_parameters_are_read_only_views_that_can_be_replaced() -> None:
    net = classifier(input_shape=2)
    given = {name: np.full(array.shape, 2.0) for name, array in net.parameters.items()}
    net.parameters = dict(reversed(given.items()))
    given["dense_1.bias"][0] = 7.0  # the network has a copy
    assert all((array == 2).all() and array.dtype == np.float32 for array in net.parameters.values())
    with pytest.raises(ValueError, match="read-only"):
        net.parameters["dense_1.bias"][0] = 1.0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dense_3.bias": [0]}, r"a dict with dense_1\.weight, .*dense_2\.bias; got .*dense_3\.bias"),
        ({"dense_1.bias": [0, 0]}, r"The parameter dense_1\.bias has shape \(4,\); got \(2,\)"),
        ({"dense_1.bias": 0}, r"The parameter dense_1\.bias has shape \(4,\); got \(\)"),
        ({"dense_1.bias": [0, 0, np.nan, 0]}, r"The parameter dense_1\.bias holds nan in row 2"),
        ({"dense_1.bias": np.inf}, r"The parameter dense_1\.bias holds inf; remove or replace it"),
        (
            {"dense_1.bias": ["a"] * 4},
            r"The parameter dense_1\.bias holds 'a' in row 0, which is not a number",
        ),
    ],
    ids=str,
)
def test_parameters_that_do_not_fit_are_refused_and_nothing_changes(change: dict, sentence: str) -> None:
    net = classifier(input_shape=2)
    before = {name: array.copy() for name, array in net.parameters.items()}
    with pytest.raises(GlassnetError, match=sentence):
        net.parameters = {**before, **change}
    assert all(np.array_equal(array, before[name]) for name, array in net.parameters.items())


def test_parameters_that_are_no_dict_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"a dict with .*; got list"):
        classifier(input_shape=2).parameters = [1.0, 2.0]


# -- files


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "labels", [LABELS, np.arange(23) % 3, (np.arange(23) % 3) * 1.5 // 1, np.arange(23) % 3 - 1], ids=str
)
def test_a_saved_network_comes_back_bit_for_bit(
    labels: np.ndarray, dtype: str, rows: np.ndarray, tmp_path: Path
) -> None:
    net = classifier(seed=3, dtype=dtype)
    net.fit(rows, labels, epochs=2)
    net.save(tmp_path / "net.glass")
    loaded = gn.load(tmp_path / "net.glass")
    assert (loaded.dtype, loaded.seed, loaded.input_shape) == (net.dtype, net.seed, net.input_shape)
    assert np.array_equal(loaded.classes, net.classes)
    assert loaded.classes.dtype == net.classes.dtype
    assert loaded.predict_proba(rows).tobytes() == net.predict_proba(rows).tobytes()
    assert loaded.predict(rows).tolist() == net.predict(rows).tolist()
    # Training goes on with the same shuffles.
    assert (
        loaded.fit(rows, labels, epochs=2, batch_size=5).loss
        == net.fit(rows, labels, epochs=2, batch_size=5).loss
    )


def test_a_loss_of_the_user_s_own_trains_and_is_saved_by_its_name(
    rows: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss, "_CLASSES", dict(loss._CLASSES))

    class Distance(Loss):
        name = "distance"

        def divergence(self, prediction: Any, target: Any, mask: Any = None) -> Any:
            return gnp.sum(gnp.abs(prediction - target))

    net = gn.Network([gn.Dense(1)], loss=Distance())
    history = net.fit(rows, rows[:, 0], epochs=50)
    assert history.loss[-1] < history.loss[0]
    net.save(tmp_path / "net.glass")
    assert np.array_equal(gn.load(tmp_path / "net.glass").predict(rows), net.predict(rows))
    monkeypatch.delitem(loss._CLASSES, "distance")
    with pytest.raises(ModelFileError, match="the loss 'distance', which this glassnet does not know"):
        gn.load(tmp_path / "net.glass")


def test_a_function_of_the_user_s_own_is_code_and_not_saved(rows: np.ndarray, tmp_path: Path) -> None:
    net = gn.Network([gn.Dense(1, activation=lambda z: 2 * z)], loss="mean_squared_error", input_shape=3)
    with pytest.raises(
        ConfigurationError, match=r"Dense\(activation\) holds <lambda>, which is code of your"
    ):
        net.save(tmp_path / "net.glass")
    assert not (tmp_path / "net.glass").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layers": None}, "does not describe a network: "),
        ({"layers": []}, "it takes a list of one or more layers"),
        ({"layers": [{"type": "Conv9"}]}, "of type 'Conv9', .* does not know; .*Conv1D"),
        ({"loss": "hing"}, "the loss 'hing', which this glassnet does not know; it knows .*hinge"),
        ({"dtype": "int8"}, "dtype 'int8'"),
        ({"input_shape": [4]}, r"The parameter dense_1\.weight has shape \(4, 4\); got \(4, 3\)"),
        ({"seed": -1}, "seed=-1"),
        ({"classes": ["a", "b"]}, r"classes=\['a', 'b'\], but the network tells 3 apart"),
        ({"epochs_trained": "many"}, "epochs_trained='many'"),
    ],
    ids=str,
)
def test_a_document_of_no_network_is_refused(change: dict, sentence: str, rows: np.ndarray) -> None:
    net = classifier()
    net.fit(rows, LABELS, epochs=1)
    document, arrays = net.to_document()
    with pytest.raises(ModelFileError, match=sentence):
        gn.Network.from_document({**document, **change}, arrays)


def test_a_document_that_lacks_a_part_is_refused() -> None:
    document, arrays = classifier(input_shape=2).to_document()
    for part in document.keys() - {"kind", "reduction"}:
        with pytest.raises(ModelFileError, match=f"does not describe a network: it lacks '{part}'"):
            gn.Network.from_document({name: document[name] for name in document if name != part}, arrays)


def test_the_import_does_not_bring_the_progress_bar() -> None:
    program = "import sys, glassnet; print([name for name in sys.modules if name.split('.')[0] == 'rich'])"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"
