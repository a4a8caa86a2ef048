"""`glassnet check`: holds every op to an independent calculation, and prints how far off it is."""

from __future__ import annotations

from itertools import zip_longest
from typing import Literal

from rich.console import Console
from rich.table import Table as Columns

from glassnet.core.registry import OPS
from glassnet.errors import ConfigurationError
from glassnet.transforms.cases import LEAVES
from glassnet.transforms.certify import LIMIT, OpCertificate, certify_all

_FAILED = 1


def check(what: Literal["ops"], /, *names: str) -> int:
    """Certify the derivatives of every op and print the largest relative errors, in float64.

    Each op runs on all its cases: forward mode against the complex step or Richardson differences, reverse
    mode against forward mode by the dot-product test, at orders 1 and 2; vmap against a loop; the shape rule
    against the value; the slope at a kink against its declaration. The exit code is 1 if one fails.

    Parameters
    ----------
    what
        ops, the operations that everything is made of.
    names
        The ops to check; without them, all.
    """
    known = set(OPS) - LEAVES
    for name in names:
        if name not in known:
            raise ConfigurationError(f"There is no op {name}; glassnet check ops lists them all.")
    certificates = certify_all(names or None)
    console = Console(highlight=False)
    console.print(_table([certificate for certificate in certificates if not certificate.reason]))
    for certificate in certificates:
        if certificate.reason:
            console.print(f"{certificate.name} has no derivative: {certificate.reason}.", markup=False)
        for fault in certificate.faults:
            console.print(f"WRONG {certificate.name}, {fault}", markup=False, soft_wrap=True)
    failed = sum(not certificate.passed for certificate in certificates)
    console.print(_verdict(certificates, failed))
    return _FAILED if failed else 0


def _table(certificates: list[OpCertificate]) -> Columns:
    columns = Columns(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    columns.add_column("op", no_wrap=True)
    for heading in ("forward 1", "reverse 1", "forward 2", "reverse 2"):
        columns.add_column(heading, justify="right", no_wrap=True)
    columns.add_column("against")
    for certificate in certificates:
        # A loop of unknown length has no reverse mode.
        orders = zip_longest(certificate.forward, certificate.reverse)
        errors = ["none" if error is None else f"{error:.0e}" for order in orders for error in order]
        columns.add_row(certificate.name, *errors, certificate.method.replace(" differences", ""))
    return columns


def _verdict(certificates: list[OpCertificate], failed: int) -> str:
    count = len(certificates)
    if failed:
        return f"{failed} of {count} ops failed."
    worst = max(certificates, key=lambda certificate: certificate.largest_error)
    error = f"the largest relative error is {worst.largest_error:.1e}, of {worst.name} (limit {LIMIT:.0e})"
    return f"{count} of {count} ops passed; {error}."
