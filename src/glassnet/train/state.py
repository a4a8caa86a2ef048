"""What a network is between two calls: its layers and loss, the current parameters, the classes it knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from glassnet import losses
from glassnet.core.document import from_document, to_document
from glassnet.core.dtype import DType, NDArray, floating
from glassnet.core.random import Key
from glassnet.core.shape import Shape
from glassnet.core.tree import flatten, unflatten
from glassnet.errors import ConfigurationError, ModelFileError, NotFittedError, ShapeError
from glassnet.losses import Loss
from glassnet.nn import Layer, Parameters
from glassnet.train.composition import Composition
from glassnet.train.evaluation import Evaluator, Model
from glassnet.train.last_fit import LastFit
from glassnet.train.naming import named
from glassnet.train.options import require_whole
from glassnet.train.rows import Rows, weights_of
from glassnet.train.setting import INITIALIZATION, Setting
from glassnet.train.targets import Encoding, as_numbers, as_rows, as_targets


class NetworkState:
    """Base of Network: what it holds, how data is read for it, and how it becomes a document."""

    def __init__(
        self,
        layers: Sequence[Layer] | Layer,
        loss: str | Loss,
        seed: int = 0,
        dtype: str = "float32",
        input_shape: int | Shape | None = None,
        reduction: str = "mean",
        classes: Sequence[Any] | None = None,
    ) -> None:
        listed = (layers,) if isinstance(layers, Layer) else layers
        if not isinstance(listed, Sequence) or not listed or not all(isinstance(x, Layer) for x in listed):
            raise ConfigurationError(
                f"Network got layers={layers!r}; it takes a list of one or more layers, such as "
                "[Dense(32, activation='relu'), Dense(10)]."
            )
        if reduction not in ("mean", "sum"):
            raise ConfigurationError(f'Network got reduction={reduction!r}; it takes "mean" or "sum".')
        self.layers = tuple(listed)
        self.loss = losses.resolve(loss)
        self.seed = require_whole("Network", "seed", seed, 0, 2**64 - 1)
        self.dtype: DType = floating(dtype, "Network")
        self.classes: NDArray | None = None if classes is None else _labels(classes)
        self.input_shape: Shape | None = None
        self._composition = Composition.of(self.layers, self.loss, reduction)
        self._evaluator = Evaluator(self._composition)
        self._model: Model = ({}, {})
        self._output_shape: Shape = ()
        self._known: Encoding | None = None
        self._epochs_trained = 0
        self.last_fit: LastFit | None = None  # what the last run was asked and did; files do not hold it
        if input_shape is not None:
            sizes = input_shape if isinstance(input_shape, (tuple, list)) else (input_shape,)
            self._build(tuple(require_whole("Network", "input_shape", size, 1) for size in sizes))

    # -- what it holds

    @property
    def parameters(self) -> dict[str, NDArray]:
        """The parameters by name: "dense_1.weight" (units, inputs), "dense_1.bias" (units,), ...; read-only.

        Assign a dict of the same names and shapes to replace them. Raises NotFittedError before there are
        any; assignment raises ConfigurationError for other names, ShapeError for other shapes and DataError
        for values that are not finite numbers.
        """
        self._require_built()
        return _read_only(self._model[0])

    @parameters.setter
    def parameters(self, values: Mapping[str, Any]) -> None:
        current = self.parameters
        if not isinstance(values, Mapping) or set(values) != set(current):
            got = ", ".join(map(str, values)) if isinstance(values, Mapping) else type(values).__name__
            raise ConfigurationError(f"The parameters are a dict with {', '.join(current)}; got {got}.")
        parameters, statistics = self._model
        self._model = _filled(parameters, values, "parameter", self.dtype), statistics

    @property
    def parameter_names(self) -> list[str]:
        """The names of the parameters in order."""
        return list(named(self._model[0]))

    @property
    def statistics(self) -> dict[str, NDArray]:
        """What layers keep besides parameters, by name: "batch_norm_2.mean", ...; read-only."""
        self._require_built()
        return _read_only(self._model[1])

    @property
    def output_shape(self) -> Shape:
        """The shape of one example's output."""
        self._require_built()
        return self._output_shape

    # -- as a document

    def to_document(self) -> tuple[dict[str, Any], dict[str, NDArray]]:
        """The network as plain data: a JSON document, and the parameters and statistics by name."""
        document = {
            "kind": "network",
            "layers": to_document(self.layers, "this network"),
            "loss": self.loss.to_document(),
            "seed": self.seed,
            "dtype": str(self.dtype),
            "reduction": self._composition.reduction,
            "input_shape": list(self._require_built()),
            "classes": None if self.classes is None else self.classes.tolist(),
            "epochs_trained": self._epochs_trained,
        }
        return document, self.parameters | self.statistics

    @classmethod
    def from_document(cls, document: dict[str, Any], arrays: dict[str, NDArray]) -> Self:
        """The network that `to_document` wrote; a ModelFileError for anything else."""
        try:
            net = cls(
                from_document(document["layers"]),
                Loss.from_document(document["loss"]),
                document["seed"],
                document["dtype"],
                tuple(document["input_shape"]),
                document.get("reduction", "mean"),  # NOTE files of the first format have none
                document["classes"],
            )
            net._epochs_trained = require_whole("Network", "epochs_trained", document["epochs_trained"], 0)
            kept = set(net.statistics)
            net.parameters = {name: array for name, array in arrays.items() if name not in kept}
            parameters, statistics = net._model
            net._model = parameters, _filled(statistics, arrays, "statistic", net.dtype)
        except KeyError as error:
            raise ModelFileError(f"The model file does not describe a network: it lacks {error}.") from None
        except ModelFileError:
            raise
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"The model file does not describe a network: {error}") from None
        return net

    def __repr__(self) -> str:
        return f"Network([{', '.join(layer.describe() for layer in self.layers)}], loss={self.loss.name!r})"

    # -- inner workings

    @property
    def _setting(self) -> Setting:
        return Setting(self._composition, self._model, self.seed, self.dtype, self._epochs_trained)

    def _build(self, input_shape: Shape) -> None:
        """Makes the parameters for this input shape unless they are there."""
        if self.input_shape is None:
            output_shape = self._composition.output_shape(input_shape)
            Encoding(self.loss, output_shape, self.dtype, self.classes)  # raises where classes do not fit
            key = Key(self.seed).fold(INITIALIZATION)
            self._model = self._composition.init(key, input_shape, self.dtype)
            self.input_shape, self._output_shape = input_shape, output_shape

    def _keep(self, model: Model) -> None:
        """Takes over the parameters and statistics of one more epoch."""
        self._model = model

    def _require_built(self) -> Shape:
        if self.input_shape is None:
            raise NotFittedError(
                "This network has no parameters yet; call fit first, or give Network an input_shape."
            )
        return self.input_shape

    def _require_shape(self, input_shape: Shape, name: str = "X") -> None:
        if self.input_shape not in (None, input_shape):
            raise ShapeError(
                f"{name} has rows of shape {input_shape}, but this network takes rows of shape "
                f"{self.input_shape}."
            )

    # -- data for it

    def _accept(self, X: Any, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Rows:
        """Rows to train on; input shape and classes are learnt if all is good."""
        rows = as_rows(X, self.dtype)
        self._composition.check_rows(rows)
        if y is None:
            raise ConfigurationError("fit got X and no y; give the targets, or a source that holds both.")
        encoding, target = self._encoding_for(as_targets(y, len(rows)), rows.shape[1:])
        weight = weights_of(encoding, target, sample_weight, class_weight, self.dtype)
        accepted = Rows(rows, target, weight)
        self._build(rows.shape[1:])
        self.classes = encoding.classes
        return accepted

    def _read(self, X: Any, y: Any, sample_weight: Any = None, name: str = "") -> Rows:
        """Rows for what the network knows already: its input shape and its classes."""
        rows = self._rows(X, f"{name}X")
        encoding = self._encoding
        target = encoding.encode(as_targets(y, len(rows), f"{name}y"), f"{name}y")
        return Rows(rows, target, weights_of(encoding, target, sample_weight, None, self.dtype))

    def _rows(self, X: Any, name: str = "X") -> NDArray:
        self._require_built()
        rows = as_rows(X, self.dtype, name)
        self._require_shape(rows.shape[1:], name)
        self._composition.check_rows(rows, name)
        return rows

    @property
    def _reading(self) -> Encoding:
        """How the network reads targets and names its outputs, whether it knows its classes or not."""
        if self._known is None or self._known.classes is not self.classes:
            self._known = Encoding(self.loss, self.output_shape, self.dtype, self.classes)
        return self._known

    @property
    def _encoding(self) -> Encoding:
        """The same; NotFittedError before the network knows its classes."""
        encoding = self._reading
        if encoding.classes is None and encoding.class_count:
            raise NotFittedError(
                "This classifier does not know its classes yet; call fit first, or give Network its classes."
            )
        return encoding

    def _encoding_for(self, y: NDArray, input_shape: Shape) -> tuple[Encoding, NDArray]:
        """The encoding that is known, or else the one that y asks for; and y encoded."""
        self._require_shape(input_shape)
        shape = self._composition.output_shape(input_shape)
        if self.classes is None:
            encoding = Encoding.learn(y, self.loss, shape, self.dtype)
        else:
            encoding = Encoding(self.loss, shape, self.dtype, self.classes)
        return encoding, encoding.encode(y)


def _labels(classes: Any) -> NDArray:
    """The labels of all classes, of one kind and none of them twice."""
    if isinstance(classes, str) or not isinstance(classes, (Sequence, np.ndarray)):
        raise ConfigurationError(f"Network got classes={classes!r}; it takes a list of labels.")
    labels = as_targets(classes, len(classes), "classes")
    if labels.ndim != 1 or len(set(labels.tolist())) != len(labels):
        raise ConfigurationError(f"Network got classes={classes!r}; it takes a list of labels, each once.")
    return np.array(labels.tolist())  # of the types that Python itself has: so they survive a file


def _filled(tree: Parameters, values: Mapping[str, Any], what: str, dtype: DType) -> Parameters:
    """The tree with copies of these arrays by name; ShapeError or DataError for one that does not fit."""
    arrays: list[NDArray] = []
    for name, now in named(tree).items():
        array = as_numbers(values[name], dtype, f"The {what} {name}").copy()
        if array.shape != now.shape:
            raise ShapeError(f"The {what} {name} has shape {now.shape}; got {array.shape}.")
        arrays.append(array)
    return unflatten(flatten(tree)[1], arrays)


def _read_only(tree: Parameters) -> dict[str, NDArray]:
    views = {name: array.view() for name, array in named(tree).items()}
    for array in views.values():
        array.flags.writeable = False
    return views
