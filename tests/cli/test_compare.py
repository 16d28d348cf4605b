import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygrad_ce import closed_form
from tinygrad_ce.cli import main
from tinygrad_ce.engine import primitives
from tinygrad_ce.verify import decimal_reference as reference


def test_compare_shows_every_derivative_in_four_ways(capsys):
    out = compared("--logits", "2,1,0.1", "--target", "0", capsys=capsys)
    p, y = np.array([0.6590011389, 0.2424329707, 0.0985658904]), np.eye(3)[0]
    expected = {
        "∂L/∂p[{i}]": -y / p,
        "∂p[0]/∂z[{i}]": p[0] * (y - p),
        "∂L/∂z[{i}]": p - y,
        "∂²L/∂z[0]∂z[{i}]": p[0] * (y - p),
    }
    for name, values in expected.items():
        for i, value in enumerate(values):
            (line,) = (s for s in out.splitlines() if s.startswith(f"  {name.format(i=i)} "))
            assert [float(n) for n in line.split()[1:]] == pytest.approx([value] * 4, abs=1e-8)


def test_compare_shows_the_equations_and_the_rows_of_the_chain(capsys):
    out = compared("--logits", "2,1,0.1", "--target", "0", capsys=capsys)
    for equation in (
        "∂L/∂p_i = −1/p_t for i = t, 0 for i ≠ t",
        "∂p_i/∂z_j = p_i (1 − p_i) for i = j, −p_i p_j for i ≠ j",
        "∂L/∂z_i = p_i − 1 for i = t, p_i for i ≠ t",
        "∂²L/∂z_i∂z_j = p_i (1 − p_i) for i = j, −p_i p_j for i ≠ j",
    ):
        assert equation in out.splitlines()
    names = {re.split(r"  +", line)[0] for line in out.splitlines()}
    assert names >= {"∂L/∂p", "∂p/∂z", "∂L/∂z", "∂²L/∂z²", "∂L/∂log s", "∂L/∂z of F.cross_entropy"}


def test_compare_shows_the_digits_that_floating_point_loses(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    out = compared("--logits", "0,40", "--target", "1", capsys=capsys)
    (line,) = (s for s in out.splitlines() if s.startswith("  ∂L/∂z[1]"))
    assert line.split()[1:] == ["0", "0", "0", "-4.2483542552915890e-18"]


@pytest.mark.parametrize("columns", ["20", "80", "100", "120", "300"])
@pytest.mark.parametrize("logits", ["2,1,0.1", "0,-700,700", "-1e300,-inf,1e300", "0,0,0,0"])
def test_compare_fits_the_terminal_and_aligns_its_columns(capsys, monkeypatch, columns, logits):
    monkeypatch.setenv("COLUMNS", columns)
    out = compared("--logits", logits, "--target", "1", capsys=capsys)
    assert max(map(len, out.splitlines())) <= min(max(int(columns), 80), 120)
    elements = [line for line in out.splitlines() if line.startswith("  ∂")]
    assert len({len(line) for line in elements}) == 1
    assert {len(line.split()) for line in elements} == {5}
    assert all(line == line.rstrip() for line in out.splitlines())


def test_compare_takes_negative_and_infinite_logits(capsys):
    out = compared("--logits", "-1,-inf,3e2", "--target", "1", capsys=capsys)
    assert "loss L = inf" in out
    (line,) = (s for s in out.splitlines() if s.startswith("  ∂L/∂z[1]"))
    assert [float(n) if n != "–" else n for n in line.split()[1:]] == [-1, -1, "–", -1]


@pytest.mark.parametrize("target", ["0", "1"])
def test_compare_takes_logits_as_far_apart_as_float64_goes(capsys, target):
    compared("--logits", "1e308,-1e308", "--target", target, capsys=capsys)


def test_compare_of_a_single_logit(capsys):
    assert "p = (1)" in compared("--logits", "3", "--target", "0", capsys=capsys)


def test_compare_of_many_logits_prints_no_values(capsys):
    logits = ",".join(map(str, range(100)))
    out = compared("--logits", logits, "--target", "99", capsys=capsys)
    assert "1 row of 100 logits" in out
    assert "∂L/∂z[0]" not in out


def test_compare_of_random_logits_depends_on_the_seed_alone(capsys):
    first, again, other = (compared("--seed", seed, capsys=capsys) for seed in "445")
    assert first == again != other
    assert "1,000 sets" in first


def test_compare_of_random_logits_has_as_many_as_asked_for_and_on_the_scale(capsys):
    one, large = (
        read_json("--classes", "7", "--scale", scale, capsys=capsys)["logits"]
        for scale in ("1", "1000")
    )
    assert np.shape(one) == (1, 7)
    assert np.array(large) == pytest.approx(1000 * np.array(one))


def compared(*arguments, capsys, status=0):
    assert main(["compare", *arguments]) == status
    out, err = capsys.readouterr()
    assert err == ""
    return out


# From a CSV file.


def test_compare_reads_rows_of_logits_from_a_csv_file(here, capsys):
    Path("z.csv").write_text("2,1,0.1,0\n\n-inf, 1e1 ,-2,1\n", encoding="utf-8")
    out = compared("--csv", "z.csv", capsys=capsys)
    assert "row 1: label t = 0, loss L = 0.41703" in out
    assert "row 2: label t = 1" in out
    assert "z = (-inf, 10, -2)" in out
    assert "(2, 3, 3)" in out
    assert "1,000 sets" not in out


def test_compare_skips_a_header_and_a_byte_order_mark(here, capsys):
    Path("z.csv").write_text("zero,one,label\r\n1,2,0\r\n", encoding="utf-8-sig")
    assert read_json("--csv", "z.csv", capsys=capsys)["logits"] == [[1, 2]]


def test_compare_of_a_csv_row_is_that_of_the_same_logits_typed(here, capsys):
    Path("z.csv").write_text("2,1,0.1,0", encoding="utf-8")
    typed = compared("--logits", "2,1,0.1", "--target", "0", capsys=capsys)
    assert compared("--csv", "z.csv", capsys=capsys) == typed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("a,b,label\n", "no rows"),
        ("1,2,0\n1,2,3,0\n", "line 2: expected 2 logits and a label as in the rows before"),
        ("1,2,0\n\n1,x,0\n", "line 3: expected a number or -inf as a logit, got 'x'"),
        ("1,nan,0\n", "line 1: expected a number or -inf"),
        ("1,inf,0\n", "line 1: expected a number or -inf"),
        ("-inf,-inf,0\n", "line 1: expected a logit that is finite, got '-inf,-inf'"),
        ("1,2,2\n", "line 1: target 2 is out of range for 2 logits"),
        ("1,2,-1\n", "line 1: target -1 is out of range"),
        ("1,2,0.0\n", "line 1: expected a label as whole number in the last column, got '0.0'"),
        ("1,2,0\n1\n", "line 2: expected logits and a label, got '1'"),
        ("1,2,\n", "line 1: expected a label"),
        ("a,b,c\nd,e,f\n", "line 2"),
    ],
)
def test_compare_names_file_and_line_of_what_is_wrong_in_a_csv_file(here, capsys, text, said):
    Path("z.csv").write_text(text, encoding="utf-8")
    assert main(["compare", "--csv", "z.csv"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "z.csv" in err
    assert said in err


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"1,2,0\n\xff\xfe,1,0\n", "UTF-8"), (b'"' + b"1" * 200_000 + b'",0\n', "CSV")],
)
def test_compare_refuses_a_file_that_is_no_csv(here, capsys, content, said):
    Path("z.csv").write_bytes(content)
    assert main(["compare", "--csv", "z.csv"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_compare_refuses_more_than_can_be_compared_in_full(here, capsys):
    Path("z.csv").write_text(("0," * 100 + "0\n") * 101, encoding="utf-8")
    assert main(["compare", "--csv", "z.csv"]) == 2
    assert "101 rows of 100 logits have 1,010,000 second derivatives" in capsys.readouterr().err


# For machines.


def read_json(*arguments, capsys, status=0):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    out = compared("--json", *arguments, capsys=capsys, status=status)
    assert out.isascii()
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=refuse)


COMPARISON = {
    "name": str,
    "shape": list,
    "exact": bool,
    "close": bool,
    "max_abs": (float, str),
    "max_rel": (float, str),
    "max_ulp": (float, str),
    "note": str,
    "worst": (dict, type(None)),
}


def check_comparison(found, more=()):
    assert found.keys() == COMPARISON.keys() | set(more)
    assert all(isinstance(found[key], types) for key, types in COMPARISON.items())
    assert found["worst"] is None or found["worst"].keys() == {"index", "actual", "expected"}
    for key in ("max_abs", "max_rel", "max_ulp"):
        float(found[key])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--logits", "2,1,0.1", "--target", "0"],
        ["--logits", "1,-inf,300", "--target", "1"],
        ["--logits", "5", "--target", "0"],
        ["--seed", "1"],
    ],
)
def test_json_has_the_documented_keys_and_types(capsys, arguments):
    found = read_json(*arguments, capsys=capsys)
    n, c = np.shape(found["logits"])
    assert np.shape(found["target"]) == np.shape(found["loss"]) == (n,)
    assert np.shape(found["probabilities"]) == (n, c)
    assert found["agree"] is True
    shapes = [(n, c), (n, c, c), (n, c), (n, c, c)]
    ways = ["autograd", "closed_form", "central_differences"]
    for derivative, shape in zip(found["derivatives"], shapes, strict=True):
        for way in [*ways, "reference"]:
            assert np.array(derivative[way], float).shape == shape
        assert all(isinstance(x, str) for x in np.ravel(derivative["reference"]))
        assert derivative["agree"] is True
        check_comparison(derivative["comparison"])
        assert list(derivative["errors"]) == ways
        for error in derivative["errors"].values():
            check_comparison(error)
        assert isinstance(derivative["formula"], str)
    for link in found["chain"]:
        check_comparison(link, more=["formula"])
    main(["compare", "--help"])
    text = capsys.readouterr().out
    for key in [*found, *found["derivatives"][0], *found["chain"][0]]:
        assert f'"{key}"' in text


def test_json_gives_numbers_to_the_last_bit(capsys):
    logits = [2.0, 1.0, 0.1]
    found = read_json("--logits", "2,1,0.1", "--target", "0", capsys=capsys)
    assert found["logits"] == [logits]
    assert found["probabilities"] == [closed_form.softmax(logits).tolist()]
    gradient = found["derivatives"][2]
    assert gradient["closed_form"] == [closed_form.cross_entropy_grad(logits, 0).tolist()]
    assert gradient["reference"] == [[str(x) for x in reference.cross_entropy_grad(logits, 0)]]


def test_json_has_strings_for_what_is_no_number(capsys):
    found = read_json("--logits", "0,-inf", "--target", "1", capsys=capsys)
    assert found["logits"] == [[0, "-inf"]]
    assert found["loss"] == ["inf"]
    of_p = found["derivatives"][0]
    assert float(of_p["reference"][0][1]) == float(of_p["autograd"][0][1]) == -np.inf
    assert of_p["central_differences"] == [["nan", "nan"]]


# What disagrees.


@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize("primitive", ["exp", "log", "subtract"])
def test_compare_has_status_1_if_a_rule_is_wrong(capsys, monkeypatch, primitive, more):
    entry = getattr(primitives, primitive)
    first, *others = entry.rules
    wrong = (lambda *a: first(*a) * (1 + 1e-9), *others)
    monkeypatch.setattr(entry, "rules", wrong)
    out = compared("--logits", "2,1,0.1", "--target", "0", *more, capsys=capsys, status=1)
    if more:
        assert json.loads(out)["agree"] is False
    else:
        assert "no     no" in out
        assert "worst at [0, " in out


def test_compare_has_status_1_if_both_autograd_and_closed_form_are_wrong(capsys, monkeypatch):
    # The same mistake twice is seen by the other two.
    entry, right = primitives.exp, closed_form.cross_entropy_grad
    (rule,) = entry.rules
    monkeypatch.setattr(entry, "rules", (lambda *a: 2 * rule(*a),))
    monkeypatch.setattr(
        closed_form,
        "cross_entropy_grad",
        lambda z, t, *a, **k: 2 * right(z, t, *a, **k) + np.eye(np.shape(z)[-1])[t],
    )
    found = read_json("--logits", "2,1,0.1", "--target", "0", capsys=capsys, status=1)
    gradient = found["derivatives"][2]
    assert gradient["comparison"]["close"]
    assert not gradient["agree"]
    assert gradient["errors"]["central_differences"]["close"]


# The proof.


@pytest.mark.parametrize("target", ["0", "2"])
def test_prove_prints_what_backprop_did_and_to_what_it_collapses(capsys, target):
    out = compared("--prove", "--logits", "2,1,0.1", "--target", target, capsys=capsys)
    assert out.count("Proved") == 2
    assert out.splitlines()[0].startswith("∂L/∂z = p − y")
    assert "diag(p) − p pᵀ" in out
    assert f"= p{'₁₂₃'[int(target)]} − 1" in out


def test_latex_prints_the_same_for_a_document(capsys):
    out = compared("--latex", "--logits", "2,1", "--target", "1", capsys=capsys)
    assert out.count("\\[\n\\begin{aligned}") == out.count("\\end{aligned}\n\\]") == 2
    assert out.count("{") == out.count("}")


def test_prove_takes_each_label_of_a_csv_file_once(here, capsys):
    Path("z.csv").write_text("1,2,0\n3,4,1\n5,6,0\n", encoding="utf-8")
    assert compared("--prove", "--csv", "z.csv", capsys=capsys).count("Proved") == 4


def test_prove_of_random_logits_has_as_many_as_asked_for(capsys):
    out = compared("--prove", "--classes", "2", capsys=capsys)
    assert "z₂" in out
    assert "z₃" not in out


def test_prove_has_status_1_if_a_rule_is_wrong(capsys, monkeypatch):
    monkeypatch.setattr(primitives.exp, "rules", (lambda g, y, x: 2 * g * y,))
    out = compared("--prove", "--logits", "2,1", "--target", "0", capsys=capsys, status=1)
    assert "Proved" not in out


def test_prove_without_sympy_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    assert main(["compare", "--prove"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert 'pip install "tinygrad-ce[symbolic]"' in err
