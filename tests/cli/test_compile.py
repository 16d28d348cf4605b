import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_process import contents

from tinygrad_ce import functional
from tinygrad_ce.cli import main
from tinygrad_ce.cli.commands import compile as compile_command
from tinygrad_ce.cli.experiment import prepare

# Train from the weights of the experiment on its batches, with nothing importable but NumPy.
USE_OF_STEP = """
import inspect, re, sys
sys.modules["tinygrad_ce"] = None
import numpy as np
from step import step
returned = re.findall(r"\\w+", re.search(r"([^=]*) = step\\(", step.__doc__.split("\\n\\n")[1])[1])
given = dict(np.load("given.npz"))
X, y, lr = given.pop("X"), given.pop("y"), float(given.pop("lr"))
names = [name for name in inspect.signature(step).parameters if name not in ("X", "y", "lr")]
values, losses = dict(zip(names, given.values(), strict=True)), []
for X_batch, y_batch in zip(X, y):
    new = dict(zip(returned, step(X=X_batch, y=y_batch, lr=lr, **values), strict=True))
    values = {name: new[name] for name in names}
    losses.append(new["loss"])
assert not [name for name in sys.modules if name.startswith("tinygrad_ce.")]
np.savez("got.npz", *losses, *values.values())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("typed", "name", "hidden", "seed", "batch"),
    [
        ("compile -o step.py", "iris", 16, 0, 32),
        ("compile --data iris --hidden 7 --seed 3 --batch 10 --out step.py", "iris", 7, 3, 10),
        ("compile --data digits -o ./step.py", "digits", 64, 0, 32),
    ],
)
def test_the_step_that_compile_writes_is_the_eager_one(
    here, capsys, typed, name, hidden, seed, batch
):
    assert main(typed.split()) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("step.py\n", "")
    assert contents(here) == {"file", "step.py"}

    experiment = prepare(name, hidden, seed=seed)
    model, optimizer = experiment.model, experiment.optimizer
    rows = np.random.default_rng(0).integers(0, len(experiment.X_train), (20, batch))
    X, y = experiment.X_train[rows], experiment.y_train[rows]
    start = {f"p{i}": p.data for i, p in enumerate(model.parameters())}
    start |= {f"v{i}": v for i, v in enumerate(optimizer.velocity)}
    np.savez("given.npz", X=X, y=y, lr=optimizer.lr, **start)
    # -I: neither the folder nor the environment adds to the path, so it is named.
    script = f"import sys; sys.path.insert(0, {str(here)!r})\n" + USE_OF_STEP
    subprocess.run([sys.executable, "-I", "-W", "error", "-c", script], cwd=here, check=True)

    expected = []
    for X_batch, y_batch in zip(X, y, strict=True):
        loss = functional.cross_entropy(model(X_batch), y_batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.data)
    expected += [p.data for p in model.parameters()] + optimizer.velocity
    got = list(np.load("got.npz").values())
    assert [a.tobytes() for a in got] == [np.asarray(b).tobytes() for b in expected]


def test_compile_prints_the_step_where_no_file_is_named(here, capsys):
    assert main(["compile"]) == 0
    printed, err = capsys.readouterr()
    assert err == ""
    assert contents(here) == {"file"}
    main(["compile", "-o", "step.py"])
    assert Path("step.py").read_text(encoding="utf-8") == printed


@pytest.mark.slow
def test_the_docstring_of_a_compiled_step_says_what_it_takes_and_shows_how_to_call_it(here):
    main(["compile", "-o", "my_step.py", "--seed", "5", "--hidden", "9"])
    module = ast.parse(Path("my_step.py").read_text(encoding="utf-8"))
    (function,) = (n for n in module.body if getattr(n, "name", "") == "step")
    for line in ("X: float64 [32, 4]", "y: int64 [32]", "weight_1: float64 [4, 9]", "lr: a float"):
        assert line in ast.get_docstring(function).splitlines()
    example = re.search(r"^    .*", ast.get_docstring(module), re.MULTILINE | re.DOTALL)[0]
    script = inspect.cleandoc(example)
    assert "from my_step import step" in script
    save = "np.savez('begin.npz', weight_1, bias_1, weight_2, bias_2)"
    script = re.sub("^for", f"{save}\nfor", script, flags=re.MULTILINE)
    (here / "use.py").write_text(script + "\nassert 0.5 < loss < 2\n")
    subprocess.run([sys.executable, "use.py"], cwd=here, check=True)
    expected = prepare("iris", 9, seed=5).model.parameters()
    for got, parameter in zip(np.load("begin.npz").values(), expected, strict=True):
        np.testing.assert_array_equal(got, parameter.data)


def test_compile_that_fails_leaves_the_file_that_was_there(here, capsys, monkeypatch):
    Path("step.py").write_text("mine")
    monkeypatch.setattr(compile_command, "prepare", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["compile", "-o", "step.py"])
    assert contents(here) == {"file", "step.py"}
    assert Path("step.py").read_text() == "mine"
