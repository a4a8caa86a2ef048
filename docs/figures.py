"""The figures of the pages, drawn by glassnet itself: `python docs/figures.py` writes all of them.

Names after the command write those alone. A figure is a function marked with `figure`; its file is
curriculum/figures/<name of the function>.svg. It needs matplotlib: pip install 'glassnet[plots]'.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.nn.activations import ACTIVATIONS
from glassnet.optim._matplotlib import load_pyplot

FOLDER = Path(__file__).parent / "curriculum" / "figures"
# Readable in black and white: lines differ in style, not in colour alone. The salt and the lack of a date
# make the files the same from run to run.
STYLE: dict[str, Any] = {
    "svg.hashsalt": "glassnet",
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.titlesize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": (
        "cycler(color=['black', '#b03010', '#2060a0', '#808080'], linestyle=['-', '--', '-.', ':'])"
    ),
    "figure.constrained_layout.use": True,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
}

Draw = Callable[[Any], Any]  # takes matplotlib.pyplot, gives a figure
FIGURES: dict[str, Draw] = {}


def figure(draw: Draw) -> Draw:
    """Marks a function that draws a figure."""
    FIGURES[draw.__name__] = draw
    return draw


def write(names: Iterable[str], folder: Path = FOLDER) -> list[Path]:
    """The files of the figures `names`, written to `folder`."""
    pyplot = load_pyplot("A figure")
    paths = []
    with pyplot.rc_context(STYLE):
        for name in names:
            drawn = FIGURES[name](pyplot)
            paths.append(folder / f"{name}.svg")
            drawn.savefig(paths[-1], metadata={"Date": None, "Creator": "docs/figures.py"})
            pyplot.close(drawn)
    return paths


# -- activations


@figure
def activations(pyplot: Any) -> Any:
    """Twenty activations with their slopes."""
    names = (
        "identity sigmoid tanh softsign relu leaky_relu randomized_leaky_relu square elu selu softplus gelu "
        "silu mish hard_sigmoid hard_tanh hard_silu exponential gaussian sine"
    )
    z = np.linspace(-4.0, 4.0, 201)
    drawn, panels = pyplot.subplots(5, 4, figsize=(7.5, 8.5), sharex=True, sharey=True)
    for panel, name in zip(panels.flat, names.split(), strict=True):
        f = ACTIVATIONS[name]
        slope = gn.vmap(gn.grad(f))(z)
        slope[np.abs(np.diff(slope, append=slope[-1])) > 0.15] = np.nan  # a jump is no line
        panel.axhline(0, color="0.85", linewidth=0.8)
        panel.plot(z, f(z), label="f(z)")
        panel.plot(z, slope, label="f'(z)")
        panel.set_title(name)
        panel.set_ylim(-1.5, 2.5)
    panels[0, 0].legend(loc="upper left")
    return drawn


@figure
def kinks(pyplot: Any) -> Any:
    """Lines that fit under a convex kink, and a kink that is not convex."""
    x = np.linspace(-1.0, 1.0, 201)
    functions = {
        "relu: any slope from 0 to 1": (gnp.relu, (0.0, 0.25, 0.5, 0.75, 1.0)),
        "max(-x, x/2 - 0.2, 1.5 x - 0.7)": (
            lambda x: np.max([-x, x / 2 - 0.2, 1.5 * x - 0.7], axis=0),
            (-1.0, -0.5, 0.0, 0.5),
        ),
        "selu: none from 1.76 down to 1.05": (gnp.selu, (1.7581, 1.0507)),
    }
    places = (0.0, 2 / 15, 0.0)
    drawn, panels = pyplot.subplots(1, 3, figsize=(7.5, 2.6))
    for panel, (title, (f, slopes)), place in zip(panels, functions.items(), places, strict=True):
        for slope in slopes:
            panel.plot(
                x, f(np.float64(place)) + slope * (x - place), color="0.6", linestyle="--", linewidth=0.9
            )
        panel.plot(x, f(x), color="black", linestyle="-", linewidth=2)
        panel.set_title(title)
        panel.set_ylim(-1.2, 1.2)
    return drawn


# -- convolution


@figure
def shared_weights(pyplot: Any) -> Any:
    """A convolution as the matrix of a dense layer, and the dense gradient that its diagonals sum up."""
    kernel = np.array([1.0, -2.0, 0.5])
    matrix = sum(w * np.eye(3, 5, k=k) for k, w in enumerate(kernel))
    layers = [gn.Dense(3, activation="tanh"), gn.Dense(1)]
    net = gn.Network(layers, loss="half_squared_error", dtype="float64", input_shape=5)
    parameters = (matrix, [0.1, 0.1, 0.1], [[1.0, -1.0, 2.0]], [0.0])
    net.parameters = dict(zip(net.parameter_names, parameters, strict=True))
    gradient = net.trace([1.0, 2.0, 0.0, -1.0, 3.0], [0.5]).gradients["dense_1.weight"]
    drawn, panels = pyplot.subplots(1, 2, figsize=(7.5, 2.4))
    for panel, title, values in zip(panels, ("weights", "gradient"), (matrix, gradient), strict=True):
        panel.pcolormesh(np.abs(values), cmap="Greys", vmin=0, vmax=2 * np.abs(values).max(), edgecolor="0.8")
        for row, column in np.ndindex(values.shape):
            on_diagonal = 0 <= column - row < 3
            text = f"{values[row, column]:.3g}" if on_diagonal or values[row, column] else "0"
            panel.text(
                column + 0.5,
                row + 0.5,
                text,
                ha="center",
                va="center",
                weight="bold" if on_diagonal else "normal",
                color="black" if on_diagonal else "0.5",
            )
        panel.set_title(title)
        panel.set_axis_off()
        panel.invert_yaxis()
        panel.set_aspect("equal")
    return drawn


# -- vanishing gradients


@figure
def vanishing_gradients(pyplot: Any) -> Any:
    """The norms of delta in ten layers, for sigmoid and for ReLU."""
    X = np.random.default_rng(0).normal(size=(64, 2))
    labels = np.where(np.square(X).sum(axis=1) > 1.5, 1, 0)
    drawn, panel = pyplot.subplots(figsize=(5.0, 3.0))
    for activation, marker in (("sigmoid", "o"), ("relu", "s")):
        layers = [*(gn.Dense(16, activation=activation) for _ in range(10)), gn.Dense(1)]
        net = gn.Network(layers, loss="binary_cross_entropy", dtype="float64", input_shape=2, classes=[0, 1])
        traces = [net.trace(x, [label]) for x, label in zip(X, labels, strict=True)]
        norms = [[np.linalg.norm(layer.delta) for layer in trace.layers[:10]] for trace in traces]
        panel.semilogy(range(1, 11), np.mean(norms, axis=0), marker=marker, markersize=4, label=activation)
    panel.set_xlabel("layer, from the input")
    panel.set_ylabel("norm of delta")
    panel.set_xticks(range(1, 11))
    panel.legend()
    return drawn


# -- losses


@figure
def losses(pyplot: Any) -> Any:
    """What an error costs, and what a margin costs."""
    errors, margins = np.linspace(-3.0, 3.0, 241), np.linspace(-3.0, 3.0, 241)
    quantities = {
        "half_squared_error": gn.losses.HalfSquaredError(),
        "mean_absolute_error": gn.losses.MeanAbsoluteError(),
        "huber": gn.losses.Huber(),
        "quantile, q = 0.8": gn.losses.Quantile(0.8),
    }
    classes = {
        "binary_cross_entropy": gn.losses.BinaryCrossEntropy(),
        "hinge": gn.losses.Hinge(),
        "squared_hinge": gn.losses.SquaredHinge(),
        "perceptron": gn.losses.Perceptron(),
    }
    drawn, (left, right) = pyplot.subplots(1, 2, figsize=(7.5, 3.2), sharey=True)
    for panel, named, points, target in (
        (left, quantities, errors, 0.0),
        (right, classes, margins, 1.0),
    ):
        for name, loss in named.items():
            cost = [float(loss.divergence(np.array([point]), np.array([target]))) for point in points]
            panel.plot(points, cost, label=name)
        panel.set_ylim(0, 4)
        panel.legend(loc="upper center" if panel is left else "upper right")
    left.set_xlabel("error y - d")
    right.set_xlabel("z, for d = 1")
    left.set_ylabel("divergence")
    return drawn


def main(names: list[str]) -> None:
    """Writes the figures `names`, or all."""
    unknown = [name for name in names if name not in FIGURES]
    if unknown:
        sys.exit(f"There is no figure {', '.join(unknown)}; there are {', '.join(FIGURES)}.")
    for path in write(names or FIGURES):
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
