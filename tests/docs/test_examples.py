"""The examples, and every number of the article that they take apart."""

import html
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


ninja, flowers, pictures, attention = map(
    load, ("backprop_ninja", "three_flowers", "pictures", "name_attention")
)


def run(script, *arguments, **options):
    """An example in a process of its own, where a warning is an error."""
    command = [sys.executable, "-W", "error", EXAMPLES / f"{script}.py", *arguments]
    return subprocess.run(
        list(map(str, command)), check=False, capture_output=True, encoding="utf-8", **options
    )


# ── Three flowers ─────────────────────────────────────────────────────────────────────────────────

TABLE = [
    # species, p, loss of the exact p, loss of the rounded p, p and loss as the article prints them
    ("Setosa", 0.5677, 0.5662, 0.5621, 0.57, 0.56),
    ("Virginica", 0.5761, 0.5514, 0.5447, 0.58, 0.54),
    ("Versicolor", 0.5182, 0.6573, 0.6539, 0.52, 0.65),
]


def flower(species):
    (found,) = (f for f in flowers.FLOWERS if f.species == species)
    return found


@pytest.mark.parametrize("species, p, loss, rounded_loss, printed_p, printed_loss", TABLE)
def test_three_flowers(species, p, loss, rounded_loss, printed_p, printed_loss):
    row = flower(species)
    through = flowers.forward(row)
    exact = through.p[0, row.label].item()
    assert round(exact, 4) == p
    assert round(through.loss.item(), 4) == loss
    assert round(-np.log(round(exact, 2)), 4) == rounded_loss
    # What the article prints is the loss of the rounded p, cut or rounded to two places.
    assert row[3:] == (printed_p, printed_loss) == (round(exact, 2), round(rounded_loss, 2))
    assert round(loss, 2) != printed_loss


@pytest.mark.parametrize("row", flowers.FLOWERS, ids=lambda row: row.species)
def test_three_flowers_by_functional_cross_entropy(row):
    through = flowers.forward(row)
    loss = F.cross_entropy(through.z.detach(), [row.label])
    assert through.loss.item() == pytest.approx(loss.item(), rel=1e-15)


@pytest.mark.parametrize("row", flowers.FLOWERS, ids=lambda row: row.species)
def test_three_flowers_by_calculate_cross_entropy(row):
    through = flowers.forward(row)
    loss = F.calculate_cross_entropy(through.y, through.p)
    assert loss.item() == through.loss.item()
    rounded = np.where(through.y.data == 1, row.printed_p, (1 - row.printed_p) / 2)
    assert round(F.calculate_cross_entropy(through.y, rounded).item(), 2) == row.printed_loss


def test_the_worked_example_for_versicolor_ends_in_the_loss_of_setosa():
    rounded = {row.species: round(-np.log(row.printed_p), 2) for row in flowers.FLOWERS}
    assert rounded["Versicolor"] == 0.65
    assert rounded["Setosa"] == 0.56


@pytest.mark.parametrize("row", flowers.FLOWERS, ids=lambda row: row.species)
def test_three_derivatives_of_each_flower(row):
    comparisons = flowers.derivatives(row)
    assert [c.name for c in comparisons] == ["∂L/∂p", "∂p[t]/∂z", "∂L/∂z"]
    assert all(c.close and c.shape == (1, 3) and c.max_abs < 3e-16 for c in comparisons)


def test_the_derivatives_case_by_case():
    z, p, _, loss = flowers.forward(flower("Versicolor"))
    t, probabilities = 1, p.data[0]
    dp, dz = (g[0] for g in tg.gradients(loss, [p, z]))
    (dp_t,) = (g[0] for g in tg.gradients(p[0, t], [z]))
    for i in range(3):
        if i == t:
            assert dp[i] == pytest.approx(-1 / probabilities[t], rel=1e-15)
            assert dp_t[i] == pytest.approx(probabilities[t] * (1 - probabilities[t]), rel=1e-15)
            assert dz[i] == pytest.approx(probabilities[t] - 1, rel=1e-15)
        else:
            assert dp[i] == 0
            assert dp_t[i] == pytest.approx(-probabilities[t] * probabilities[i], rel=1e-15)
            assert dz[i] == pytest.approx(probabilities[i], rel=1e-14)


@pytest.mark.slow
def test_three_flowers_prints_its_tables_and_draws(tmp_path):
    done = run("three_flowers", "--out", tmp_path / "new" / "folder")
    assert (done.returncode, done.stderr) == (0, "")
    for species, p, loss, rounded_loss, printed_p, printed_loss in TABLE:
        (row,) = (line for line in done.stdout.splitlines() if line.endswith(f"  {species}"))
        figures = row.split()[2:-1]
        assert figures == [
            *(f"{p:.4f}", f"{loss:.4f}", f"{printed_p:.2f}", f"{rounded_loss:.4f}"),
            *(f"{printed_p:.2f}", f"{printed_loss:.2f}"),
        ]
    (drawn,) = (tmp_path / "new" / "folder").iterdir()
    assert drawn.name in ("three_flowers.svg", "three_flowers.dot")
    assert str(drawn) in done.stdout
    text = html.unescape(drawn.read_text(encoding="utf-8"))
    for word in ("petal, sepal", "W1", "b2", "softmax", "cross-entropy", "0.5182", "0.6573"):
        assert word in text


def test_three_flowers_without_a_renderer_leaves_the_graph_as_text(tmp_path, monkeypatch, capsys):
    def no_renderer(drawing):
        raise ImportError("no Graphviz")

    monkeypatch.setattr(tg.Drawing, "svg", no_renderer)
    assert flowers.main(["--out", str(tmp_path)]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["three_flowers.dot"]


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


# ── Backprop Ninja ────────────────────────────────────────────────────────────────────────────────

# In the lecture's order.
LECTURE = [
    *("logprobs", "probs", "counts_sum_inv", "counts_sum", "counts", "norm_logits"),
    *("logit_maxes", "logits", "h", "W2", "b2", "hpreact", "bngain", "bnbias", "bnraw"),
    *("bnvar_inv", "bnvar", "bndiff2", "bndiff", "bnmeani", "hprebn", "embcat", "W1", "b1"),
    *("emb", "C"),
]


@pytest.fixture(scope="module")
def examples():
    """The training set: contexts X, what follows them Y, and the vocabulary."""
    words = ninja.read_names(ninja.NAMES)
    itos = ninja.build_vocabulary(words)
    return *ninja.build_dataset(ninja.split(words, seed=0)[0], itos), itos


def exercise(examples, dtype, seed):
    X, Y, itos = examples
    parameters = ninja.make_parameters(len(itos), 64, seed)
    ix = np.random.default_rng(seed).integers(0, len(X), 32)
    return {name: array.astype(dtype) for name, array in parameters.items()}, X[ix], Y[ix]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_26_gradients_by_hand(examples, dtype, seed):
    parameters, Xb, Yb = exercise(examples, dtype, seed)
    rows = ninja.exercise_1(parameters, Xb, Yb)
    assert [row.name for row in rows] == LECTURE
    assert all(row.close and not row.note for row in rows)
    if dtype == np.float64:
        assert max(row.max_abs for row in rows) <= 1e-14


def test_the_26_gradients_have_the_shapes_of_their_values(examples):
    parameters, Xb, Yb = exercise(examples, np.float64, 0)
    v = ninja.forward(parameters, Xb, Yb)
    gradients = ninja.backward(v, Xb, Yb)
    assert {n: g.shape for n, g in gradients.items()} == {n: getattr(v, n).shape for n in LECTURE}


@pytest.mark.parametrize("wrong", ["bngain", "h", "counts", "C"])
def test_a_gradient_that_is_wrong_by_hand_is_found(examples, monkeypatch, wrong):
    parameters, Xb, Yb = exercise(examples, np.float64, 0)
    right = ninja.backward

    def slip(*arguments):
        gradients = right(*arguments)
        # Of the wrong shape, which a comparison that broadcasts would let pass; or slightly off.
        bad = gradients[wrong][0] if wrong == "bngain" else gradients[wrong] * (1 + 1e-9)
        return gradients | {wrong: bad}

    monkeypatch.setattr(ninja, "backward", slip)
    rows = ninja.exercise_1(parameters, Xb, Yb)
    assert [row.name for row in rows if not row.close] == [wrong]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype, limit", [(np.float64, 1e-15), (np.float32, 2e-8)])
def test_cross_entropy_and_batch_normalization_in_one_expression(examples, dtype, limit, seed):
    batch = exercise(examples, dtype, seed)
    for row in (ninja.exercise_2(*batch), ninja.exercise_3(*batch)):
        assert row.close
        assert row.max_abs <= limit


def test_the_network_of_exercise_4_has_12297_parameters():
    parameters = ninja.make_parameters(27, 200, seed=0)
    assert sum(array.size for array in parameters.values()) == 12_297


def test_losses_by_hand_and_by_autograd_stay_equal_over_200_steps(examples):
    X, Y, itos = examples
    twins = ninja.Twins(ninja.make_parameters(len(itos), 200, seed=0), X, Y, seed=0)
    losses = np.array([twins.step(ninja.learning_rate(step, 200)) for step in range(200)])
    assert np.abs(losses[:, 0] - losses[:, 1]).max() <= 1e-14
    assert losses[-20:].mean() < losses[:20].mean() - 0.5
    for name in ninja.PARAMETERS:
        assert np.allclose(twins.by_hand[name], twins.by_autograd[name], rtol=0, atol=1e-13)


def test_losses_by_the_steps_of_exercise_1_stay_equal_to_the_last_bit(examples, monkeypatch):
    def step_by_step(parameters, Xb, Yb):
        v = ninja.forward(parameters, Xb, Yb)
        return v.loss, ninja.backward(v, Xb, Yb)

    monkeypatch.setattr(ninja, "gradients_by_hand", step_by_step)
    X, Y, itos = examples
    twins = ninja.Twins(ninja.make_parameters(len(itos), 200, seed=0), X, Y, seed=0)
    losses = np.array([twins.step(0.1) for _ in range(100)])
    assert np.array_equal(losses[:, 0], losses[:, 1])


def test_learning_rate_falls_half_way():
    rates = [ninja.learning_rate(step, 200_000) for step in (0, 99_999, 100_000, 199_999)]
    assert rates == [0.1, 0.1, 0.01, 0.01]


def test_the_dataset_predicts_each_letter_and_the_end():
    X, Y = ninja.build_dataset(["ab"], [".", "a", "b"])
    assert X.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    assert Y.tolist() == [1, 2, 0]


def test_the_split_keeps_every_name_once():
    words = [str(i) for i in range(10)]
    parts = ninja.split(words, seed=3)
    assert [len(part) for part in parts] == [8, 1, 1]
    assert sorted(word for part in parts for word in part) == words
    assert parts == ninja.split(words, seed=3) != ninja.split(words, seed=4)


def test_the_list_of_names():
    words = ninja.NAMES.read_text(encoding="ascii").split("\n")
    assert words.pop() == ""
    assert words == sorted(set(words)) == ninja.read_names(ninja.NAMES)
    assert len(words) == 1891
    assert f"{len(words):,} given names" in ninja.__doc__
    assert set("".join(words)) == set("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.slow
def test_ninja_prints_all_exercises():
    done = run("backprop_ninja", "--steps", "20")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    names = [row[0] for row in rows if row[-4:-3] == ["yes"]]
    assert names == [*LECTURE, "logits", "hprebn"] * 2
    assert "20 steps on 1,512 names" in done.stdout
    assert "12,297 parameters" in done.stdout
    assert "validation loss" in done.stdout


def test_ninja_with_names_of_ones_own(tmp_path, capsys):
    path = tmp_path / "names"
    path.write_bytes("\ufeff".encode() + "José\r\nZoë\n\n  Bo  \n".encode() * 5)
    words = ninja.read_names(path)
    assert words[:3] == ["José", "Zoë", "Bo"]
    assert len(words) == 15
    assert ninja.main(["--names", str(path), "--steps", "3", "--seed", "1"]) == 0
    assert "3 steps on 12 names" in capsys.readouterr().out


@pytest.mark.slow
def test_ninja_without_training_and_without_tqdm(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    assert ninja.main(["--steps", "0"]) == 0
    assert "Exercise 4" not in capsys.readouterr().out
    assert ninja.main(["--steps", "2"]) == 0
    assert "Exercise 4" in capsys.readouterr().out


def test_ninja_reports_a_wrong_gradient_by_its_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(ninja, "cross_entropy_backward", lambda probs, Yb: probs / len(Yb))
    assert ninja.main(["--steps", "0"]) == 1


# ── Wrong use ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "few").write_text("ann\nbob\n")
    (tmp_path / "dot").write_text("ann\nb.b\n" * 10)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00" * 10)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "module, arguments, said",
    [
        (ninja, ["--names", "none"], "none"),
        (ninja, ["--names", "."], "."),
        (ninja, ["--names", "few"], "few has 2 names: at least 10 are needed"),
        (ninja, ["--names", "dot"], "'b.b' holds a dot"),
        (ninja, ["--names", "binary"], "binary is not a text in UTF-8"),
        (ninja, ["--steps", "-1"], "expected a whole number from 0 on, got '-1'"),
        (ninja, ["--steps", "many"], "expected a whole number from 0 on, got 'many'"),
        (ninja, ["--step", "5"], "--step"),
        (ninja, ["more"], "more"),
        (flowers, ["--out", "file"], "cannot write to file"),
        (flowers, ["--out", "file/below"], "cannot write to file/below"),
        (flowers, ["--wrong"], "--wrong"),
        (pictures, ["--out", "file"], "cannot write to file"),
        (pictures, ["--format", "gif"], "gif"),
    ],
)
def test_wrong_use_is_one_line_and_exit_status_2(here, capsys, module, arguments, said):
    with pytest.raises(SystemExit) as caught:
        module.main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert error.endswith("\n")


@pytest.mark.slow
def test_wrong_use_of_a_script_has_no_traceback(tmp_path):
    done = run("backprop_ninja", "--names", tmp_path / "none")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


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
