import importlib
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from importlib.resources import files
from pathlib import Path

import pytest

import tinygrad_ce as tg

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

PUBLIC_NAMES = {
    "tinygrad_ce": "Tensor no_grad scope where gradients grad value_and_grad vjp jacobian hessian "
    "hvp compare gradcheck draw functional closed_form nn optim data",
    "tinygrad_ce.functional": "softmax log_softmax logsumexp cross_entropy",
    "tinygrad_ce.symbolic": "expressions prove prove_equal recording",
    "tinygrad_ce.closed_form": "softmax cross_entropy cross_entropy_grad",
    "tinygrad_ce.nn": "Module Linear Sequential Tanh ReLU MLP",
    "tinygrad_ce.optim": "SGD Adam",
    "tinygrad_ce.distributed": "connect Shards ShardedGradients",
    "tinygrad_ce.data": "iris digits DATASETS feature_names train_test_split minibatches "
    "read_csv as_table Standardizer",
}


@pytest.fixture(scope="module")
def project():
    return tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]


def required(extra=None):
    """The distributions that an extra brings, or those that are always brought."""
    found = set()
    for requirement in metadata.requires("tinygrad-ce"):
        match = re.search(r"""extra == ['"](\w+)['"]""", requirement)
        if (match and match[1]) == extra:
            found.add(re.match(r"[\w.-]+", requirement)[0])
    return found


def modules_after(statement):
    """The top-level modules in a fresh interpreter, which site hooks may have added to."""
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_installed_version_is_the_one_in_pyproject(project):
    assert metadata.version("tinygrad-ce") == project["version"]


def test_version_in_the_package_agrees_where_there_is_one(project):
    assert getattr(tg, "__version__", project["version"]) == project["version"]


def test_runtime_requires_numpy_and_graphviz_alone():
    assert required() == {"numpy", "graphviz"}


EXTRAS = ("render", "plot", "progress", "symbolic", "checkpoint", "sklearn", "play")


def test_all_is_the_sum_of_the_other_extras_for_users():
    parts = [required(extra) for extra in EXTRAS]
    assert set.union(*parts) == {
        *("pygraphviz", "matplotlib", "tqdm", "sympy", "safetensors", "scikit-learn", "websockets")
    }
    assert required("all") == set.union(*parts)
    assert required("test") > required("all")


def test_docs_brings_what_builds_the_site():
    assert required("docs") >= {"sphinx", "furo", "myst-parser"}


def test_the_readme_says_which_versions_are_supported(project):
    text = (PYPROJECT.parent / "README.md").read_text(encoding="utf-8")
    python = re.match(r">=([\d.]+)", project["requires-python"])[1]
    numpy = re.search(r"numpy>=([\d.]+)", str(project["dependencies"]))[1]
    assert f"Python {python} or newer" in text
    assert f"NumPy {numpy} or newer" in text


def test_the_changelog_has_a_section_on_this_version(project):
    text = (PYPROJECT.parent / "docs/CHANGELOG.md").read_text(encoding="utf-8")
    version, development = re.match(r"([\d.]+\d)(\.dev\d+)?$", project["version"]).groups()
    heading = re.search(rf"^## {re.escape(version)}(.*)$", text, re.MULTILINE)
    assert heading
    assert not development or "unreleased" in heading[1]


def test_command_runs_the_main_function_of_cli():
    (command,) = metadata.entry_points(group="console_scripts", name="tinygrad-ce")
    assert command.value == "tinygrad_ce.cli:main"
    assert callable(command.load())


@pytest.mark.parametrize(
    "path",
    [
        *("py.typed", "datasets/iris.csv", "datasets/digits.csv.gz", "datasets/SOURCES.md"),
        *("play/assets/index.html", "play/assets/play.js", "play/assets/play.css"),
    ],
)
def test_package_carries_its_files(path):
    assert (files("tinygrad_ce") / path).is_file()


@pytest.mark.slow
def test_import_loads_no_third_party_module_but_numpy():
    added = modules_after("import tinygrad_ce") - modules_after("import numpy")
    assert added - sys.stdlib_module_names == {"tinygrad_ce"}


@pytest.mark.slow
def test_import_loads_no_reader():
    code = (
        "import sys, tinygrad_ce; print(*(n for n in sys.modules if n.startswith('tinygrad_ce.')))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = {name.split(".")[1] for name in run.stdout.split()}
    assert packages == {"engine", "arguments", "other_names"}


@pytest.mark.slow
def test_import_prints_nothing_and_warns_of_nothing():
    command = [sys.executable, "-W", "error", "-c", "import tinygrad_ce"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


@pytest.mark.parametrize(
    ("module", "name"),
    [(module, name) for module, names in PUBLIC_NAMES.items() for name in names.split()],
)
def test_public_name_exists_and_is_documented(module, name):
    assert getattr(importlib.import_module(module), name).__doc__


@pytest.mark.parametrize("name", PUBLIC_NAMES["tinygrad_ce"].split())
def test_public_name_of_the_package_is_exported(name):
    assert name in tg.__all__


def test_every_exported_name_exists():
    assert [name for name in tg.__all__ if not hasattr(tg, name)] == []


@pytest.mark.parametrize("module", ["functional", "nn", "optim", "data", "train", "closed_form"])
def test_tab_completion_offers_public_names_alone(module):
    module = importlib.import_module(f"tinygrad_ce.{module}")
    assert dir(module) == sorted(module.__all__)
    assert all(getattr(module, name).__doc__ for name in module.__all__)


def test_draw_is_a_function_even_once_its_package_is_imported():
    importlib.import_module("tinygrad_ce.draw")
    assert callable(tg.draw)


@pytest.mark.slow
def test_cli_is_the_same_through_python_dash_m(tmp_path):
    command = [sys.executable, "-m", "tinygrad_ce", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "tinygrad-ce" in run.stdout
