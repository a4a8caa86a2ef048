"""Where in the user's code something happened, and the one sentence that is said of it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dis import opname
from inspect import signature
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from glassnet.core.graph import Node, Source, describe
from glassnet.errors import DTypeError, GlassnetError, ShapeError

if TYPE_CHECKING:
    from glassnet.core.op import Op


def clear_error(
    error: Exception, op: Op, inputs: Sequence[Node], attributes: Mapping[str, Any], source: Source | None
) -> GlassnetError:
    """One sentence for a failed op: that of the shape rule, clearer than NumPy's, where it complains too."""
    try:
        signature(op.value).bind(np, *inputs, **attributes)
    except TypeError as misuse:
        return DTypeError(f"{op.name} takes {_arguments(op)}: {misuse}{describe(source)}.")
    kind: type[GlassnetError] = DTypeError if isinstance(error, TypeError) else ShapeError
    sentence = f"{op.name} failed: {error}"
    if isinstance(error, GlassnetError):  # a value rule that speaks for itself
        kind, sentence = type(error), str(error)
    try:
        op.infer(*inputs, **attributes)
    except GlassnetError as clear:
        kind, sentence = type(clear), str(clear)
    return kind(f"{sentence.rstrip('.')}{describe(source)}.")


def _arguments(op: Op) -> str:
    # The arguments of an op's value rule, without the namespace that comes first: "(x, y, *, slope)".
    form = signature(op.value)
    return str(form.replace(parameters=list(form.parameters.values())[1:], return_annotation=form.empty))


def raised_from(error: Exception) -> Source | None:
    """The innermost frame outside glassnet that an error has passed through."""
    found = None
    trail = error.__traceback__
    while trail is not None:
        module = trail.tb_frame.f_globals.get("__name__", "")
        if module != "contextlib" and module[:9] != "glassnet.":
            found = trail.tb_frame.f_code, trail.tb_lasti
        trail = trail.tb_next
    return found


def calls_without(frame: FrameType, name: str) -> bool:
    """True where the frame is in a call and its code nowhere speaks of `name`."""
    code = frame.f_code
    calling = opname[code.co_code[frame.f_lasti]].startswith(("CALL", "PRECALL"))
    return calling and name not in (*code.co_names, *code.co_varnames, *code.co_freevars)


def user_frame() -> Source | None:
    """The innermost frame outside glassnet; resolved to a line only when printed."""
    frame = sys._getframe(2)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:  # pyright: ignore[reportUnnecessaryComparison]
        if frame.f_globals.get("__name__", "")[:9] != "glassnet.":
            return frame.f_code, frame.f_lasti
        frame = frame.f_back
    return None
