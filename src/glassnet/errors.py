"""Every exception of glassnet: one sentence that says what, where, what was expected, what came, the mend.

All derive from `GlassnetError`, so that a caller (the command line among them) can tell a mistake in the
input from a defect in glassnet. Each also derives from the built-in exception that Python users expect.
"""

from __future__ import annotations

from numpy.linalg import LinAlgError


class GlassnetError(Exception):
    """Base of every error that glassnet raises on purpose; its text is one sentence for the user."""


class ShapeError(GlassnetError, ValueError):
    """Shapes that do not fit together; the sentence names both and the user's source line."""


class DTypeError(GlassnetError, TypeError):
    """A data type that the operation does not take: integers where a derivative is wanted, text, complex."""


class DifferentiationError(GlassnetError, TypeError):
    """A derivative that does not exist as asked for: no such argument, not a scalar, no rule."""


class ConcretizationError(GlassnetError, TypeError):
    """The value of an array was asked for while only its shape is known (inside `vmap` or compilation)."""


class LeakError(GlassnetError, RuntimeError):
    """A traced array was used after the transform that made it had ended."""


class VerificationError(GlassnetError, AssertionError):
    """A check of glassnet on itself or on a user's derivative failed; the sentence carries the numbers."""


class MatrixError(GlassnetError, LinAlgError):
    """A matrix that a factorisation does not take: singular, not positive definite, or not finite."""


class ConfigurationError(GlassnetError, ValueError):
    """An option with a value that it cannot have; the sentence lists the values that it can."""


class DataError(GlassnetError, ValueError):
    """Data that cannot be used: the sentence names the file, the column and the row."""


class ModelFileError(GlassnetError, ValueError):
    """A file that is not a glassnet model, or a damaged one."""


class NotFittedError(GlassnetError, ValueError):
    """A network was asked for something that it knows only after it has seen data."""


class DivergedError(GlassnetError, ArithmeticError):
    """Training produced a value that is not finite; the parameters of the last finished epoch are kept."""


class UncompilableError(GlassnetError, NotImplementedError):
    """The compiler does not take this graph; the sentence gives the reason and the interpreter takes over."""


class MissingExtraError(GlassnetError, ImportError):
    """An optional dependency is not installed; the sentence has the command that installs it."""
