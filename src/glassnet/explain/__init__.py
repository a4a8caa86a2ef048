"""What a computation means: formulas and derivations, read from the declarations of the ops."""

from glassnet.explain.derivation import Case, Derivation, Partial
from glassnet.explain.deriving import derive
from glassnet.explain.influence import Influence, Path, influence
from glassnet.explain.work import Work, work

__all__ = ["Case", "Derivation", "Influence", "Partial", "Path", "Work", "derive", "influence", "work"]
