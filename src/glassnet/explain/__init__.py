"""What a computation means: formulas and derivations, read from the declarations of the ops."""

from glassnet.explain.derivation import Case, Derivation, Partial, derive

__all__ = ["Case", "Derivation", "Partial", "derive"]
