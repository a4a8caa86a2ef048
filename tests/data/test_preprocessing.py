from __future__ import annotations

import numpy as np

from glassnet.data import Standardizer, constant_columns


def test_hand_worked_column():
    scaling = Standardizer.fit(np.array([[2.0], [4.0], [4.0], [6.0]]))
    assert scaling.mean.tolist() == [4.0]
    assert scaling.scale.tolist() == [np.sqrt(2.0)]  # population variance (4 + 0 + 0 + 4) / 4


def test_apply_gives_mean_zero_and_deviation_one_and_invert_undoes_it():
    X = np.random.default_rng(0).normal(1e6, [1e-3, 1.0, 1e3], size=(200, 3))
    scaling = Standardizer.fit(X)
    Z = scaling.apply(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(Z.std(axis=0), 1.0, rtol=1e-6)
    np.testing.assert_allclose(scaling.invert(Z), X, rtol=1e-15)


def test_a_constant_column_becomes_exactly_zero_even_where_its_mean_is_rounded():
    X = np.column_stack([np.full(10, 0.1), np.arange(10.0)])
    scaling = Standardizer.fit(X)
    assert constant_columns(X).tolist() == [0]
    assert scaling.scale[0] == 1.0
    assert scaling.apply(X)[:, 0].tolist() == [0.0] * 10


def test_columns_whose_differences_vanish_in_rounding_stay_finite():
    X = np.array([[1e-200], [2e-200]])  # the square of the deviation underflows
    assert np.isfinite(Standardizer.fit(X).apply(X)).all()
