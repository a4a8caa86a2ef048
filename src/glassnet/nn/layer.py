"""What every layer is: a frozen description with `init`, and a pure call on one example.

A layer is one frozen dataclass in one file, with the same parts in the same order: its options, their check,
`init` (and `init_statistics` where it keeps any), `output_shape`, `forward`. Everything else comes from here:
activation, regulariser, name, text, model file, batches, derivatives.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from numbers import Integral, Real
from re import sub
from typing import Any, Self

from glassnet.core.document import documented, is_default
from glassnet.core.dtype import DType
from glassnet.core.op import Op
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.errors import ConfigurationError, ShapeError
from glassnet.nn.activations import Activation, RandomActivation, resolve
from glassnet.nn.run import Run

Parameters = dict[str, Any]  # arrays by name, or for a container the parameters of its parts

LAYERS: dict[str, type[Layer]] = {}


@dataclass(frozen=True, kw_only=True, repr=False)
class Layer(ABC):
    """Base of all layers.

    A layer holds no arrays: its parameters are made by `init` and passed to the call. `name` takes the place
    of the name that a network makes of the kind and the position. `regularizer` has a `penalty(parameters)`
    that is added to the loss; `max_norm` is the largest Euclidean norm of the weights into one unit.

    >>> layer = gn.Dense(1)
    >>> layer({"weight": np.array([[2.0, 3.0]]), "bias": np.array([1.0])}, np.array([1.0, 1.0]))
    array([6.])
    """

    name: str | None = None
    regularizer: Any = None
    max_norm: float | None = None

    def __init_subclass__(cls) -> None:
        LAYERS[cls.__name__] = cls
        documented(cls)

    def __post_init__(self) -> None:
        if self.name is not None and not (isinstance(self.name, str) and self.name.isidentifier()):
            raise ConfigurationError(
                f"{self.kind} got name={self.name!r}; a name is a word of letters, digits and underscores."
            )
        if self.regularizer is not None and not callable(getattr(self.regularizer, "penalty", None)):
            raise ConfigurationError(
                f"{self.kind} got regularizer={self.regularizer!r}; it takes one such as L2(0.001)."
            )
        if self.max_norm is not None:
            self.require_positive("max_norm")

    def init(self, key: Key, in_shape: Shape, dtype: DType) -> Parameters:
        """Fresh parameters for examples of `in_shape`; none unless the layer says otherwise."""
        self.output_shape(in_shape)
        return {}

    def init_statistics(self, in_shape: Shape, dtype: DType) -> Parameters:
        """What the layer keeps from batch to batch besides its parameters, before the first one."""
        return {}

    @abstractmethod
    def output_shape(self, in_shape: Shape) -> Shape:
        """The shape that the layer makes of one example of `in_shape`; ShapeError where it takes none."""

    @abstractmethod
    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """The layer's output for one example x."""

    def __call__(self, parameters: Parameters, x: Any, run: Run | None = None) -> Any:
        """The layer's output for one example; without a `run` as in use, not as in training."""
        return self.forward(parameters, x, Run() if run is None else run)

    def check(self, x: Any) -> None:  # noqa: B027 - most layers take any numbers
        """DataError where one example, or rows of them, holds what the layer cannot take as numbers.

        A network asks its first layer before it trains or predicts.
        """

    # -- what a network asks

    @property
    def kind(self) -> str:
        """The kind of layer: the name of its class."""
        return type(self).__name__

    @property
    def parts(self) -> Mapping[str, Layer]:
        """The layers inside, by the name that their parameters have; none but in containers."""
        return {}

    @property
    def output_activation(self) -> str | Activation:
        """The activation that the output has passed last."""
        return "identity"

    def with_output_activation(self, activation: str) -> Layer:
        """The same layer with another last activation; only for layers that have one."""
        raise ConfigurationError(f"{self.describe()} has no activation to replace.")

    def penalty(self, parameters: Parameters) -> Any:
        """What the regularisers of the layer and of its parts add to the loss."""
        total: Any = 0.0 if self.regularizer is None else self.regularizer.penalty(parameters)
        for name, part in self.parts.items():
            total = total + part.penalty(parameters[name])
        return total

    # -- text

    def __repr__(self) -> str:
        required = [f for f in fields(self) if f.default is MISSING and f.default_factory is MISSING]
        given = [repr(getattr(self, f.name)) for f in required]
        given += [
            f"{f.name}={getattr(self, f.name)!r}"
            for f in fields(self)
            if f not in required and not is_default(self, f.name)
        ]
        return f"{self.kind}({', '.join(given)})"

    def describe(self) -> str:
        """The layer in short: its sizes and its activation."""
        shown: list[str] = []
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, bool) or (is_default(self, f.name) and f.name != "activation"):
                continue
            if f.name == "activation":
                shown.append(activation_name(value))
            elif isinstance(value, (Integral, Real, str)) and f.name != "name":
                shown.append(f"{value}")
            elif isinstance(value, tuple) and value and all(isinstance(item, Integral) for item in value):
                shown.append("x".join(map(str, value)))
        return f"{self.kind}({', '.join(shown)})"

    # -- for the checks of options and shapes

    def require_whole(self, *names: str, low: int = 1) -> None:
        """ConfigurationError unless the options `names` are whole numbers of `low` or more."""
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
                raise ConfigurationError(
                    f"{self.kind} got {name}={value!r}; it takes a whole number of {low} or more."
                )
            object.__setattr__(self, name, int(value))  # NumPy's integers do not go into a model file

    def require_positive(self, *names: str) -> None:
        """ConfigurationError unless the options `names` are positive finite numbers."""
        for name in names:
            value = getattr(self, name)
            if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < float("inf"):
                raise ConfigurationError(f"{self.kind} got {name}={value!r}; it takes a positive number.")

    def refuse(self, in_shape: Shape, takes: str, mend: str) -> ShapeError:
        """The error for examples of a wrong shape; `takes` says which are right, `mend` what to do."""
        return ShapeError(f"{self.describe()} takes {takes}, but gets examples of shape {in_shape}: {mend}.")


class ActivatedLayer(Layer):
    """Base of the layers that end in an activation: y = f(z).

    A subclass has the option `activation`, where it belongs among its own, and `pre_activation`.
    """

    activation: str | Activation  # NOTE not a dataclass: a field here would stand before the subclass's own

    def __post_init__(self) -> None:
        super().__post_init__()
        resolve(self.activation, self.kind)

    @abstractmethod
    def pre_activation(self, parameters: Parameters, x: Any) -> Any:
        """z for one example x, before the activation."""

    def forward(self, parameters: Parameters, x: Any, run: Run) -> Any:
        """y = f(z) for one example."""
        z = run.see("z", self.pre_activation(parameters, x))
        return activate(self.activation, z, run, self.kind)

    @property
    def output_activation(self) -> str | Activation:
        """f."""
        return self.activation

    def with_output_activation(self, activation: str) -> Self:
        """The same layer with another f."""
        return replace(self, activation=activation)


def activate(activation: str | Activation, z: Any, run: Run, owner: str) -> Any:
    """f(z); an activation with chance in it draws in training and takes its mean afterwards."""
    f = resolve(activation, owner)
    if isinstance(f, RandomActivation) and run.training:
        return f.draw(z, run.chance(owner).fold(1))
    return f(z)


def activation_name(activation: str | Activation) -> str:
    """The activation's name; a function of the user's own goes by its own."""
    if isinstance(activation, str):
        return activation
    if isinstance(activation, Op):
        return activation.name
    return getattr(activation, "__name__", type(activation).__name__)


def snake(name: str) -> str:
    """A class's name as a word in names of parameters.

    >>> snake("LayerNorm"), snake("Conv2D"), snake("SimpleRNN"), snake("PReLU")
    ('layer_norm', 'conv2d', 'simple_rnn', 'prelu')
    """
    words = name.replace("ReLU", "relu")
    return sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", words).lower()
