"""Where llvmlite cannot be had everything works in the interpreter, and says so once."""

from __future__ import annotations

import os
import subprocess
import sys

PROGRAM = """
import sys
import warnings


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "llvmlite":
            raise ModuleNotFoundError("No module named 'llvmlite'", name="llvmlite")


sys.meta_path.insert(0, Absent())
import numpy as np

import glassnet as gn
import glassnet.numpy as gnp

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    net = gn.Network([gn.Dense(8, activation="tanh"), gn.Dense(1)], loss="binary_cross_entropy", seed=0)
    history = net.fit(X, [0, 1, 1, 0], epochs=200, optimizer=gn.Adam(0.05))
    net.fit(X, [0, 1, 1, 0], epochs=1, optimizer="lbfgs")
    print(history.engine, net.predict(X).tolist(), net.certify(X, [0, 1, 1, 0]).engine)
    compiled = gn.compile(gn.grad(lambda x: gnp.sum(x**3)))
    print(compiled(np.array([1.0, 2.0])).tolist())
    print(compiled.explain(np.ones(2)).reason)
print([str(warning.category.__name__) for warning in said])
try:
    net.fit(X, [0, 1, 1, 0], engine="compiled")
except gn.errors.UncompilableError as refusal:
    print(refusal)
"""


def test_everything_works_and_one_warning_says_what_is_missing() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True
    )
    reason = (
        "llvmlite cannot be used (No module named 'llvmlite'): "
        "reinstall it with `pip install --force-reinstall llvmlite`."
    )
    assert finished.stdout.splitlines() == [
        "interpreter [0, 1, 1, 0] interpreter",
        "[3.0, 12.0]",
        reason,
        "['FallbackWarning']",
        reason,
    ]
