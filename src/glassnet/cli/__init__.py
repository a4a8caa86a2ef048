"""The command line: it parses arguments and prints; everything else is done by the packages below."""

from glassnet.cli.application import main

__all__ = ["main"]
