"""What a computation means: formulas, derivations, traces, explanations, diagnosis, from the declarations.

The names are those of the stub beside this file; each is loaded when it is first asked for.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
