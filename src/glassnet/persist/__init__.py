"""Persistence: the model file, which is data and never code, and the writing of files that cannot tear."""

from glassnet.persist.atomic import write_atomically
from glassnet.persist.model import is_model_file, load, read_model_file, register_kind, write_model_file

__all__ = [
    "is_model_file",
    "load",
    "read_model_file",
    "register_kind",
    "write_atomically",
    "write_model_file",
]
