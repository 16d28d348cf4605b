"""The scripts in examples/, and what the pictures say of the article."""

import importlib.util
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


def load(name):
    """An example as a module: the folder is no package, and not on the path."""
    spec = importlib.util.spec_from_file_location(f"examples_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where typing looks for the names in annotations
    spec.loader.exec_module(module)
    return module


pictures, attention = map(load, ("pictures", "name_attention"))


def run(script, *arguments, **options):
    """An example in a process of its own, where a warning is an error."""
    command = [sys.executable, "-W", "error", EXAMPLES / f"{script}.py", *arguments]
    return subprocess.run(
        list(map(str, command)), check=False, capture_output=True, encoding="utf-8", **options
    )


# ── The statements about asymmetry ────────────────────────────────────────────────────────────────


def test_the_two_numbers_of_the_asymmetry_are_one_term_of_a_sum():
    assert round(pictures.term(0.2, 0.2), 5) == 0.32189
    assert round(pictures.term(0.8, 0.8), 5) == 0.17851
    assert round(F.calculate_cross_entropy([0.2], [0.2]).item(), 5) == 0.32189
    assert round(F.calculate_cross_entropy([0.8], [0.8]).item(), 5) == 0.17851
    assert round(F.calculate_cross_entropy([0.2, 0.8], [0.2, 0.8]).item(), 4) == 0.5004


def test_with_both_terms_cross_entropy_is_symmetric():
    assert round(pictures.entropy(0.2), 4) == round(pictures.entropy(0.8), 4) == 0.5004
    y = np.linspace(0.01, 0.99, 99)
    assert np.allclose(pictures.entropy(y), pictures.entropy(1 - y), rtol=1e-14)


@pytest.mark.parametrize("y", [0.05, 0.2, 0.5, 0.8])
def test_the_least_cross_entropy_is_the_entropy_and_not_0(y):
    q = np.linspace(0.01, 0.99, 99)
    losses = pictures.cross_entropy(y, q)
    assert q[losses.argmin()] == pytest.approx(y)
    assert losses.min() == pytest.approx(pictures.entropy(y), rel=1e-14)
    assert losses.min() > 0.19
    divergence = losses - pictures.entropy(y)  # of Kullback and Leibler: that reaches 0
    assert divergence.min() == pytest.approx(0, abs=1e-15)


def test_swapping_truth_and_prediction_gives_another_number():
    assert round(pictures.cross_entropy(0.2, 0.5), 4) == 0.6931
    assert round(pictures.cross_entropy(0.5, 0.2), 4) == 0.9163


# ── Three forms of one loss ───────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", [pictures.naive, pictures.shifted, pictures.margin])
@pytest.mark.parametrize("t", [0, 1, 2])
def test_the_forms_are_cross_entropy(form, t):
    z = tg.Tensor([2.0, 1.0, 0.1], requires_grad=True)
    loss, reference = form(z, t), F.cross_entropy(z, t)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-14)
    (found,), (expected,) = (tg.gradients(x, [z]) for x in (loss, reference))
    assert np.allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("gap", [0, 1, 10, 36, 40, 300, 700])
def test_the_margin_form_has_the_gradient_to_all_digits(gap):
    exact = pictures.true_gradient_at_label(gap)
    assert pictures.gradient_at_label(pictures.margin, gap) == pytest.approx(exact, rel=5e-16)


def test_the_other_forms_have_lost_every_digit_at_a_gap_of_40():
    assert pictures.gradient_at_label(pictures.naive, 40) == 0
    assert pictures.gradient_at_label(pictures.shifted, 40) == 0
    assert pictures.true_gradient_at_label(40) == pytest.approx(-4.25e-18, rel=1e-3)


def test_the_true_gradient_needs_no_mpmath(monkeypatch):
    gaps = (0, 1, 40, 700)
    with_mpmath = [pictures.true_gradient_at_label(gap) for gap in gaps]
    monkeypatch.setitem(sys.modules, "mpmath", None)
    without = [pictures.true_gradient_at_label(gap) for gap in gaps]
    assert without == pytest.approx(with_mpmath, rel=5e-16)


@pytest.mark.slow
def test_pictures_are_the_same_from_run_to_run(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    for folder in ("one", "two"):
        assert pictures.main(["--out", str(tmp_path / folder), "--format", "svg"]) == 0
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(f"{name}.svg" for name in pictures.PICTURES)
    for name in names:
        svg = (tmp_path / "one" / name).read_bytes()
        assert svg == (tmp_path / "two" / name).read_bytes()
        ET.fromstring(svg)
        assert (ROOT / "docs" / "images" / name).exists()


@pytest.mark.slow
def test_pictures_as_a_script(tmp_path):
    pytest.importorskip("matplotlib")
    done = run("pictures", "--format", "png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [f"{name}.png" for name in pictures.PICTURES]
    for name in pictures.PICTURES:
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_pictures_without_matplotlib_say_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(SystemExit, match="2"):
        pictures.main(["--out", str(tmp_path)])
    assert '".[plot]"' in capsys.readouterr().err


# ── Wrong use ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--out", "file"], "cannot write to file"),
        (["--format", "gif"], "gif"),
        (["--wrong"], "--wrong"),
    ],
)
def test_wrong_use_is_one_line_and_exit_status_2(tmp_path, monkeypatch, capsys, arguments, said):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        pictures.main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert error.endswith("\n")


# ── A block of causal self-attention ──────────────────────────────────────────────────────────────


def test_no_place_looks_at_a_later_one():
    model = attention.Writer()
    tokens = np.random.default_rng(0).integers(0, 27, (2, attention.CONTEXT))
    changed = tokens.copy()
    changed[:, 6:] = (tokens[:, 6:] + 1) % 27
    a, b = model(tokens).data, model(changed).data
    np.testing.assert_array_equal(a[:, :6], b[:, :6])
    assert (a[:, 6:] != b[:, 6:]).any(-1).all()


def test_each_place_is_asked_for_the_letter_that_follows():
    given, wanted = attention.encode(["ab"])
    assert given[0, :4].tolist() == [0, 1, 2, 0]
    assert wanted[0, :4].tolist() == [1, 2, 0, attention.PADDING]


@pytest.mark.slow
def test_it_learns_to_write_names():
    done = run("name_attention", timeout=120)
    assert done.returncode == 0, done.stderr
    before, after = (float(x) for x in re.findall(r"(?:see|steps): (\d\.\d+)", done.stdout))
    assert after < 2.25 < 3.2 < before
    names = done.stdout.split("made up: ")[1].split(", ")
    assert sum(3 <= len(name.strip()) < attention.CONTEXT for name in names) >= 9
