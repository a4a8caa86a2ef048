"""The table of benchmark cases, read by the parent, by every worker and by the tests.

It imports no numerical library, so that a worker can pin itself to a core before the first one loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from layers import (
    LSTM,
    Convolution,
    Dense,
    Dropout,
    Layer,
    MeanPool,
    Shape,
    dense,
    lenet,
    transformer_block,
    walk,
)

ADAM: dict[str, Any] = {"optimizer": "adam", "learning_rate": 1e-3}
SGD: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 0.01}
METHODS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW"}


@dataclass(frozen=True)
class Case:
    """A network, its data and how it is trained.

    `asked` is the time of the best peer over that of glassnet that the project wants on one core,
    `asked_on_all` that on all cores. `epochs_per_call` above 1 puts that many epochs into one call of a
    system; it is allowed only where the batch is all rows, because there nothing is shuffled.
    """

    name: str
    network: str
    row: Shape
    layers: tuple[Layer, ...]
    loss: Literal["cross_entropy", "binary_cross_entropy", "mean_squared_error"]
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: float
    batch: int
    rows: int
    asked: float
    asked_on_all: float | None = None
    epochs_per_call: int = 1
    weight_decay: float = 0.01  # of AdamW alone

    def __post_init__(self) -> None:
        if self.rows % self.batch:
            raise ValueError(f"case {self.name}: {self.rows} rows do not divide into batches of {self.batch}")
        if self.epochs_per_call > 1 and not self.full_batch:
            raise ValueError(
                f"case {self.name}: several epochs per call need a batch of all {self.rows} rows"
            )

    @property
    def full_batch(self) -> bool:
        return self.batch == self.rows

    @property
    def steps_per_call(self) -> int:
        return self.rows // self.batch * self.epochs_per_call

    @property
    def title(self) -> str:
        method = "gradient descent" if self.full_batch else METHODS[self.optimizer]
        return f"{self.network}, batch {self.batch}, {method}"

    @property
    def outputs(self) -> int:
        *_, (last, shape) = walk(self.layers, self.row)
        return last.after(shape)[-1]

    @property
    def dense(self) -> list[Dense] | None:
        """The dense layers of a network that has no others (but dropout); else None."""
        if not all(isinstance(layer, Dense | Dropout) for layer in self.layers):
            return None
        return [layer for layer in self.layers if isinstance(layer, Dense)]

    @property
    def dropout(self) -> float:
        """The rate of the dropout after every hidden dense layer; 0 without."""
        return next((layer.rate for layer in self.layers if isinstance(layer, Dropout)), 0.0)

    @property
    def parameters(self) -> int:
        return sum(layer.parameters(shape) for layer, shape in walk(self.layers, self.row))

    @property
    def flops(self) -> int:
        """The floating-point operations of a step that cannot be saved: two for each multiply-add.

        The backward pass costs twice the forward pass, but that nobody needs the derivatives with respect to
        the rows. Activations, normalisation, the loss and the update are not counted.
        """
        products = sum(layer.products(shape) for layer, shape in walk(self.layers, self.row))
        match self.layers[0]:
            case LSTM(units):  # what goes back through time is needed
                spared = self.row[0] * 4 * units * self.row[1]
            case Dense() | Convolution():
                spared = self.layers[0].products(self.row)
            case _:  # a block starts with a normalisation, whose parameters need them
                spared = 0
        return 2 * self.batch * (3 * products - spared)


def classifier(name: str, inputs: int, *units: int, **settings: Any) -> Case:
    """A dense network with ReLU for classes, trained with the optimiser and the rate of `settings`."""
    network, layers = "-".join(map(str, (inputs, *units))), dense(*units, activation="relu")
    return Case(name, network, (inputs,), layers, "cross_entropy", **settings)


XOR = Case(
    "xor",
    "2-2-1 tanh",
    (2,),
    dense(2, 1, activation="tanh"),
    "mean_squared_error",
    "sgd",
    learning_rate=0.05,
    batch=4,
    rows=4,
    asked=4.0,
    epochs_per_call=5000,
)
DROPOUT = Case(
    "dropout",
    "30-64-64-1 tanh, dropout 0.1",
    (30,),
    dense(64, 64, 1, activation="tanh", dropout=0.1),
    "binary_cross_entropy",
    "adamw",
    learning_rate=1e-3,
    batch=64,
    rows=1792,
    asked=3.0,
)
LENET = Case(
    "lenet",
    "LeNet-5 on 28x28",
    (28, 28, 1),
    lenet(),
    "cross_entropy",
    **ADAM,
    batch=64,
    rows=512,
    asked=5.0,
    asked_on_all=1.0,
)
SEQUENCE = Case(
    "lstm",
    "LSTM 64, 32 inputs, 50 steps",
    (50, 32),
    (LSTM(64), Dense(10)),
    "cross_entropy",
    **ADAM,
    batch=32,
    rows=256,
    asked=2.2,
)
BLOCK = Case(
    "block",
    "transformer block 64, 4 heads, 32 positions",
    (32, 64),
    (*transformer_block(64, heads=4, inner=256), MeanPool(), Dense(10)),
    "cross_entropy",
    **ADAM,
    batch=32,
    rows=256,
    asked=2.4,
)

CASES: dict[str, Case] = {
    case.name: case
    for case in (
        XOR,
        classifier("digits-1", 64, 32, 10, **SGD, batch=1, rows=1792, asked=6.0),
        classifier("digits-32", 64, 32, 10, **SGD, batch=32, rows=1792, asked=4.5),
        classifier("digits-adam", 64, 128, 64, 10, **ADAM, batch=32, rows=1792, asked=2.3),
        DROPOUT,
        classifier(
            *("dense-784", 784, 512, 512, 10), **ADAM, batch=128, rows=1024, asked=1.35, asked_on_all=1.0
        ),
        classifier(
            *("dense-1024", 1024, 4096, 4096, 10), **ADAM, batch=512, rows=1024, asked=1.1, asked_on_all=1.0
        ),
        LENET,
        SEQUENCE,
        BLOCK,
    )
}
LARGEST_DENSE = ("digits-adam", "dense-784", "dense-1024")  # these shall reach 75 % of the CPU's peak
