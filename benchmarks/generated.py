"""Networks of every kind of layer, made by Hypothesis, and their training on either engine."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import glassnet as gn
from glassnet.core.dtype import NDArray
from tests.compiler.guarded import guarded_copy


@st.composite
def networks(draw: st.DrawFn) -> dict[str, Any]:
    """Layers, the shape of a row, and how they are trained; options that do not fit together are refused."""
    kind = draw(st.sampled_from(("rows", "images", "sequences", "words")))
    build = {"rows": _dense, "images": _images, "sequences": _sequences, "words": _words}[kind]
    shape, layers = build(draw)
    classes = draw(st.integers(2, 5))
    head = draw(
        st.sampled_from(("cross_entropy", "mean_squared_error", "binary_cross_entropy", "hinge", "huber"))
    )
    units = 1 if head in ("binary_cross_entropy", "hinge") else classes
    return {
        "layers": [*layers, gn.Dense(units)],
        "loss": head,
        "shape": shape,
        "words": kind == "words",
        "classes": classes,
        "optimizer": draw(
            st.sampled_from(
                (
                    gn.SGD(0.02),
                    gn.SGD(0.005, momentum=0.9),
                    gn.Adam(0.01, epsilon=1e-3),
                    gn.AdamW(0.01, epsilon=1e-3),
                    gn.chain(gn.ClipByGlobalNorm(1.0), gn.SGD(0.05)),
                )
            )
        ),
        "rows": draw(st.integers(1, 40)),
        "batch_size": draw(st.integers(1, 24)),
        "epochs": draw(st.integers(1, 2)),
        "seed": draw(st.integers(0, 2**16)),
    }


ACTIVATIONS = ("tanh", "sigmoid", "softplus", "relu", "leaky_relu", "elu", "gelu", "silu", "identity")


def _activation(draw: st.DrawFn) -> str:
    return draw(st.sampled_from(ACTIVATIONS))


def _dense(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Any]]:
    layers: list[Any] = []
    for _ in range(draw(st.integers(0, 3))):
        layers.append(gn.Dense(draw(st.integers(1, 40)), activation=_activation(draw)))
        extra = draw(st.sampled_from((None, gn.Dropout(0.3), gn.BatchNorm(), gn.LayerNorm(), gn.RMSNorm())))
        layers += [extra] if extra else []
    return (draw(st.integers(1, 40)),), layers


def _images(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Any]]:
    layers: list[Any] = []
    for _ in range(draw(st.integers(1, 2))):
        layers.append(
            gn.Conv2D(
                draw(st.integers(1, 9)),
                draw(st.sampled_from((1, 2, 3, (1, 3)))),
                strides=draw(st.sampled_from((1, 1, 2))),
                padding=draw(st.sampled_from(("valid", "same"))),
                activation=_activation(draw),
            )
        )
        extra = (None, gn.MaxPool2D(2, padding="same"), gn.AveragePool2D(2, padding="same"), gn.BatchNorm())
        pooled = draw(st.sampled_from(extra))
        layers += [pooled] if pooled else []
    last = draw(st.sampled_from((gn.Flatten(), gn.GlobalAveragePool2D(), gn.GlobalMaxPool2D())))
    return (draw(st.integers(5, 9)), draw(st.integers(5, 9)), draw(st.integers(1, 3))), [*layers, last]


def _sequences(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Any]]:
    units = draw(st.integers(1, 12))
    layers = draw(
        st.sampled_from(
            (
                [gn.SimpleRNN(units)],
                [gn.LSTM(units)],
                [gn.GRU(units)],
                [gn.LSTM(units, return_sequences=True), gn.GRU(3, go_backwards=True)],
                [gn.Bidirectional(gn.LSTM(units))],
                [gn.MultiHeadAttention(2, units=4), gn.GlobalAveragePool1D()],
                [gn.LayerNorm(), gn.MultiHeadAttention(1, causal=True), gn.Flatten()],
                [gn.Conv1D(units, 3, padding="same", activation="tanh"), gn.GlobalMaxPool1D()],
            )
        )
    )
    return (draw(st.integers(1, 6)), draw(st.sampled_from((2, 4, 6)))), list(layers)


def _words(draw: st.DrawFn) -> tuple[tuple[int, ...], list[Any]]:
    units = draw(st.integers(1, 12))
    behind = draw(st.sampled_from(([gn.Flatten()], [gn.GRU(units)], [gn.GlobalAveragePool1D()])))
    return (draw(st.integers(1, 6)),), [gn.Embedding(7, units), *behind]


def data(case: dict[str, Any], dtype: str) -> tuple[NDArray, NDArray]:
    rng = np.random.default_rng(case["seed"])
    shape = (case["rows"], *case["shape"])
    X = rng.integers(0, 7, shape) if case["words"] else 0.5 * rng.standard_normal(shape)
    if case["loss"] == "cross_entropy":
        y: NDArray = np.arange(case["rows"]) % case["classes"]
    elif case["loss"] in ("binary_cross_entropy", "hinge"):
        y = np.arange(case["rows"]) % 2
    else:
        y = rng.standard_normal((case["rows"], case["classes"]))
    return guarded_copy(np.ascontiguousarray(X, dtype)), y


def trained(case: dict[str, Any], dtype: str, engine: str) -> list[Any]:
    """The loss of the last epoch and the parameters after it; the rows lie between guarded pages."""
    classes = {"cross_entropy": case["classes"], "binary_cross_entropy": 2, "hinge": 2}.get(case["loss"])
    net = gn.Network(
        case["layers"],
        case["loss"],
        seed=case["seed"],
        dtype=dtype,
        classes=None if classes is None else list(range(classes)),
    )
    X, y = data(case, dtype)
    options = {"batch_size": case["batch_size"], "optimizer": case["optimizer"], "engine": engine}
    program = net.training_program(X, y, **options, epochs=case["epochs"])
    loss = program.run_epochs(case["epochs"])
    return [loss, *program.parameters]
