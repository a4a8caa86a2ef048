"""Exercises in backpropagation: small networks with neat numbers, solved by the engine.

Each is drawn anew until every usual mistake gives a value of its own, so that an answer tells which it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np

from glassnet.core.dtype import NDArray
from glassnet.core.random import Key, bits
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, DataError
from glassnet.explain.deriving import derive
from glassnet.explain.explanation import Explanation, explain_rows
from glassnet.explain.mistakes import Mistake, usual_mistakes
from glassnet.explain.trace import Trace, trace_example
from glassnet.explain.variables import Variable
from glassnet.nn import LSTM, Conv1D, Dense, Flatten, Layer, SimpleRNN
from glassnet.train.options import require_whole
from glassnet.train.state import NetworkState

_TOLERANCE = 0.005  # of an answer, relative to the derivative
_LEAST = 1e-3  # a smaller derivative is tiresome to write
_APART = 3 * _TOLERANCE  # so far the mistakes lie from the answer and from each other
_ATTEMPTS = 500
_PATHS = 10_000  # more than any exercise has
_RATES = (0.1, 0.2, 0.5)


@dataclass(frozen=True)
class _Kind:
    """What an exercise is made of; `wrt` is the array whose derivative is asked for."""

    layers: tuple[Layer, ...]
    loss: str
    input_shape: Shape
    wrt: str


_KINDS = {
    "neuron": _Kind((Dense(1, "sigmoid"),), "half_squared_error", (2,), "dense_1.weight"),
    "two_layers": _Kind(
        (Dense(2, "sigmoid"), Dense(2, "sigmoid")), "half_squared_error", (2,), "dense_1.weight"
    ),
    "softmax": _Kind((Dense(2, "tanh"), Dense(3, "softmax")), "cross_entropy", (2,), "dense_1.weight"),
    "convolution": _Kind(
        (Conv1D(1, 2, activation="tanh"), Flatten(), Dense(1)),
        "half_squared_error",
        (4, 1),
        "conv1d_1.weight",
    ),
    "recurrent": _Kind((SimpleRNN(1), Dense(1)), "half_squared_error", (3, 1), "simple_rnn_1.kernel"),
    "lstm": _Kind((LSTM(1), Dense(1)), "half_squared_error", (2, 1), "lstm_1.kernel"),
}


@dataclass(frozen=True)
class Verdict:
    """What an answer is worth: right, or wrong by `factor`, where it can be told; `str` is a sentence."""

    right: bool
    factor: str | None
    sentence: str

    def __str__(self) -> str:
        return self.sentence


@dataclass(frozen=True)
class Exercise:
    """A question about a small network; `str` is the question, `solution` the way to its `answer`.

    The question is for the derivative of the loss with respect to one parameter, or, where there is a
    learning rate, for that parameter after one step of gradient descent.
    """

    kind: str
    seed: int
    learning_rate: float | None
    network: NetworkState = field(repr=False)
    trace: Trace = field(repr=False)
    explanation: Explanation = field(repr=False)
    variable: Variable = field(repr=False)

    @property
    def answer(self) -> float:
        """What the question asks for."""
        return self._answered(self.explanation.derivative)

    @cached_property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The usual mistakes, with what they make of the answer."""
        found = usual_mistakes(self.trace.account, self.variable, self.explanation.paths)
        return tuple(Mistake(one.factor, one.what, self._answered(one.value)) for one in found) + tuple(
            self._of_the_step()
        )

    @property
    def solution(self) -> str:
        """The worked solution, for layers of other kinds than Dense with their derivation, and the paths."""
        parts = [self.trace.worked(self.learning_rate)]
        if not all(isinstance(layer, Dense) for layer in self.network.layers):
            at = {"x": self.trace.x, "d": self.trace.target}
            derivation = derive(self.network, str(self.variable), at=at, form="elements")
            parts.append(f"Written out\n{derivation.text()}")
        answer = f"Answer: dL/d({self.variable}) = {self.explanation.derivative:.6g}"
        if self.learning_rate is not None:
            step = f"{self._before:g} - {self.learning_rate:g} * ({self.explanation.derivative:.6g})"
            answer += f", new {self.variable} = {step} = {self.answer:.6g}"
        return "\n\n".join([*parts, f"Path by path\n{self.explanation}", answer])

    def check(self, answer: float) -> Verdict:
        """Whether the answer is right, and if not which factor of the chain rule is wrong, where it tells.

        An answer stands for a value that it differs from by no more than half a percent of the derivative, or
        of the step. Raises DataError for an answer that is no finite number.
        """
        if isinstance(answer, (str, bool)) or np.ndim(answer) or not np.isfinite(answer):
            raise DataError(f"check got {answer!r}; an answer is one finite number.")
        if self._close(answer, self.answer):
            return Verdict(True, None, "Right.")
        alike = [one for one in self.mistakes if self._close(answer, one.value)]
        factors = list(dict.fromkeys(one.factor for one in alike))
        if not alike:
            return Verdict(False, None, "Wrong, by none of the usual mistakes; compare it with the solution.")
        told = ", or ".join(f"{one.what} ({one.factor})" for one in alike)
        return Verdict(False, factors[0] if len(factors) == 1 else None, f"Wrong: {told}.")

    def __str__(self) -> str:
        composition = self.trace.account.composition
        loss, layers = composition.loss, composition.network.layers
        lines = [
            f"L = {loss.name}{f': {loss.formula}' if loss.formula else ''}",
            *(f"{name}: {one.describe()}" for name, one in zip(composition.names, layers, strict=True)),
            *([f"p = {loss.link} of the last z"] if loss.link else []),
            *(f"{name} = {_neat(array)}" for name, array in self.network.parameters.items()),
            f"x = {_neat(self.trace.x)}, d = {_neat(self.trace.account.desired)}",
        ]
        asked = f"Find dL/d({self.variable}) to four significant digits; indices count from 0."
        if self.learning_rate is not None:
            asked = (
                f"Find {self.variable} after one step of gradient descent with the learning rate "
                f"{self.learning_rate:g}, to six decimals; indices count from 0."
            )
        return "\n".join([f"Exercise {self.kind}, {self.seed}", *(f"    {line}" for line in lines), asked])

    # -- inner workings

    @property
    def _before(self) -> float:
        return float(self.network.parameters[self.variable.name][self.variable.index])

    def _answered(self, derivative: float) -> float:
        """What is answered by someone who takes this for the derivative."""
        return derivative if self.learning_rate is None else self._before - self.learning_rate * derivative

    def _of_the_step(self) -> Iterator[Mistake]:
        derivative = self.explanation.derivative
        if self.learning_rate is not None:
            yield Mistake("learning rate", "the learning rate is left out", self._before - derivative)
            yield Mistake("update", "this is the derivative alone", derivative)
            yield Mistake("update", "this is the step alone", -self.learning_rate * derivative)

    def _close(self, first: float, second: float, tolerance: float = _TOLERANCE) -> bool:
        return abs(first - second) <= tolerance * abs(
            (self.learning_rate or 1.0) * self.explanation.derivative
        )

    def _tells(self) -> bool:
        """Whether a wrong factor shows: the values of different ones lie apart, and from the answer."""
        if self.explanation.number_of_others or abs(self.explanation.derivative) < _LEAST:
            return False
        if any(self._close(self.answer, one.value, _APART) for one in self.mistakes):
            return False
        return not any(
            self._close(one.value, other.value, _APART)
            for one, other in combinations(self.mistakes, 2)
            if one.factor != other.factor
        )


def exercise(kind: str, seed: int = 0, *, update: bool = False) -> Exercise:
    """An exercise in backpropagation, with its solution, that finds the wrong factor in an answer.

    `kind` is "neuron", "two_layers", "softmax", "convolution", "recurrent" or "lstm"; every seed gives other
    numbers. Asked is dL/dw for one weight w, or with `update` the weight after a step of gradient descent.

    Raises ConfigurationError for an unknown kind or a seed that is no whole number.

    >>> question = gn.exercise("neuron", seed=3)
    >>> print(question)
    Exercise neuron, 3
        L = half_squared_error: 1/2 sum (y - d)^2
        dense_1: Dense(1, sigmoid)
        dense_1.weight = [[ 0.3, -0.1]]
        dense_1.bias = [-0.8]
        x = [0.3, 0.2], d = [0.4]
    Find dL/d(dense_1.weight[0, 0]) to four significant digits; indices count from 0.
    >>> question.check(question.answer).right
    True
    >>> print(question.check(-question.answer))
    Wrong: the sign is the wrong one (sign).
    """
    if kind not in _KINDS:
        raise ConfigurationError(f"exercise got kind={kind!r}; it takes {', '.join(_KINDS)}.")
    key = Key(require_whole("exercise", "seed", seed, 0, 2**64 - 1))
    for attempt in range(_ATTEMPTS):
        drawn = _drawn(kind, seed, key.at(attempt), update=update)
        if drawn._tells():
            return drawn
    raise AssertionError(f"no numbers for {kind} {seed} tell its mistakes apart")  # pragma: no cover


def _drawn(kind: str, seed: int, key: Key, *, update: bool) -> Exercise:
    """An exercise with the numbers of this key, good or not."""
    made = _KINDS[kind]
    net = NetworkState(made.layers, made.loss, dtype="float64", input_shape=made.input_shape)
    net.parameters = {
        name: _tenths(key.fold(place), array.shape)
        for place, (name, array) in enumerate(net.parameters.items())
    }
    x = _tenths(key.fold(100), made.input_shape)
    (outputs,) = net.output_shape
    words = [int(word) for word in bits(key.fold(101), 2 + outputs)]
    classifies = net.loss.task == "classification"
    target = np.array(words[2] % outputs if classifies else [word % 9 / 10 + 0.1 for word in words[2:]])
    shape = net.parameters[made.wrt].shape
    variable = Variable(
        made.wrt, tuple(map(int, np.unravel_index(words[0] % math.prod(shape), shape))), shape
    )
    known = net._composition, *net._model
    explanation = explain_rows(*known, x[None], target[None], wrt=str(variable), paths=_PATHS)
    trace = trace_example(*known, x, target)
    rate = _RATES[words[1] % len(_RATES)] if update else None
    return Exercise(kind, seed, rate, net, trace, explanation, variable)


def _tenths(key: Key, shape: Shape) -> NDArray:
    """Numbers from -0.9 to 0.9 with one decimal, none of them 0."""
    words = bits(key, math.prod(shape)).astype(np.int64)
    return ((words // 2 % 9 + 1) * (1 - 2 * (words % 2)) / 10.0).reshape(shape)


def _neat(array: NDArray) -> str:
    return np.array2string(array, separator=", ", max_line_width=1000).replace("\n", "")
