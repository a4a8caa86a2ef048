"""Products of arrays: NumPy's values over shapes and dtypes, exact derivatives of both factors, batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.core.random import Key, normal
from glassnet.core.trace import placeholder, tracing
from glassnet.errors import ConfigurationError, ShapeError

Shapes = tuple[tuple[int, ...], ...]


def draw(shapes: Shapes, stream: int = 0) -> list[np.ndarray]:
    return [normal(Key(7, 100 * stream + i), shape) for i, shape in enumerate(shapes)]


# Every call takes the module, NumPy or ours, and arrays of these shapes.
CALLS: list[tuple[Shapes, Callable[..., Any]]] = [
    *(
        (shapes, lambda m, x, y: m.matmul(x, y))
        for shapes in [
            ((4,), (4,)), ((3, 4), (4,)), ((3,), (3, 4)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (4,)),
            ((4,), (2, 4, 3)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)), ((2, 1, 3, 4), (5, 4, 2)),
            ((1, 3, 4), (2, 4, 5)), ((2, 3, 1), (1, 1, 2)), ((0, 3), (3, 2)), ((2, 0), (0, 3)),
            ((0, 3, 4), (1, 4, 2)),
        ]
    ),
    *(
        (shapes, lambda m, x, y: m.dot(x, y))
        for shapes in [
            ((), (3,)), ((2, 3), ()), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 3)), ((2, 3, 4), (4,)),
            ((3, 4), (4, 2)), ((2, 3, 4), (5, 4, 2)), ((4,), (2, 4, 3)),
        ]
    ),
    *(
        (shapes, lambda m, x, y: m.inner(x, y))
        for shapes in [((), (3,)), ((4,), (4,)), ((3, 4), (2, 4)), ((2, 3, 4), (4,)), ((2, 3, 4), (5, 4))]
    ),
    (((2, 3), (3, 2)), lambda m, x, y: m.vdot(x, y)),
    (((2, 3), (4,)), lambda m, x, y: m.outer(x, y)),
    (((2, 3, 4), (3, 4, 5)), lambda m, x, y: m.tensordot(x, y)),
    (((2, 3), (4, 5)), lambda m, x, y: m.tensordot(x, y, 0)),
    (((2, 3, 4), (4, 2)), lambda m, x, y: m.tensordot(x, y, ((0, -1), (1, 0)))),
    (((2, 3), (3,)), lambda m, x, y: m.tensordot(x, y, (1, 0))),
    (((2,), (3,)), lambda m, x, y: m.kron(x, y)),
    (((2, 3), (1, 2)), lambda m, x, y: m.kron(x, y)),
    (((2, 2), (3,)), lambda m, x, y: m.kron(x, y)),
    (((), (2, 2)), lambda m, x, y: m.kron(x, y)),
    (((3,), (3,)), lambda m, x, y: m.cross(x, y)),
    (((2, 3), (3,)), lambda m, x, y: m.cross(x, y)),
    (((3, 4), (2, 3, 1)), lambda m, x, y: m.cross(x, y, axisa=0, axisb=1, axisc=0)),
    (((3, 2), (3, 2)), lambda m, x, y: m.cross(x, y, axis=0)),
    (((2, 3), (3,)), lambda m, x, y: m.vecdot(x, y)),
    (((4, 1, 3), (2, 4)), lambda m, x, y: m.vecdot(x, m.swapaxes(y, 0, 1)[:, None, :1], axis=0)),
    (((3, 4), (2, 4)), lambda m, x, y: m.einsum("...ij,...j->...i", x, y) if m is np else m.matvec(x, y)),
    (((5, 3), (3, 4)), lambda m, x, y: m.einsum("...j,...jk->...k", x, y) if m is np else m.vecmat(x, y)),
    *(
        (shapes, lambda m, *arrays, spec=spec: m.einsum(spec, *arrays))
        for spec, shapes in [
            ("ij,jk->ik", ((2, 3), (3, 4))), ("ij,jk", ((2, 3), (3, 4))), ("ba,cb", ((3, 2), (4, 3))),
            ("ij->ji", ((2, 3),)), ("ij", ((2, 3),)), ("ji", ((2, 3),)), ("ii", ((3, 3),)),
            ("ii->i", ((3, 3),)), ("iij->j", ((3, 3, 2),)), ("iji->ij", ((3, 2, 3),)),
            ("iii->i", ((2, 2, 2),)),
            ("ij->", ((2, 3),)), ("ij,ij->i", ((2, 3), (2, 3))), ("ij,k->i", ((2, 3), (4,))),
            ("i,j->ji", ((2,), (3,))), (",i->i", ((), (3,))), ("ii,jj->ij", ((2, 2), (3, 3))),
            ("...ij,...jk->...ik", ((2, 1, 2, 3), (5, 3, 4))), ("...i,...i", ((2, 3), (3,))),
            ("i...->...", ((2, 3, 4),)), ("...ii->...i", ((4, 3, 3),)),
            ("i...j,j...->...i", ((2, 4, 3), (3, 1))),
            ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))), ("ij,jk,kl,lm->im", ((2, 3), (3, 2), (2, 5), (5, 2))),
            ("bi,bj,ij->b", ((2, 3), (2, 4), (3, 4))), ("i,i,i->i", ((3,), (3,), (3,))),
            ("...a,...b,ab->...", ((2, 3), (1, 4), (3, 4))), ("ij,ij->j", ((1, 3), (4, 3))),
            ("ij,ij->", ((1, 3), (4, 3))), ("ab,b,a->", ((2, 3), (3,), (2,))),
            ("i j , j k -> i k", ((2, 3), (3, 4))),
            ("ij,jk->ik", ((0, 3), (3, 2))), ("ij,jk->ik", ((2, 0), (0, 3))),
        ]
    ),
    (((2, 3), (3, 4)), lambda m, x, y: m.einsum(x, [0, 1], y, [1, 2], [2, 0])),
    (((2, 3), (3, 4)), lambda m, x, y: m.einsum(x, [0, 30], y, [30, 2])),
    (((2, 3, 4), (3, 4)), lambda m, x, y: m.einsum(x, [Ellipsis, 1, 2], y, [1, 2], [Ellipsis])),
    (((4,), (4, 2), (2, 3), (3,)), lambda m, *arrays: m.linalg.multi_dot(arrays)),
    (((5, 2), (2, 9), (9, 3)), lambda m, *arrays: m.linalg.multi_dot(arrays)),
]  # fmt: skip
NUMBERED = [pytest.param(shapes, call, id=str(i)) for i, (shapes, call) in enumerate(CALLS)]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
@pytest.mark.parametrize(("shapes", "call"), NUMBERED)
def test_values_and_dtypes_are_numpys(shapes: Shapes, call: Callable[..., Any], dtype: str) -> None:
    arrays = [(3 * x).astype(dtype) for x in draw(shapes)]
    got, want = call(gnp, *arrays), call(np, *arrays)
    tolerance = 1e-14 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=10 * tolerance)
    assert got.dtype == want.dtype


@pytest.mark.parametrize(("shapes", "call"), NUMBERED)
def test_derivatives_agree_with_the_complex_step(shapes: Shapes, call: Callable[..., Any]) -> None:
    arrays = draw(shapes)
    assert gn.check_grads(lambda *x: call(gnp, *x), *arrays).passed


@pytest.mark.parametrize(("shapes", "call"), NUMBERED)
def test_the_shape_is_known_without_values(shapes: Shapes, call: Callable[..., Any]) -> None:
    arrays = draw(shapes)
    with tracing():
        got = call(gnp, *(placeholder(x.shape, x.dtype) for x in arrays))
    assert got.shape == call(np, *arrays).shape


@pytest.mark.parametrize(("shapes", "call"), NUMBERED)
def test_vmap_is_a_loop(shapes: Shapes, call: Callable[..., Any]) -> None:
    first, second = draw(shapes), draw(shapes, stream=1)
    # Every factor carries the batch, then each alone.
    for moving in [range(len(shapes)), *([i] for i in range(len(shapes)))]:
        batch = [
            np.stack([a, b]) if i in moving else a for i, (a, b) in enumerate(zip(first, second, strict=True))
        ]
        axes = tuple(0 if i in moving else None for i in range(len(shapes)))
        got = gn.vmap(lambda *x: call(gnp, *x), in_axes=axes)(*batch)
        for k in range(2):
            example = [x[k] if i in moving else x for i, x in enumerate(batch)]
            np.testing.assert_allclose(got[k], call(np, *example), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
@pytest.mark.parametrize("spec", ["ij->", "ij->j", "ij,ik->i", "ij,ik,ij->k"])
def test_einsum_keeps_small_types(spec: str, dtype: str) -> None:
    x = np.array([[1, 0, 3], [0, 0, 2]]).astype(dtype)
    arrays = [x] * (spec.count(",") + 1)
    got, want = gnp.einsum(spec, *arrays), np.einsum(spec, *arrays)
    np.testing.assert_array_equal(got, want)
    assert got.dtype == want.dtype


def test_a_chain_is_multiplied_in_the_order_that_costs_least() -> None:
    # (x y) z takes 1 000 000 + 10 000 multiplications, x (y z) 20 000.
    x, y, z = placeholder((100, 100), np.dtype(float)), np.zeros((100, 100)), np.zeros(100)
    with tracing():
        node = gnp.einsum("ij,jk,k->i", x, y, z).node
    assert sorted(source.shape for source in node.inputs) == [(100,), (100, 100)]


@pytest.mark.parametrize(
    ("kind", "sentence", "call"),
    [
        (ShapeError, "at least one dimension", lambda x, v: gnp.matmul(2.0, x)),
        (ShapeError, "axis of 3 with one of 2", lambda x, v: gnp.matmul(x, x)),
        (ShapeError, "axis of 1 with one of 2", lambda x, v: gnp.matmul(x[..., None], np.ones((1, 2, 2)))),
        (ShapeError, "axis of 2 with one of 3", lambda x, v: gnp.matmul(x[:, :1, None], v[:, None, None])),
        (ShapeError, "axis of 3 with one of 2", lambda x, v: gnp.dot(x, x)),
        (ShapeError, "axis of 6 with one of 3", lambda x, v: gnp.vdot(x, v)),
        (ShapeError, "2 of x and 1 of y", lambda x, v: gnp.tensordot(x, v, ((0, 1), (0,)))),
        (ShapeError, r"sum over 3 axes of shapes \(2, 3\) and \(3,\)", lambda x, v: gnp.tensordot(x, v, 3)),
        (ShapeError, "vectors of 3 elements; it got 2 and 3", lambda x, v: gnp.cross(v[:2], v)),
        (ShapeError, r"vecdot got shapes \(2, 3\) and \(2,\)", lambda x, v: gnp.vecdot(x, v[:2])),
        (ShapeError, r"matvec got shapes \(3,\) and \(3,\)", lambda x, v: gnp.matvec(v, v)),
        (ShapeError, "1 arrays for 'ij,jk'", lambda x, v: gnp.einsum("ij,jk", x)),
        (ShapeError, r"shape \(2, 3\) for 'i' in", lambda x, v: gnp.einsum("i->i", x)),
        (ShapeError, r"shape \(3,\) for '...ij' in", lambda x, v: gnp.einsum("...ij", v)),
        (ShapeError, "every label of the output comes once", lambda x, v: gnp.einsum("ij->ik", x)),
        (ShapeError, "every label of the output comes once", lambda x, v: gnp.einsum("ij->ii", x)),
        (ConfigurationError, "labels are letters", lambda x, v: gnp.einsum("i1->i", x)),
        (ShapeError, "have 2 and 3 elements", lambda x, v: gnp.einsum("ii", x)),
        (ShapeError, "axis of 3 with one of 2", lambda x, v: gnp.einsum("ij,jk->ik", x, x)),
        (ShapeError, "vectors at the ends", lambda x, v: gnp.linalg.multi_dot([x, v, v])),
    ],
)  # fmt: skip
def test_what_does_not_fit_gets_one_sentence(kind: type[Exception], sentence: str, call: Any) -> None:
    with pytest.raises(kind, match=sentence):
        call(np.ones((2, 3)), np.ones(3))
