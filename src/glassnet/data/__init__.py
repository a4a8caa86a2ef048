"""Data: tables from files, the built-in digits, and what prepares their columns for training."""

from glassnet.data.digits import Digits, load_digits
from glassnet.data.preprocessing import Standardizer, constant_columns
from glassnet.data.reading import read_table
from glassnet.data.splitting import stratified_split
from glassnet.data.tables import Table
from glassnet.data.targets import Target, decide_target, text_labels

__all__ = [
    "Digits",
    "Standardizer",
    "Table",
    "Target",
    "constant_columns",
    "decide_target",
    "load_digits",
    "read_table",
    "stratified_split",
    "text_labels",
]
