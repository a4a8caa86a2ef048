"""Where llvmlite cannot be had everything works in the interpreter, and says so once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
    net.save("xor.glass")
    print((gn.load("xor.glass").predict_proba(X) == net.predict_proba(X)).all())
    for layers, shape in (
        ([gn.Conv2D(2, 3), gn.MaxPool2D(2), gn.Flatten(), gn.Dropout(0.5), gn.Dense(2)], (6, 6, 1)),
        ([gn.LSTM(3), gn.Dense(2)], (4, 2)),
        ([gn.MultiHeadAttention(2), gn.Flatten(), gn.Dense(2)], (3, 4)),
    ):
        other = gn.Network(layers, loss="cross_entropy")
        trained = other.fit(np.ones((6, *shape)), [0, 1, 0, 1, 0, 1], epochs=2, batch_size=4, threads=2)
        print(trained.engine, other.predict(np.ones((2, *shape))).shape)
    compiled = gn.compile(gn.grad(lambda x: gnp.sum(x**3)))
    print(compiled(np.array([1.0, 2.0])).tolist())
    print(compiled.explain(np.ones(2)).reason)
print([str(warning.category.__name__) for warning in said])
try:
    net.fit(X, [0, 1, 1, 0], engine="compiled")
except gn.errors.UncompilableError as refusal:
    print(refusal)
"""


def test_everything_works_and_one_warning_says_what_is_missing(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    reason = (
        "llvmlite cannot be used (No module named 'llvmlite'): "
        "reinstall it with `pip install --force-reinstall llvmlite`."
    )
    assert finished.stdout.splitlines() == [
        "interpreter [0, 1, 1, 0] interpreter",
        "True",
        *["interpreter (2,)"] * 3,
        "[3.0, 12.0]",
        reason,
        "['FallbackWarning']",
        reason,
    ]
