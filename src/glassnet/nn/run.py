"""One forward pass: what layers are told besides parameters and data, and what they leave behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import glassnet.numpy as gnp
from glassnet.core.random import Key
from glassnet.errors import ConfigurationError

Path = tuple[str, ...]


@dataclass
class Record:
    """What the layers of one pass leave behind, each under its path; used up when the pass is over.

    `kept` are new statistics, `seen` the values that were shown on the way, `probes` what is added to them
    there. `mask` tells which positions of the sequence that is on its way count.
    """

    kept: dict[Path, Any] = field(default_factory=dict[Path, Any])
    seen: dict[Path, Any] = field(default_factory=dict[Path, Any])
    probes: Mapping[Path, Any] = field(default_factory=dict[Path, Any])
    mask: Any = None


@dataclass(frozen=True)
class Run:
    """What a layer's call is told: is this training, which chance, and where in the network it stands.

    `key` names the random numbers of one example; its step may be traced. `weight` is the example's weight
    in statistics of the batch: 0 for a row that only fills a short batch up. `statistics` are those of the
    layer, as `init_statistics` makes them.

    >>> run = gn.nn.Run(training=True, key=gn.random.key(0))
    >>> gn.nn.Dropout(0.5)({}, np.ones(4), run)
    array([0., 2., 2., 2.])
    """

    training: bool = False
    key: Key | None = None
    weight: Any = None
    statistics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    path: Path = ()
    record: Record = field(default_factory=Record)

    def inside(self, name: str) -> Run:
        """The run as the part called `name` sees it: with random numbers and statistics of its own."""
        return replace(
            self,
            key=self.key.fold(crc32(name.encode())) if self.key else None,
            statistics=self.statistics.get(name, {}),
            path=(*self.path, name),
        )

    def chance(self, owner: str) -> Key:
        """The key to draw with; ConfigurationError where the pass was given none."""
        if self.key is None:
            raise ConfigurationError(
                f"{owner} draws random numbers in training and was given no key; call it with "
                "Run(training=True, key=gn.random.key(0))."
            )
        return self.key

    def batch_mean(self, x: Any) -> Any:
        """The mean of x over the examples of the batch, each with its weight; x itself for one example."""
        if self.weight is None:
            return gnp.batch_mean(x)
        # NOTE a filling row may hold anything finite: its weight of 0 takes it out.
        return gnp.batch_mean(x * self.weight) / gnp.batch_mean(self.weight)

    def keep(self, name: str, value: Any) -> None:
        """Leaves the new value of a statistic; it takes the old one's place after the step."""
        self.record.kept[*self.path, name] = value

    def see(self, what: str, value: Any) -> Any:
        """Shows a value, such as "z", to whoever watches the pass, and hands it on."""
        place = (*self.path, what)
        if place in self.record.probes:
            value = value + self.record.probes[place]
        self.record.seen[place] = value
        return value

    @property
    def mask(self) -> Any:
        """Which positions of the sequence count, (positions,) of booleans, or None: all."""
        return self.record.mask

    def set_mask(self, mask: Any) -> None:
        """Says which positions count from here on; None where the layer leaves no positions."""
        self.record.mask = mask
