"""Why a network does not learn: verdicts with evidence and advice, causes before their symptoms.

The names are those of the stub beside this file; each is loaded when it is first asked for.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
