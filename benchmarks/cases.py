"""The table of benchmark cases: one line each, read by the parent, by every worker and by the tests.

It imports no numerical library, so that a worker can pin itself to a core before the first one loads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Case:
    """A dense network, its data and how it is trained.

    `units` runs from the inputs to the outputs. `epochs_per_call` above 1 puts that many epochs into one
    call of a system; it is allowed only where the batch is all rows, because there nothing is shuffled.
    """

    name: str
    units: tuple[int, ...]
    activation: Literal["relu", "tanh"]
    loss: Literal["cross_entropy", "mean_squared_error"]
    optimizer: Literal["sgd", "adam"]
    learning_rate: float
    batch: int
    rows: int
    epochs_per_call: int = 1

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
        method = {"sgd": "gradient descent" if self.full_batch else "SGD", "adam": "Adam"}[self.optimizer]
        return f"{'-'.join(map(str, self.units))}, batch {self.batch}, {method}"


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        #    name           units              activation  loss                  optimizer  rate  batch  rows
        Case("xor", (2, 2, 1), "tanh", "mean_squared_error", "sgd", 0.05, 4, 4, epochs_per_call=5000),
        Case("digits-1", (64, 32, 10), "relu", "cross_entropy", "sgd", 0.01, 1, 1792),
        Case("digits-32", (64, 32, 10), "relu", "cross_entropy", "sgd", 0.01, 32, 1792),
        Case("digits-adam", (64, 128, 64, 10), "relu", "cross_entropy", "adam", 1e-3, 32, 1792),
    )
}
