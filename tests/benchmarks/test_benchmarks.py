"""The benchmark: its statistics, what it refuses, and a small run of all that is its own."""

import ast
import json
import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parent


@pytest.fixture(autouse=True)
def at_the_benchmarks(monkeypatch):
    """Its modules find one another by name, as in `python tests/benchmarks/run.py`."""
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])


def main(arguments):
    import run

    return run.main(arguments)


# ── What is computed of times ─────────────────────────────────────────────────────────────────────


def test_a_ratio_is_the_median_of_the_ratios_within_rounds():
    from rounds import medians

    # The machine was ten times slower in one round, and hiccupped in another.
    seconds = {"by-hand": [2.0, 20.0, 2.0, 2.0, 2.0], "eager": [3.0, 30.0, 3.0, 90.0, 3.0]}
    found = medians(seconds, {"by-hand": 1, "eager": 7}, {"by-hand": [], "eager": [0.9, 0.8, 0.7]})
    assert found["by-hand"].ratio == 1
    assert found["by-hand"].seconds == 2
    assert found["eager"].ratio == 1.5
    assert found["eager"].seconds == 3
    assert found["eager"].quartiles[0] == 1.5 < found["eager"].quartiles[1]
    assert found["eager"].calls == 7
    assert found["eager"].result == 0.8


def test_one_round_is_enough_for_a_median():
    from rounds import medians

    found = medians({"a": [2.0], "b": [4.0]}, {"a": 1, "b": 1}, {"a": [], "b": []})
    assert found["b"].ratio == 2
    assert found["b"].quartiles == (2, 2)


def test_each_competitor_comes_first_in_turn():
    from rounds import rotated

    names = ["a", "b", "c"]
    assert [rotated(names, n)[0] for n in range(6)] == names * 2
    assert all(sorted(rotated(names, n)) == names for n in range(6))


@pytest.mark.parametrize("slowness", [1e-6, 1e-3, 0.02, 5.0])
def test_calls_of_a_round_take_about_as_long_as_it_should_and_are_at_least_one(slowness):
    from rounds import ROUND, calls_a_round

    class Steady:
        def ask(self, do, calls):
            return {"seconds": calls * slowness}

    calls = calls_a_round(Steady())
    assert calls >= 1
    assert calls == 1 or ROUND / 2 <= calls * slowness <= 2 * ROUND


@pytest.mark.parametrize(
    "seconds, text",
    [(2.5e-8, "25.0 ns"), (9.5e-6, "9.50 µs"), (0.0123, "12.3 ms"), (1234, "1,234 s")],
)
def test_durations_have_three_digits_and_a_unit(seconds, text):
    from table import duration

    assert duration(seconds) == text


# ── What must be alike ────────────────────────────────────────────────────────────────────────────


def test_competitors_that_compute_the_same_are_let_through():
    from rounds import agree

    agree("characters", {"by-hand": [1.0, 0.5], "jax": [1.00001, 0.5]}, rtol=1e-4)


@pytest.mark.parametrize("other", [[1.0, 0.6], [1.0], [1.0, float("nan")]])
def test_one_that_computes_something_else_is_named_with_its_numbers(other):
    from process import CompetitorError
    from rounds import agree

    with pytest.raises(CompetitorError) as refused:
        agree("characters", {"by-hand": [1.0, 0.5], "jax": other}, rtol=1e-4)
    listed = ", ".join(f"{number:g}" for number in other)
    assert f"jax.jit at characters computes [{listed}] where by hand computes [1, 0.5]" in str(
        refused.value
    )


@pytest.mark.slow
def test_a_run_stops_at_a_competitor_that_disagrees(capsys, monkeypatch, tmp_path):
    import process

    ask = process.Worker.ask
    monkeypatch.setattr(
        process.Worker,
        "ask",
        lambda self, do, **details: [
            number + ("tinygrad_ce" in self.title) for number in ask(self, do, **details)
        ],
    )
    arguments = ["--only", "step-4-16-3-float32", "--with", "by-hand", "eager"]
    assert main([*arguments, "--json", str(tmp_path / "new" / "b.json")]) == 1
    printed = capsys.readouterr()
    assert "tinygrad_ce at step-4-16-3-float32 computes [" in printed.err
    assert "by hand computes [" in printed.err
    assert printed.err.count("\n") == 1
    assert "ratio" not in printed.out
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_compared_by_more_than_their_norm():
    from worker import numbers

    one, other = numbers((2.0, np.array([3.0, 4.0]))), numbers((2.0, np.array([4.0, 3.0])))
    assert one[:2] == other[:2] == [2, 5]
    assert one[2] != other[2]


# ── Who takes part ────────────────────────────────────────────────────────────────────────────────


def test_each_module_has_a_function_for_each_kind_that_it_is_listed_for():
    from competitors import COMPETITORS
    from work import WORK

    kinds = {work.kind for work in WORK.values()}
    for competitor in COMPETITORS.values():
        source = (BENCHMARKS / "competitors" / f"{competitor.module}.py").read_text("utf-8")
        body = ast.parse(source).body
        names = {node.name for node in body if isinstance(node, ast.FunctionDef)}
        assert set(competitor.kinds) == names & kinds, competitor.title


@pytest.mark.slow
def test_one_that_is_not_installed_is_named_in_a_line_and_left_out(capsys, monkeypatch):
    from competitors import COMPETITORS

    missing = COMPETITORS["jax"]._replace(needs="surely_not_installed")
    monkeypatch.setitem(COMPETITORS, "jax", missing)
    arguments = ["--only", "compiled-chain", "--rounds", "1", "--with", "by-hand", "jax"]
    assert main(arguments) == 0
    printed = capsys.readouterr()
    assert printed.err == (
        'not installed, and so left out: jax (pip install "tinygrad-ce[bench]")\n'
    )
    assert "by hand" in printed.out
    assert "jax" not in printed.out
    assert main(["--with", "jax"]) == 2
    assert "none of those who should take part is installed" in capsys.readouterr().err


@pytest.mark.slow
def test_one_that_fails_is_named_with_what_it_said_last():
    from process import CompetitorError, Worker

    with Worker("micrograd", "characters", 1) as worker, pytest.raises(CompetitorError) as failed:
        worker.ask("check", calls=1)
    assert str(failed.value).startswith("micrograd at characters fails: ")
    assert "Error: " in str(failed.value)


# ── A run ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_a_run_prints_a_table_and_writes_the_same_as_json(capsys, tmp_path):
    arguments = ["--only", "step-4-16-3-float32", "--rounds", "2", "--with", "by-hand"]
    path = tmp_path / "new" / "bench.json"
    assert main([*arguments, "eager", "compiled", "--json", str(path)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    lines = printed.out.splitlines()
    assert [line[:24].strip() for line in lines[3:]] == [
        "by hand", "tinygrad_ce", "tinygrad_ce compiled"
    ]  # fmt: skip
    written = json.loads(path.read_text("utf-8"))
    assert written["threads"] == 1
    assert "numpy" in written["versions"]
    (work,) = written["work"]
    assert (work["name"], work["rounds"]) == ("step-4-16-3-float32", 2)
    assert list(work["competitors"]) == ["by-hand", "eager", "compiled"]
    for found in work["competitors"].values():
        assert found["seconds"] > 0
        assert found["quartiles"][0] <= found["quartiles"][1]
    assert work["competitors"]["by-hand"]["ratio"] == 1


@pytest.mark.slow
def test_the_peak_of_a_call_counts_what_it_needs_and_not_what_was_before():
    import worker
    from work import Job

    if worker.peak(Job(lambda: None)) is None:
        pytest.skip("the system does not tell")
    least = worker.peak(Job(lambda: None))
    np.ones(20_000_000)
    assert abs(worker.peak(Job(lambda: None)) - least) < 20e6
    assert worker.peak(Job(lambda: np.ones(20_000_000))) - least > 140e6


@pytest.mark.parametrize(
    "arguments, said",
    [
        ("--only dance", "there is no work called dance: expected step-4-16-3-float32, "),
        ("--only step-4-1", "there is no work called step-4-1: expected "),
        ("--with by-hand cuda", "there is no competitor called cuda: expected by-hand, "),
        ("--with by-hand-out --only fit", "none of by-hand-out can do any of fit-digits"),
        ("--rounds 0", "--rounds: expected a whole number from 1 on, got '0'"),
        ("--threads none", "--threads: expected a whole number from 1 on, got 'none'"),
        ("--with by-hand --json file/b.json", "cannot write to file: not a folder"),
        ("--with by-hand --json folder", "cannot write to folder: a folder, not a file"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line_and_nothing_is_begun(
    arguments, said, tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.err.startswith("benchmarks: error: ")
    assert printed.err.count("\n") == 1
    assert printed.out == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
