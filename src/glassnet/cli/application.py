"""The commands under one name, and what becomes of their errors: one sentence and an exit code."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from glassnet import __version__
from glassnet.cli.check import check
from glassnet.cli.derive import derive
from glassnet.cli.diagnose import diagnose
from glassnet.cli.evaluate import evaluate
from glassnet.cli.predict import predict
from glassnet.cli.train import train
from glassnet.errors import GlassnetError
from glassnet.execute import FallbackWarning

_WRONG_INPUT, _INTERRUPTED, _BROKEN_PIPE = 2, 130, 141

app = App(
    name="glassnet",
    help="Train neural networks on tables, and see through them.\n\nStart with: glassnet train digits",
    version=__version__,
    help_format="markdown",
)
for _command in (train, predict, evaluate, diagnose, derive, check):
    app.command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    0: done; 2: wrong input or options, said in one sentence on standard error; 130: interrupted; 141: the
    reader of the output went away.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that the terminal cannot show is no reason to stop
            stream.reconfigure(errors="backslashreplace")
    # The report of a run says itself why a network is not compiled.
    warnings.simplefilter("ignore", FallbackWarning)
    try:
        tokens = list(sys.argv[1:] if arguments is None else arguments)
        command, bound, _ = app.parse_args(tokens, print_error=False, exit_on_error=False)
        code = command(*bound.args, **bound.kwargs)
        sys.stdout.flush()
    except (GlassnetError, CycloptsError) as error:
        print("glassnet:", " ".join(str(error).split()), file=sys.stderr)
        return _WRONG_INPUT
    except KeyboardInterrupt:
        print("glassnet: interrupted.", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # NOTE: without this, Python tries to flush once more at exit and prints a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    return code if isinstance(code, int) else 0
