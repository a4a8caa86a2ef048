"""The 1,797 handwritten digits of 8 x 8 pixels, inside the package, so that a first run needs no file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib import resources

import numpy as np

from glassnet.data.splitting import stratified_split
from glassnet.data.tables import Table
from glassnet.errors import DataError

_SHA256 = "78a85852f7f6b2b5d209ab9b246a3f6783ba99bf264099704d8725980b7e0b97"
_TEST_FRACTION, _TEST_SEED = 0.2, 0


@dataclass(frozen=True)
class Digits:
    """Images (1797, 8, 8), uint8 from 0 (paper) to 16 (ink), and labels (1797,), int64 from 0 to 9."""

    images: np.ndarray
    labels: np.ndarray

    def split(self) -> tuple[np.ndarray, np.ndarray]:
        """The rows for training and the rows held out for testing: always the same stratified fifth."""
        return stratified_split(self.labels, _TEST_FRACTION, _TEST_SEED)

    def table(self, rows: np.ndarray | None = None) -> Table:
        """All digits, or the given rows, as a table: pixel_0_0 .. pixel_7_7 (row, column) and digit."""
        rows = np.arange(len(self.labels)) if rows is None else rows
        pixels = self.images[rows].astype(np.int64)
        columns = {f"pixel_{y}_{x}": pixels[:, y, x] for y in range(8) for x in range(8)}
        return Table("digits", columns | {"digit": self.labels[rows]})


def load_digits() -> Digits:
    """The handwritten digits that come with glassnet.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
    Repository, DOI 10.24432/C50P49, CC BY 4.0 (see digits.LICENSE.txt). Raises `DataError` where the
    installed copy is missing or damaged.

    >>> load_digits().images.shape
    (1797, 8, 8)
    """
    file = resources.files("glassnet.data").joinpath("digits.npz")
    try:
        intact = hashlib.sha256(file.read_bytes()).hexdigest() == _SHA256
    except OSError:
        intact = False
    if not intact:
        raise DataError(
            "The digits inside the glassnet package are missing or damaged; "
            "reinstall with: pip install --force-reinstall glassnet"
        )
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return Digits(arrays["images"], arrays["labels"].astype(np.int64))
