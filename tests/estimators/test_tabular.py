from __future__ import annotations

import numpy as np
import pytest

from glassnet.data import Table
from glassnet.errors import DataError, ModelFileError, NotFittedError
from glassnet.estimators import Recipe, TabularModel, fit_table, plan_training
from glassnet.persist import load, read_model_file, write_model_file

QUICK = Recipe(hidden=(8,), epochs=60, learning_rate=0.02)
N = 120


def flowers(classes, dtype=None):
    """The class is read off the first column; the second is noise far from zero, the third constant."""
    rng = np.random.default_rng(0)
    kind = np.arange(N) % len(classes)
    columns = {
        "size": kind + rng.normal(0, 0.1, N),
        "noise": 1e6 + rng.normal(0, 100.0, N),
        "fixed": np.full(N, 0.1),
        "kind": np.array(classes, dtype)[kind],
    }
    return Table("flowers", columns)


def houses():
    rng = np.random.default_rng(0)
    rooms, age = rng.uniform(1, 6, N), rng.uniform(0, 80, N)
    return Table("houses", {"rooms": rooms, "age": age, "price": 2e5 * rooms - 1e3 * age + 5e6})


@pytest.fixture(scope="module")
def kinds():
    table = flowers(["oak", "elm", "ash"], object)
    return table, *fit_table(table, "kind", QUICK)


@pytest.fixture(scope="module")
def prices():
    table = houses()
    return table, *fit_table(table, "price", QUICK)


def test_several_classes_have_a_softmax_unit_each_and_are_learnt(kinds):
    table, model, history, plan = kinds
    assert model.network.layer_table()[-1][2] == (3,)
    assert model.classes.tolist() == ["ash", "elm", "oak"]
    assert model.evaluate_table(table.take(plan.test))["accuracy"] > 0.95
    assert len(history.validation_score) == 60
    predicted = model.predict_table(table)
    assert list(predicted) == ["prediction", "probability_ash", "probability_elm", "probability_oak"]
    probabilities = np.column_stack([predicted[f"probability_{c}"] for c in model.classes])
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(model.classes[probabilities.argmax(axis=1)], predicted["prediction"])


@pytest.mark.parametrize(
    ("classes", "labels"),
    [([5, 9], [5, 9]), ([False, True], ["false", "true"]), ([2.0, 1.0], [1, 2]), (["b", "a"], ["a", "b"])],
)
def test_two_classes_have_one_sigmoid_unit_and_keep_their_labels(classes, labels):
    table = flowers(classes)
    model, _, plan = fit_table(table, "kind", QUICK)
    assert model.network.layer_table()[-1][2] == (1,)
    assert model.classes.tolist() == labels
    assert model.evaluate_table(table.take(plan.test))["accuracy"] > 0.95
    assert list(model.predict_table(table)) == ["prediction", *(f"probability_{c}" for c in labels)]


def test_quantities_come_back_in_their_own_units(prices):
    table, model, _, plan = prices
    unseen = table.take(plan.test)
    figures = model.evaluate_table(unseen)
    error = np.abs(model.predict_table(unseen)["prediction"] - unseen.target("price"))
    assert figures["r2"] > 0.98
    assert figures["mae"] == pytest.approx(error.mean())
    assert 10.0 < figures["mae"] < 1e5


def test_scaling_is_that_of_the_training_rows_alone():
    table = houses()
    plan = plan_training(table, "price", seed=0)
    model = TabularModel.untrained(plan, QUICK)
    np.testing.assert_allclose(model.inputs.mean, plan.X[plan.training].mean(axis=0))
    np.testing.assert_allclose(model.outputs.mean, plan.target.values[plan.training].mean())


def test_columns_are_found_by_name_and_the_target_is_not_looked_at(kinds):
    table, model, *_ = kinds
    expected = model.predict_table(table)["prediction"]
    reordered = {name: table.columns[name] for name in ("noise", "fixed", "size")}
    np.testing.assert_array_equal(model.predict_table(Table("t", reordered))["prediction"], expected)
    spoilt = reordered | {"kind": np.full(N, None, object)}
    np.testing.assert_array_equal(model.predict_table(Table("t", spoilt))["prediction"], expected)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"size": None, "fixed": None}, "t has no column 'size', 'fixed'; its columns are 'noise', 'kind'"),
        ({"colour": np.zeros(N)}, "t has the column 'colour', which the model was not trained on"),
        ({"size": np.full(N, np.inf)}, "t, column 'size', row 1 holds inf"),
        ({"size": np.full(N, -1e80)}, "t, column 'size', row 1 is .* standard deviations from"),
    ],
)
def test_tables_that_cannot_be_predicted_are_refused(kinds, changes, sentence):
    table, model, *_ = kinds
    columns = {name: c for name, c in (dict(table.columns) | changes).items() if c is not None}
    with pytest.raises(DataError, match=sentence):
        model.predict_table(Table("t", columns))


def test_evaluation_takes_another_column_for_the_target(kinds):
    table, model, *_ = kinds
    renamed = {("truth" if name == "kind" else name): column for name, column in table.columns.items()}
    assert model.evaluate_table(Table("t", renamed), "truth") == model.evaluate_table(table)


def test_an_unknown_class_is_named_with_its_place(kinds):
    table, model, *_ = kinds
    kind = table.columns["kind"].copy()
    kind[7] = "fir"
    with pytest.raises(
        DataError, match=r"column 'kind', row 8 holds 'fir', which is none .* ash, elm, oak\."
    ):
        model.evaluate_table(Table("t", dict(table.columns) | {"kind": kind}))


def test_text_where_a_quantity_is_predicted_is_refused(prices):
    table, model, *_ = prices
    with pytest.raises(DataError, match="column 'price' holds no numbers"):
        model.evaluate_table(Table("t", dict(table.columns) | {"price": np.full(N, "x", object)}))


@pytest.mark.parametrize("fitted", ["kinds", "prices"])
def test_a_saved_model_predicts_the_same_bits(fitted, request, tmp_path):
    table, model, *_ = request.getfixturevalue(fitted)
    model.save(tmp_path / "m.glass")
    loaded = load(tmp_path / "m.glass")
    assert isinstance(loaded, TabularModel)
    assert (loaded.features, loaded.target) == (model.features, model.target)
    expected, got = model.predict_table(table), loaded.predict_table(table)
    assert list(got) == list(expected)
    for name, column in expected.items():
        np.testing.assert_array_equal(got[name], column, strict=True)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("inputs.mean", None),
        ("inputs.scale", np.zeros(3)),
        ("inputs.scale", np.ones(2)),
        ("network.dense_1.bias", None),
        ("features", ["size"]),
        ("features", "size"),
        ("target", 3),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(kinds, tmp_path, part, value):
    kinds[1].save(tmp_path / "m.glass")
    document, arrays = read_model_file(tmp_path / "m.glass")
    (document if part in document else arrays)[part] = value
    arrays = {name: array for name, array in arrays.items() if array is not None}
    write_model_file(tmp_path / "m.glass", document, arrays)
    with pytest.raises(ModelFileError):
        load(tmp_path / "m.glass")


def test_an_untrained_model_knows_no_classes_and_one_recipe_gives_one_model():
    plan = plan_training(flowers(["a", "b", "c"]), "kind", seed=0)
    with pytest.raises(NotFittedError):
        _ = TabularModel.untrained(plan, QUICK).classes
    first, second = (TabularModel.untrained(plan, QUICK) for _ in range(2))
    assert first.fit(plan, QUICK).loss == second.fit(plan, QUICK).loss
