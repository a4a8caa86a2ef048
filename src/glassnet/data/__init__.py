"""Data: tables from files, sources larger than memory, the built-in digits, and what prepares columns."""

from glassnet.data.blocks import rebatch
from glassnet.data.digits import Digits, load_digits
from glassnet.data.generated import GeneratorSource
from glassnet.data.parquet import ParquetSource
from glassnet.data.prefetch import prefetch
from glassnet.data.preprocessing import Standardizer, constant_columns
from glassnet.data.reading import read_table
from glassnet.data.sources import ArraySource, NpySource, Source
from glassnet.data.splitting import stratified_split
from glassnet.data.tables import Table
from glassnet.data.targets import Target, decide_target, text_labels

__all__ = [
    "ArraySource",
    "Digits",
    "GeneratorSource",
    "NpySource",
    "ParquetSource",
    "Source",
    "Standardizer",
    "Table",
    "Target",
    "constant_columns",
    "decide_target",
    "load_digits",
    "prefetch",
    "read_table",
    "rebatch",
    "stratified_split",
    "text_labels",
]
