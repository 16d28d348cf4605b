"""The notebooks in examples/: clean files, which run from top to bottom and say what is true."""

import ast
import dis
import json
import re
from collections import Counter
from types import CodeType

import notebooks
import numpy as np
import pytest
from doc_pages import DOCS, ROOT, headings
from doc_pages import examples as blocks_of
from doc_pages import read as read_page
from notebooks import EXAMPLES, NOTEBOOKS, code_of, execute, printed_by, source_of

import tinygrad_ce as tg
from tinygrad_ce import functional as F

ids = {"ids": lambda path: path.name}
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, **ids)

# ── The files ─────────────────────────────────────────────────────────────────────────────────────

METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def test_there_are_five():
    assert [path.name[0] for path in NOTEBOOKS] == [*"12345"]


@each_notebook
def test_a_file_is_normalized_and_has_no_outputs(path):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert text == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert notebook["metadata"] == METADATA
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert cell["source"]
        assert cell["source"][-1].rstrip() == cell["source"][-1]
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)


@each_notebook
def test_ids_of_cells_are_words_and_none_comes_twice(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names = [cell["id"] for cell in cells]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names)


@each_notebook
def test_links_lead_somewhere(path):
    text = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_bytes())["cells"])
    for target in re.findall(r"\]\(((?!http)[^)]+)\)", text):
        file, _, section = target.partition("#")
        assert not file or (EXAMPLES / file).exists(), target
        if section:
            page = read_page(EXAMPLES / file) if file else text
            assert section.lower() in headings(page), target


def test_the_documentation_lists_them_all():
    page = read_page(DOCS / "notebooks.md")
    assert re.findall(r"\(\.\./examples/(\w+\.ipynb)\)", page) == [path.name for path in NOTEBOOKS]
    assert "examples/" in read_page(ROOT / "README.md")


@each_notebook
def test_a_variable_that_two_cells_assign_is_used_by_no_other(path):
    """Since in marimo, where cells run in the order of their variables, that is an error."""
    cells = [global_names(code) for code in code_of(json.loads(path.read_bytes())).values()]
    counts = Counter(name for assigned, _ in cells for name in assigned)
    several = {name for name, n in counts.items() if n > 1}
    assert [found for assigned, used in cells if (found := several & used - assigned)] == []


def global_names(code):
    """The names that a cell assigns, and those that it and its functions read."""
    module = compile(code, "cell", "exec")
    assigned = {i.argval for i in dis.get_instructions(module) if i.opname == "STORE_NAME"}
    used, todo = set(), [module]
    while todo:
        part = todo.pop()
        used |= {
            i.argval for i in dis.get_instructions(part) if i.opname in {"LOAD_NAME", "LOAD_GLOBAL"}
        }
        todo += (constant for constant in part.co_consts if isinstance(constant, CodeType))
    return assigned, used


# ── They run ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@each_notebook
def test_it_runs_from_top_to_bottom_and_is_rendered(path):
    import matplotlib.font_manager  # noqa: F401  # it says on stderr when it makes its cache

    executed = execute(json.loads(path.read_bytes()))
    printed = printed_by(executed)
    for cell in executed.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text
    expected = EXPECTED[path.name[0]]
    for id, words in expected.items():
        assert re.search(words, printed[id], re.DOTALL), (id, printed[id])
    if path.name.startswith("2"):  # one is enough for that
        assert_pictures(executed)


def assert_pictures(executed):
    pytest.importorskip("nbconvert")
    from nbconvert import HTMLExporter

    page, _ = HTMLExporter().from_notebook_node(executed)
    assert page.count('src="data:image/svg+xml') == 2
    assert page.count("<iframe") == 1
    assert page.count('class="comparisons"') == 2
    assert page.count('src="data:image/png') == 3  # by matplotlib


NUMBER = r"[\d.]+"
EXPECTED = {
    "1": {
        "nudge-by-hand": "-0.34099.*0.24243.*0.09856",
        "nobody-put-in-code": r"(\[-0.34099886.*\])\n.*\1",
        "learn": "loss 1.0986   accuracy 33.3%.*step 300   loss 0.0[67].*accuracy 9[6-9]",
        "real-engine": "∂L/∂z .*yes    yes",
    },
    "2": {
        "three-flowers": r"Setosa .*0.5677  0.5662 .*0.57 .*0.5621 .*p = 0.57, loss 0.56.*"
        r"Virginica .*0.5761  0.5514 .*0.58 .*0.5447 .*p = 0.58, loss 0.54.*"
        r"Versicolor .*0.5182  0.6573 .*0.52 .*0.6539 .*p = 0.52, loss 0.65",
        "check-gradient": r"p − y  \(3,\)   no     yes",
        "collapse-code": "cross-entropy.* -1\n.*-3.09e-09",
        "symmetry-code": "0.3219 0.1785 0.5004\n.*0.1785 0.3219 0.5004",
        "exchanged": "0.6931.*0.9163",
        "clamp-code": r"derivative -1e\+14\n.*derivative 0\n.*: 1.0",
    },
    "3": {"exercise-1a": "not filled in yet: dlogprobs, dprobs"},
    "4": {
        "refuse": "line 5, column 'bill_length_mm': the cell is missing",
        "table": "<Table of 344 rows, 14 features, 3 classes>",
        "classes": "always saying Adelie is right in 44.2%",
        "evaluate": "test accuracy 9[5-9].*Adelie .*Gentoo",
        "save-code": "'Gentoo', 'Chinstrap'",
        "wrong-row-code": "'Atlantis' is none of the categories",
    },
    "5": {
        "compile": "backend numpy, 1 recording",
        "same-bits": "equal, bit for bit",
        "c-same-code": "equal, bit for bit",
        "race": rf"Python +{NUMBER} µs +1.0 ×.*NumPy +{NUMBER} µs.*C +{NUMBER} µs",
        "refused": "was read while the step is recorded",
        "learning-rate": r"(lr = 0.0: loss [\d.]+)\n\1\n",
    },
}

# ── 1: the engine ─────────────────────────────────────────────────────────────────────────────────

ENGINE = notebooks.read("1")
ENGINE_CELLS = [id for id in code_of(ENGINE) if id.startswith("engine-")]
SHARED = [
    *("Tensor", "Primitive", "record", "unbroadcast", "backpropagate"),
    *("add", "multiply", "exp", "log", "total", "getitem", "divide", "broadcast_to"),
    *(f"Tensor.__{name}__" for name in ("add", "radd", "mul", "rmul", "neg", "sub", "getitem")),
]


def definitions(code):
    """The last definition of each name, without its comments; an operator by itself."""
    found = {}
    todo = [("", node) for node in ast.parse(code).body]
    for inside, node in todo:
        if isinstance(node, ast.ClassDef):
            operators = [x for x in node.body if isinstance(getattr(x, "value", 0), ast.Lambda)]
            todo += ((f"{node.name}.", operator) for operator in operators)
            node.body = [x for x in node.body if x not in operators]
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = ast.unparse(node)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                found[inside + ast.unparse(target)] = ast.unparse(node.value)
    return found


@pytest.mark.parametrize("name", SHARED)
def test_the_engine_is_that_of_the_documentation(name):
    page = "\n".join(code for code, _ in blocks_of(read_page(DOCS / "engine.md")))
    ours = definitions("\n".join(source_of(ENGINE, id) for id in ENGINE_CELLS))
    assert ours[name] == definitions(page)[name]


def test_the_engine_has_at_most_120_lines():
    lines = [
        line for id in ENGINE_CELLS for line in source_of(ENGINE, id).splitlines() if line.strip()
    ]
    assert 90 <= len(lines) <= 120


# ── 2: cross-entropy ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def flowers():
    """The variables of the three flowers."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        import matplotlib

        matplotlib.use("Agg")
        return notebooks.run(notebooks.read("2"), ["imports", "three-flowers"], monkeypatch)


@pytest.mark.parametrize("row", range(3))
def test_three_flowers_by_functional_cross_entropy(flowers, row):
    label, p = flowers["labels"][row], flowers["probabilities"][row]
    loss = F.cross_entropy(flowers["scores"](flowers["flowers"][[row]]).detach(), [label])
    assert loss.item() == pytest.approx(-np.log(p[label]), rel=1e-15)
    assert F.calculate_cross_entropy(np.eye(3)[label], p).item() == -np.log(p[label])


@pytest.mark.parametrize("row", range(3))
def test_what_the_article_prints_is_the_loss_of_its_rounded_probabilities(flowers, row):
    label, p = flowers["labels"][row], flowers["probabilities"][row]
    printed_p, printed_loss = flowers["printed"][flowers["species"][label]]
    assert (printed_p, printed_loss) == (round(p[label], 2), round(-np.log(printed_p), 2))
    assert round(-np.log(p[label]), 2) != printed_loss


@pytest.mark.parametrize("row", range(3))
def test_the_articles_three_derivatives_of_each_flower(flowers, row):
    t = flowers["labels"][row]
    z = tg.Tensor(flowers["scores"](flowers["flowers"][row]).data, requires_grad=True)
    p = flowers["softmax"](z)
    dp, dz = tg.gradients(-p[t].log(), [p, z])
    (dp_t,) = tg.gradients(flowers["softmax"](z)[t], [z])
    p, p_t = p.data, p.data[t]
    for i in range(3):
        assert dp[i] == (pytest.approx(-1 / p_t, rel=1e-15) if i == t else 0)
        assert dp_t[i] == pytest.approx(p_t * (1 - p_t) if i == t else -p_t * p[i], rel=1e-14)
        assert dz[i] == pytest.approx(p_t - 1 if i == t else p[i], rel=1e-14)


# ── 3: Backprop Ninja ─────────────────────────────────────────────────────────────────────────────

NINJA = notebooks.read("3")
EXERCISES = [id for id in code_of(NINJA) if id.startswith("exercise-")]
SOLUTIONS = [id for id in code_of(NINJA) if id.startswith("solution-")]
PREPARATION = ["names", "examples", "forward-code", "check-code", "train-code"]
# In the lecture's order.
LECTURE = [
    *("logprobs", "probs", "counts_sum_inv", "counts_sum", "counts", "norm_logits"),
    *("logit_maxes", "logits", "h", "W2", "b2", "hpreact", "bngain", "bnbias", "bnraw"),
    *("bnvar_inv", "bnvar", "bndiff2", "bndiff", "bnmeani", "hprebn", "embcat", "W1", "b1"),
    *("emb", "C"),
]


@pytest.fixture
def ninja(monkeypatch):
    return notebooks.run(NINJA, PREPARATION, monkeypatch)


def new_batch(ninja, dtype, seed):
    """Put another batch, and parameters of this dtype, in place of those of the notebook."""
    ix = np.random.default_rng(seed).integers(0, len(ninja["Xtr"]), 32)
    ninja["Xb"], ninja["Yb"] = ninja["Xtr"][ix], ninja["Ytr"][ix]
    parameters = {name: x.astype(dtype) for name, x in ninja["make_parameters"](64).items()}
    ninja["v"] = ninja["forward"](parameters, ninja["Xb"], ninja["Yb"])
    on_tensors = ninja["forward"](ninja["as_tensors"](parameters), ninja["Xb"], ninja["Yb"])
    values = [getattr(on_tensors, name) for name in LECTURE]
    found = tg.gradients(on_tensors.loss, values)
    ninja["by_autograd"] = dict(zip(LECTURE, found, strict=True))


def check_all(ninja, ids):
    """Run cells, and return the rows of all of their comparisons."""
    rows, check = [], ninja["check"]
    ninja["check"] = lambda **by_hand: rows.extend(check(**by_hand))
    for id in ids:
        exec(source_of(NINJA, id), ninja)
    return rows


def test_every_exercise_has_a_solution_that_differs_in_what_is_filled_in():
    assert [id.replace("solution", "exercise") for id in SOLUTIONS] == EXERCISES
    for exercise, solution in zip(EXERCISES, SOLUTIONS, strict=True):
        given = [line for line in source_of(NINJA, exercise).splitlines() if "..." not in line]
        solved = source_of(NINJA, solution).splitlines()
        assert [line for line in solved if line in given] == given or exercise == "exercise-4"
        assert "..." not in source_of(NINJA, solution)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_26_gradients_by_hand(ninja, dtype, seed):
    new_batch(ninja, dtype, seed)
    rows = check_all(ninja, [id for id in SOLUTIONS if id.startswith("solution-1")])
    assert ninja["INTERMEDIATES"] == [row.name for row in rows] == LECTURE
    assert all(row.close and not row.note for row in rows)


@pytest.mark.parametrize("seed", range(3))
def test_cross_entropy_and_batch_normalization_in_one_expression(ninja, seed):
    new_batch(ninja, np.float64, seed)
    rows = check_all(ninja, ["solution-2", "solution-3"])
    assert [row.name for row in rows] == ["logits", "hprebn"]
    assert all(row.close and row.max_abs < 1e-15 for row in rows)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_an_exercise_that_is_not_filled_in_says_so(ninja, exercise, capsys):
    exec(source_of(NINJA, exercise), ninja)
    printed = capsys.readouterr().out
    assert printed.startswith("not filled in yet: ")
    names = re.findall(r"^(\w+) = \.\.\.$", source_of(NINJA, exercise), re.MULTILINE)
    assert all(name in printed for name in names or ["gradients_by_hand"])


WRONG = [
    ("1a", "dprobs = dlogprobs / v.probs", "dprobs = dlogprobs", "probs"),
    ("1c", "dlogits.sum(0)", "dlogits.sum(0, keepdims=True)", "b2"),  # of the wrong shape
    ("1d", "(1 - v.h**2) * dh", "(1 - v.h**2) * dh * (1 + 1e-9)", "hpreact"),
    ("1f", "np.add.at(dC, Xb, demb)", "dC[Xb] = demb", "C"),
    ("2", " / n", "", "logits"),
]


@pytest.mark.parametrize("exercise, right, wrong, name", WRONG)
def test_a_wrong_gradient_is_seen(ninja, exercise, right, wrong, name):
    source = source_of(NINJA, f"solution-{exercise}")
    assert source.count(right) == 1
    *_, last = ast.parse(source).body
    exec(source.replace(right, wrong), ninja)
    found = {keyword.arg: ninja[keyword.value.id] for keyword in last.value.keywords}
    rows = ninja["check"](**found)
    assert name in [row.name for row in rows if not row.close]
    assert "<mark>no</mark>" in rows._repr_html_()


def test_losses_by_hand_and_by_autograd_stay_equal_over_200_steps(ninja, capsys):
    exec(source_of(NINJA, "solution-4").replace("train_and_spell(", "id("), ninja)
    trained, losses = ninja["train"](ninja["gradients_by_hand"], 200)
    same, expected = ninja["train"](ninja["gradients_by_autograd"], 200)
    assert sum(weight.size for weight in trained.values()) == 12_297
    assert np.abs(losses - expected).max() <= 1e-14
    assert losses[-20:].mean() < losses[:20].mean() - 0.5
    for name in trained:
        assert np.allclose(trained[name], same[name], rtol=0, atol=1e-13)


def test_the_dataset_predicts_each_letter_and_the_end(ninja):
    X, Y = ninja["build_dataset"](["ab"])
    assert X.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    assert Y.tolist() == [1, 2, 0]


def test_the_list_of_names():
    words = (EXAMPLES / "names.txt").read_text(encoding="ascii").split("\n")
    assert words.pop() == ""
    assert words == sorted(set(words))
    assert set("".join(words)) == set("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.slow
def test_backprop_ninja_runs_with_the_solutions_filled_in():
    filled = json.loads(json.dumps(NINJA))
    for cell in filled["cells"]:
        if cell["id"] in EXERCISES:
            cell["source"] = source_of(NINJA, cell["id"].replace("exercise", "solution"))
    filled["cells"] = [cell for cell in filled["cells"] if cell["id"] not in SOLUTIONS]
    executed = execute(filled)
    printed = printed_by(executed)
    for id in EXERCISES[:-1]:
        assert "not filled in" not in printed[id]
        assert re.search(r"\) +(yes|no) +yes ", printed[id])
        assert not re.search(r"\) +(yes|no) +no ", printed[id])
    (apart,) = re.findall(r"never further apart than (\S+)", printed["exercise-4"])
    assert float(apart) < 1e-13
    training, validation = map(
        float, re.findall(r"(?:training|validation) loss ([\d.]+)", printed["exercise-4"])
    )
    assert training < validation < np.log(27) - 0.5
