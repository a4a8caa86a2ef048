"""The door to the engines: the same numbers from both, and a fall-back that says why, once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import glassnet as gn
import glassnet.numpy as gnp
from glassnet import compiler, execute
from glassnet.errors import ConfigurationError, UncompilableError
from glassnet.execute import FallbackWarning
from glassnet.transforms.tracing import trace

X = np.array([[0.5, -1.0], [1.5, 0.25], [-0.75, 2.0]])
GRAPH, _ = trace(lambda x: gnp.tanh(x) * 2.0, X)
REASON = "the test allows no compilation."


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that takes nothing, and no memory of what was said before."""

    def refuse(*_: object, **__: object) -> None:
        raise UncompilableError(REASON)

    monkeypatch.setattr(compiler, "compile_graph", refuse)
    monkeypatch.setattr(compiler, "CompiledRunner", refuse)
    monkeypatch.setattr(execute, "_said", set())


def network() -> gn.Network:
    return gn.Network([gn.Dense(3, activation="tanh"), gn.Dense(1)], loss="mean_squared_error")


@pytest.mark.parametrize("engine", ["auto", "compiled", "interpreter"])
def test_every_engine_gives_the_value(engine: str) -> None:
    np.testing.assert_allclose(execute.run(GRAPH, [X], engine)[0], 2 * np.tanh(X), rtol=1e-14)


@pytest.mark.parametrize("engine", ["compiled", "interpreter"])
def test_bound_inputs_stay_from_call_to_call(engine: str) -> None:
    graph, _ = trace(lambda w, b, x: gnp.matmul(x, w) + b, X.T, X[0, 0], X)
    function, _ = execute.function(graph, engine)
    for w, b in ((X.T, np.float64(1.0)), (2 * X.T, np.float64(0.0))):
        function.bind([w, b])
        for x in (X, -X):
            np.testing.assert_allclose(function.rest([x])[0], x @ w + b, rtol=1e-14)
    np.testing.assert_allclose(function([X.T, b, X])[0], X @ X.T, rtol=1e-14)


def test_the_reason_tells_which_engine_was_chosen() -> None:
    assert execute.function(GRAPH, "auto")[1] is None
    assert execute.function(GRAPH, "interpreter")[1] == "asked for"


@pytest.mark.usefixtures("refusing")
def test_auto_falls_back_with_the_same_numbers_and_one_warning_a_reason() -> None:
    with pytest.warns(FallbackWarning, match=f"The interpreter runs this network: {REASON}") as said:
        values = [execute.run(GRAPH, [X], "auto")[0] for _ in range(2)]
    assert len(said) == 1
    assert execute.function(GRAPH, "auto")[1] == REASON
    assert np.array_equal(values, [2 * np.tanh(X)] * 2)


@pytest.mark.usefixtures("refusing")
def test_the_warning_names_the_line_that_called_the_network() -> None:
    with pytest.warns(FallbackWarning) as said:
        history = network().fit(X, [1.0, 0.0, 2.0], epochs=1)
    assert said[0].filename == __file__
    assert history.engine == "interpreter"


@pytest.mark.usefixtures("refusing")
def test_compiled_insists() -> None:
    with pytest.raises(UncompilableError, match=REASON):
        execute.run(GRAPH, [X], "compiled")
    with pytest.raises(UncompilableError, match=REASON):
        network().fit(X, [1.0, 0.0, 2.0], engine="compiled")


@pytest.mark.usefixtures("refusing")
def test_the_interpreter_that_was_asked_for_needs_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert network().fit(X, [1.0, 0.0, 2.0], epochs=1, engine="interpreter").engine == "interpreter"


def test_an_activation_that_the_compiler_does_not_take_trains_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(execute, "_said", set())
    layers = [gn.Dense(3, activation=lambda z: gnp.tanh(gnp.sort(z))), gn.Dense(1)]
    net = gn.Network(layers, loss="mean_squared_error")
    with pytest.warns(FallbackWarning):
        history = net.fit(X, [1.0, 0.0, 2.0], epochs=50, optimizer=gn.Adam(0.05))
    assert history.engine == "interpreter"
    assert history.loss[-1] < 0.5 * history.loss[0]
    with pytest.raises(UncompilableError):
        net.fit(X, [1.0, 0.0, 2.0], engine="compiled")


@pytest.mark.parametrize("engine", ["fast", None, ""], ids=repr)
def test_an_unknown_engine_is_refused(engine: object) -> None:
    with pytest.raises(ConfigurationError, match="is not one of 'auto', 'compiled', 'interpreter'"):
        execute.run(GRAPH, [X], engine)
