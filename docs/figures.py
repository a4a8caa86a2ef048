"""The figures of the pages, drawn by glassnet itself: `python docs/figures.py` writes all of them.

Names after the command write those alone. A figure is a function marked with `figure`; its file is
curriculum/figures/<name of the function>.svg, and that of an influence diagram, marked with `diagram`, is a
.png beside it. They need matplotlib and resvg-py: pip install 'glassnet[plots,docs]'.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

import glassnet as gn
import glassnet.numpy as gnp
from glassnet.explain import Diagram
from glassnet.nn.activations import ACTIVATIONS
from glassnet.optim._matplotlib import load_pyplot
from glassnet.train import metrics

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
DIAGRAMS: dict[str, Callable[[], Diagram]] = {}


def figure(draw: Draw) -> Draw:
    """Marks a function that draws a figure."""
    FIGURES[draw.__name__] = draw
    return draw


def diagram(draw: Callable[[], Diagram]) -> Callable[[], Diagram]:
    """Marks a function that makes an influence diagram."""
    DIAGRAMS[draw.__name__] = draw
    return draw


def write(names: Iterable[str], folder: Path = FOLDER) -> list[Path]:
    """The files of the figures and diagrams `names`, written to `folder`."""
    names = list(names)
    paths = [write_diagram(name, folder) for name in names if name in DIAGRAMS]
    plotted = [name for name in names if name in FIGURES]
    return paths + (write_figures(plotted, folder) if plotted else [])


def write_diagram(name: str, folder: Path) -> Path:
    """The file of one diagram, at twice the size of its SVG for sharp letters."""
    path = folder / f"{name}.png"
    resvg = import_module("resvg_py")
    path.write_bytes(bytes(resvg.svg_to_bytes(svg_string=DIAGRAMS[name]().svg(), zoom=2)))
    return path


def write_figures(names: Iterable[str], folder: Path) -> list[Path]:
    """The files of some figures."""
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
        "selu: no slope fits": (gnp.selu, (1.7581, 1.0507)),
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
    matrix = sum(w * np.eye(3, 5, k=k) for k, w in enumerate([1.0, -2.0, 0.5]))
    net = gn.Network([gn.Dense(3), gn.Dense(1)], "half_squared_error", dtype="float64", input_shape=5)
    parameters = (matrix, np.zeros(3), [[1.0, -1.0, 2.0]], [0.0])
    net.parameters = dict(zip(net.parameter_names, parameters, strict=True))
    gradient = net.trace([1.0, 2.0, 4.0, -1.0, 3.0], [19.5]).gradients["dense_1.weight"]
    drawn, panels = pyplot.subplots(1, 2, figsize=(7.5, 2.4))
    for panel, title, values in zip(panels, ("weights", "gradient"), (matrix, gradient), strict=True):
        panel.pcolormesh(np.abs(matrix), cmap="Greys", vmin=0, vmax=4, edgecolor="0.8")
        for (row, column), value in np.ndenumerate(values):
            on_diagonal = bool(matrix[row, column])
            weight, color = ("bold", "black") if on_diagonal else ("normal", "0.5")
            place = (column + 0.5, row + 0.5)
            panel.text(*place, f"{value:g}", ha="center", va="center", weight=weight, color=color)
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
    of = gn.losses
    quantities = (of.HalfSquaredError(), of.MeanAbsoluteError(), of.Huber(), of.Quantile(0.8))
    classes = (of.BinaryCrossEntropy(), of.Hinge(), of.SquaredHinge(), of.Perceptron())
    points = np.linspace(-3.0, 3.0, 241)
    drawn, (left, right) = pyplot.subplots(1, 2, figsize=(7.5, 3.2), sharey=True)
    for panel, drawn_losses, target in ((left, quantities, 0.0), (right, classes, 1.0)):
        for loss in drawn_losses:
            cost = [float(loss.divergence(np.array([point]), np.array([target]))) for point in points]
            panel.plot(points, cost, label="quantile, q = 0.8" if loss.name == "quantile" else loss.name)
        panel.set_ylim(0, 4)
    left.legend(loc="upper center")
    left.set(xlabel="error y - d", ylabel="divergence")
    right.legend(loc="upper right")
    right.set_xlabel("z, for d = 1")
    return drawn


# -- training to convergence


@figure
def standing_still(pyplot: Any) -> Any:
    """How far the solution is, and how much the weights change, for a large and a small step size."""
    x = np.linspace(-1.0, 1.0, 20)
    A, d = np.column_stack([x, np.ones(20)]), 3 * x + 1 + 0.3 * np.sin(9 * x)
    solution = np.linalg.lstsq(A, d)[0]
    drawn, panels = pyplot.subplots(1, 2, figsize=(7.5, 2.8), sharey=True)
    for panel, eta, epochs in zip(panels, (0.5, 0.005), (100, 1000), strict=True):
        w = [np.zeros(2)]
        for _ in range(epochs):
            w.append(w[-1] - eta * A.T @ (A @ w[-1] - d) / 20)
        panel.semilogy(np.abs(np.array(w[1:]) - solution).max(axis=1), label="distance to the solution")
        panel.semilogy(np.abs(np.diff(w, axis=0)).max(axis=1), label="change of the weights")
        panel.set_title(f"step size {eta}")
        panel.set_xlabel("epoch")
    panels[1].legend(loc="lower left")
    return drawn


# -- variants of gradient descent

RULES: dict[str, tuple[Any, float]] = {  # each with its rate in the valley, and its rate on XOR
    "gradient descent": (gn.SGD(0.03), 3.0),
    "momentum": (gn.SGD(0.03, momentum=0.9), 1.0),
    "Nesterov": (gn.SGD(0.01, momentum=0.9, nesterov=True), 1.0),
    "Adagrad": (gn.Adagrad(10.0), 0.3),
    "RMSprop": (gn.RMSprop(0.03), 0.1),
    "Adadelta": (gn.Adadelta(10.0), 10.0),
    "Adam": (gn.Adam(1.0), 0.1),
    "AMSGrad": (gn.AMSGrad(0.1), 0.03),
    "Nadam": (gn.Nadam(0.3), 0.1),
    "Adamax": (gn.Adamax(1.0), 0.3),
    "RAdam": (gn.RAdam(0.1), 1.0),
    "Lion": (gn.Lion(0.1), 0.1),
    "Rprop": (gn.Rprop(0.3), 0.1),
}


@figure
def batch_sizes(pyplot: Any) -> Any:
    """The way of two weights for batches of all, of eight and of one."""
    key = gn.random.key(0)
    X = gn.random.normal(key.fold(0), (64, 2)) * [1.0, 0.5]
    d = X @ [2.0, -1.0] + 0.5 * gn.random.normal(key.fold(1), (64,))
    solution = np.linalg.lstsq(X, d)[0]
    drawn, panels = pyplot.subplots(1, 3, figsize=(7.5, 2.6), sharex=True, sharey=True)
    layer = gn.Dense(1, use_bias=False, kernel_initializer="zeros")
    for panel, size in zip(panels, (64, 8, 1), strict=True):
        net = gn.Network([layer], loss="half_squared_error", dtype="float64", input_shape=2)
        program = net.training_program(X, d, batch_size=size, optimizer=gn.SGD(0.05))
        path = [net.parameters["dense_1.weight"][0]]
        for _ in range(30):
            path += [program.parameters[0][0] for _ in program.run_batches(1)]
        panel.plot(*np.array(path).T, color="black", linewidth=0.6)
        panel.plot(*solution, "k+", markersize=10)
        panel.set_title(f"{size} instance{'s' if size > 1 else ''} a step")
        panel.set_xlabel("first weight")
    panels[0].set_ylabel("second weight")
    return drawn


def path_in_valley(rule: Any, steps: int) -> Any:
    """The points that a rule visits in the valley (w1^2 + 25 w2^2) / 2, from (8, 2) on."""
    w = {"w": np.array([8.0, 2.0])}
    state, visited = rule.init(w), [w["w"]]
    for step in range(1, steps + 1):
        gradient = {"w": np.array([1.0, 25.0]) * w["w"]}
        moves, state = rule.update(gradient, state, w, step, rule.learning_rate)
        w = {"w": w["w"] - moves["w"]}
        visited.append(w["w"])
    return np.array(visited)


@figure
def descent_paths(pyplot: Any) -> Any:
    """Forty steps of twelve rules in a narrow valley."""
    shown = {name: rule for name, (rule, _) in RULES.items() if name != "Adadelta"}  # looks like RMSprop
    drawn, panels = pyplot.subplots(4, 3, figsize=(7.5, 6.5), sharex=True, sharey=True)
    w1, w2 = np.meshgrid(np.linspace(-10, 10, 41), np.linspace(-2.6, 2.6, 41))
    heights = np.sqrt(w1**2 + 25 * w2**2)
    for panel, (name, rule) in zip(panels.flat, shown.items(), strict=True):
        panel.contour(w1, w2, heights, levels=4, colors="0.75", linewidths=0.6, linestyles="-")
        panel.plot(*path_in_valley(rule, 40).T, "o-", color="black", markersize=1.8, linewidth=0.7)
        panel.set_title(f"{name}, {rule.learning_rate:g}")
    panels[0, 0].set(xlim=(-10, 10), ylim=(-2.6, 2.6))
    return drawn


def stacked_starts(net: Any, count: int) -> Any:
    """The parameters of `count` starts on XOR, with an axis of starts in front."""
    starts = [net.init(gn.random.key(seed), (2,), np.dtype("float64")) for seed in range(count)]
    return {
        layer: {name: np.stack([start[layer][name] for start in starts]) for name in arrays}
        for layer, arrays in starts[0].items()
    }


XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]])


def train_on_xor(net: Any, starts: Any, rule: Any, epochs: int) -> tuple[Any, Any]:
    """All starts trained together: the parameters, and the sum of their losses in every epoch."""

    def divergences(parameters: Any, x: Any, d: Any) -> Any:
        return gn.vmap(lambda p: gn.losses.binary_cross_entropy(net(p, x), d))(parameters).sum()

    options: dict[str, Any] = {"batch_size": None, "progress": False, "engine": "interpreter"}
    parameters, history = gn.minimize(divergences, starts, XOR, rule, epochs, **options)
    return parameters, np.array(history.loss)


@figure
def xor_rules(pyplot: Any) -> Any:
    """The mean loss of fifty networks on XOR, for every rule."""
    net = gn.Sequential([gn.Dense(4, activation="tanh"), gn.Dense(1)])
    starts = stacked_starts(net, 50)
    drawn, panels = pyplot.subplots(1, 4, figsize=(7.5, 2.8), sharex=True, sharey=True)
    groups = np.array_split(list(RULES), 4)
    for panel, names in zip(panels, groups, strict=True):
        for name in names:
            rule, rate = RULES[name]
            _, losses = train_on_xor(net, starts, rule.with_learning_rate(rate), epochs=200)
            panel.plot(losses / 50, label=f"{name}, {rate:g}")
        panel.set_ylim(0, 0.8)
        panel.set_xlabel("epoch")
        panel.legend(fontsize=7.5)
    panels[0].set_ylabel("mean loss")
    return drawn


# -- the perceptron


@figure
def perceptron(pyplot: Any) -> Any:
    """The lines of a perceptron on its way, and its mistakes, where a line separates and where none does."""
    X = 2 * gn.random.uniform(gn.random.key(0), (300, 2)) - 1
    distance = X @ np.array([2.0, 1.0]) / np.sqrt(5) - 0.1
    X, d = X[np.abs(distance) > 0.05], np.sign(distance[np.abs(distance) > 0.05])
    corners, signs = XOR[0], np.where(XOR[1][:, 0] == 1, 1.0, -1.0)
    drawn, (plane, counts) = pyplot.subplots(1, 2, figsize=(7.5, 3.4), width_ratios=(1, 1.2))
    for sign, marker in ((1, "k+"), (-1, "ko")):
        plane.plot(*X[d == sign].T, marker, markersize=4 if sign > 0 else 2, markerfacecolor="white")
    for points, targets, label in ((X, d, "separable"), (corners, signs, "XOR")):
        layer = gn.Dense(1, kernel_initializer="zeros")
        net = gn.Network([layer], loss="perceptron", dtype="float64", input_shape=2)
        program = net.training_program(points, targets, batch_size=1, optimizer="perceptron")
        mistakes = []
        for epoch in range(1, 13):
            program.run_epoch()
            w, b = program.parameters
            mistakes.append(np.sum(targets * (points @ w[0] + b) <= 0))
            if label == "separable" and epoch <= 7:
                ends = np.array([-1.0, 1.0])
                shade = str(0.85 - 0.85 * epoch / 7)
                plane.plot(ends, -(w[0, 0] * ends + b) / w[0, 1], "-", color=shade, linewidth=1)
        counts.plot(range(1, 13), mistakes, "o" if label == "XOR" else "s", linestyle="-", label=label)
    plane.set(xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
    counts.set_xlabel("epoch")
    counts.set_ylabel("rows that are wrong after it")
    counts.legend()
    return drawn


# -- XOR learned


@figure
def xor_endings(pyplot: Any) -> Any:
    """The losses at which 500 networks end, for four rules."""
    net = gn.Sequential([gn.Dense(2, activation="sigmoid"), gn.Dense(1)])
    starts = stacked_starts(net, 500)
    rules = {
        "gradient descent": gn.SGD(3.0),
        "momentum": gn.SGD(1.0, momentum=0.9),
        "Rprop": gn.Rprop(0.3),
        "Adam": gn.Adam(0.03),
    }
    drawn, panels = pyplot.subplots(1, 4, figsize=(7.5, 2.4), sharex=True, sharey=True)
    for panel, (name, rule) in zip(panels, rules.items(), strict=True):
        parameters, _ = train_on_xor(net, starts, rule, epochs=1000)
        z = gn.vmap(lambda p: gn.vmap(lambda x: net(p, x))(XOR[0]))(parameters)
        losses = (np.logaddexp(0, z) - XOR[1] * z).mean(axis=(1, 2))
        panel.hist(losses, bins=np.linspace(0, 0.7, 36), weights=np.full(500, 1 / 500), color="0.3")
        panel.set_title(name)
        panel.set_xticks([0, np.log(2) / 2, 0.477], ["0", "0.347", "0.477"], rotation=45)
    panels[0].set_ylabel("share of the starts")
    drawn.supxlabel("loss after 1,000 epochs", fontsize=9)
    return drawn


# -- digits


@figure
def digits_and_others(pyplot: Any) -> Any:
    """Digits and five kinds of other images, each with the answer of a network of eleven outputs."""
    digits, key = gn.data.load_digits(), gn.random.key(0)
    X, y = digits.images.reshape(-1, 64) / 16, digits.labels
    training, test = digits.split()

    def shuffled(rows: Any, key: Any) -> Any:
        return np.stack([X[row][gn.random.permutation(key.at(i), 64)] for i, row in enumerate(rows)])

    def noise(count: int, key: Any) -> Any:
        return gn.random.randint(key, (count, 64), 0, 17) / 16

    others = np.concatenate([shuffled(training, key.fold(2)), noise(len(training), key.fold(3))])
    net = gn.Network([gn.Dense(64, activation="relu"), gn.Dense(11)], loss="cross_entropy")
    images = np.concatenate([X[training], others])
    labels = np.concatenate([y[training], np.full(len(others), 10)])
    net.fit(images, labels, epochs=30, optimizer=gn.Adam(0.003), progress=False)
    square = X[test[:12]].reshape(-1, 8, 8)
    halves = np.concatenate([square[:, :4], np.roll(square, 1, axis=0)[:, 4:]], axis=1)
    rows = {
        "digits": square,
        "shuffled": shuffled(test[:12], key.fold(0)),
        "noise": noise(12, key.fold(1)),
        "inverted": 1 - square,
        "upside down": square[:, ::-1],
        "two halves": halves,
    }
    drawn, panels = pyplot.subplots(6, 12, figsize=(7.5, 5.0))
    for line, (kind, pictures) in zip(panels, rows.items(), strict=True):
        flat = np.reshape(pictures, (12, 64))
        for panel, picture, answer in zip(line, flat, net.predict(flat), strict=True):
            panel.imshow(picture.reshape(8, 8), cmap="Greys", vmin=0, vmax=1)
            panel.set(xticks=[], yticks=[])
            panel.set_xlabel("none" if answer == 10 else str(answer), labelpad=1)
            panel.spines[:].set_visible(True)
        line[0].set_ylabel(kind, rotation=0, ha="right", va="center")
    return drawn


# -- generalisation


def few_digits() -> tuple[Any, Any, Any]:
    """A network that has learnt a hundred digits by heart, its history, and validation and test rows."""
    digits = gn.data.load_digits()
    X, y = digits.images.reshape(-1, 64) / 16, digits.labels
    rest, training = gn.data.stratified_split(y, 0.055, seed=0)
    held_out = [rest[part] for part in gn.data.stratified_split(y[rest], 0.117, seed=1)]
    test, validation = [(X[rows], y[rows]) for rows in held_out]
    net = gn.Network([gn.Dense(20, activation="relu"), gn.Dense(10)], loss="cross_entropy", seed=0)
    history = net.fit(
        X[training],
        y[training],
        epochs=300,
        batch_size=20,
        optimizer=gn.Adam(0.01),
        validation_data=validation,
        progress=False,
    )
    return net, history, (validation, test)


@figure
def learning_curves(pyplot: Any) -> Any:
    """Training and validation loss, and where early stopping would end the run."""
    _, history, _ = few_digits()
    best = int(np.argmin(history.validation_loss))
    drawn, panel = pyplot.subplots(figsize=(5.0, 3.0))
    epochs = range(1, history.epochs + 1)
    panel.plot(epochs, history.loss, label="training")
    panel.plot(epochs, history.validation_loss, label="validation")
    panel.plot(best + 1, history.validation_loss[best], "ko", markersize=5, label=f"best, epoch {best + 1}")
    panel.set(xlabel="epoch", ylabel="loss", ylim=(0, 1))
    panel.legend()
    return drawn


@figure
def reliability(pyplot: Any) -> Any:
    """Accuracy over confidence on the test digits, before and after the temperature."""
    net, _, (validation, test) = few_digits()

    def logits(X: Any) -> Any:
        return np.log(np.maximum(net.predict_proba(X).astype(float), 1e-30))

    def divergence(parameters: Any, z: Any, label: Any) -> Any:
        return gn.losses.cross_entropy(z / gnp.exp(parameters["log_T"]), label)

    options: dict[str, Any] = {"batch_size": None, "progress": False, "engine": "interpreter"}
    data = (logits(validation[0]), validation[1])
    found, _ = gn.minimize(divergence, {"log_T": 0.0}, data, gn.Rprop(0.1), 60, **options)
    drawn, panel = pyplot.subplots(figsize=(3.6, 3.6))
    panel.plot([0, 1], [0, 1], color="0.7", linestyle="-", linewidth=0.8)
    for T, marker, label in ((1.0, "o", "T = 1"), (float(np.exp(found["log_T"])), "s", "T = {:.1f}")):
        curve = metrics.reliability_curve(gnp.softmax(logits(test[0]) / T), test[1], bins=6)
        panel.plot(curve.confidence, curve.accuracy, marker=marker, markersize=4, label=label.format(T))
    panel.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    panel.legend()
    return drawn


# -- influence diagrams


@diagram
def xor_diagram() -> Diagram:
    """The network that computes XOR, on (1, 1) with the wrong target 1."""

    def f(x1, x2, y, w1, w2, w3, w4, w5, w6, b1, b2, b3):
        z1 = w1 * x1 + w2 * x2 + b1
        z2 = w3 * x1 + w4 * x2 + b2
        y1 = gnp.relu(z1)
        y2 = gnp.relu(z2)
        yhat = w5 * y1 + w6 * y2 + b3
        return (yhat - y) ** 2 / 2

    return gn.diagram(f, 1, 1, 1, 1, 1, 1, 1, 1, -2, 0, -1, 0, highlight="x1")


@diagram
def paths_diagram() -> Diagram:
    """The function of the page on influence diagrams, and the four paths of its second argument."""

    def f(x1, x2):
        g1 = x1 + 2 * x2
        g2 = x2 * g1
        g3 = g2**2 + g1
        return g1 * g3

    return gn.diagram(f, 3.0, -1.0, highlight="x2")


@diagram
def digits_diagram() -> Diagram:
    """A network of ten digits on one image, and the paths of one of its 2,762 parameters."""
    digits = gn.data.load_digits()
    X, y = digits.images.reshape(-1, 64) / 16, digits.labels
    net = gn.Network([gn.Dense(32, activation="relu"), gn.Dense(10)], loss="cross_entropy", seed=0)
    net.fit(X, y, epochs=3, progress=False)
    return gn.diagram(net, X[3], y[3], highlight="dense_1.weight[10, 26]", units=3)


@diagram
def lstm_diagram() -> Diagram:
    """One step of an LSTM cell with one unit."""

    def cell(x: Any, h: Any, c: Any) -> Any:
        i = gnp.sigmoid(0.8 * x + 0.5 * h - 0.3)
        f = gnp.sigmoid(-0.6 * x + 0.4 * h + 1.0)
        g = gnp.tanh(1.2 * x - 0.7 * h + 0.1)
        o = gnp.sigmoid(0.9 * x + 0.2 * h)
        c_next = f * c + i * g
        h_next = o * gnp.tanh(c_next)
        return h_next  # noqa: RET504 - the diagram takes its name

    return gn.diagram(cell, 0.5, -0.4, 1.5, highlight="x")


def main(names: list[str]) -> None:
    """Writes the figures and diagrams `names`, or all."""
    known = [*FIGURES, *DIAGRAMS]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"There is no figure {', '.join(unknown)}; there are {', '.join(known)}.")
    for path in write(names or known):
        print(path)


if __name__ == "__main__":
    main(sys.argv[1:])
