"""The package can be called, whichever way it was imported first."""

import inspect
import subprocess
import sys

import pytest

import tinygrad_ce as tg
from tinygrad_ce import draw as package

IMPORTS = [
    "import tinygrad_ce as tg",
    "from tinygrad_ce.draw import Drawing, draw, remember_lines, RenderError, MAX_TENSORS",
]


@pytest.mark.slow
@pytest.mark.parametrize("imports", [IMPORTS, IMPORTS[::-1], ["import tinygrad_ce.draw", *IMPORTS]])
def test_draw_is_called_and_imported_from_in_either_order(imports):
    code = "\n".join(
        [
            *imports,
            "x = tg.Tensor(1.0, name='x')",
            "assert isinstance(tg.draw(x), Drawing)",
            "assert tg.draw(x, 1, 'TB', theme='dark').dot == draw(x, 1, 'TB', theme='dark').dot",
            "from tinygrad_ce import draw as again",
            "assert again is tg.draw and again(x).dot == draw(x).dot",
        ]
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_offers_its_public_names_and_no_others():
    assert sorted(dir(package)) == sorted(package.__all__)


def test_the_package_has_the_signature_and_the_documentation_of_draw():
    assert inspect.signature(package) == inspect.signature(package.draw)
    assert "Parameters" in package.__call__.__doc__


def test_what_is_wrong_is_said_of_a_call_of_the_package_too():
    with pytest.raises(TypeError, match="the Tensor to draw"):
        tg.draw("loss")
