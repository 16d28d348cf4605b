"""What a notebook makes of a drawing: it puts the picture into an img element, or into the page."""

from base64 import b64encode

import numpy as np
import pytest
from draw.graphs import cross_entropy_by_hand, parameter

from tinygrad_ce.draw import draw


def of_layers(n):
    h = parameter(np.ones((2, 3)), "x")
    for i in range(n):
        h = (h @ parameter(np.eye(3), f"W{i}")).tanh()
    return h.sum()


NARROWEST = 800  # pixels, the width of 600 points: what is narrower keeps its size in an img


@pytest.mark.parametrize(
    "make, direction",
    [(cross_entropy_by_hand, "LR"), (lambda: of_layers(5), "LR"), (lambda: of_layers(5), "RL")],
)
def test_a_picture_fits_the_cell(browser, make, direction):
    svg = draw(make(), direction=direction)._repr_mimebundle_()[0]["image/svg+xml"]
    img = f'<img src="data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}">'
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    for shown, narrowest in ((img, NARROWEST), (svg, 0)):
        page.set_content(f'<div id="cell" style="overflow:auto">{shown}</div>')
        page.wait_for_function("!document.images.length || document.images[0].complete")
        for width in (500, 850, 1400):
            needed, picture = page.evaluate(
                """width => {
                    const cell = document.getElementById("cell");
                    cell.style.width = `${width}px`;
                    return [cell.scrollWidth, cell.firstElementChild.getBoundingClientRect().width];
                }""",
                width,
            )
            assert needed <= max(width, narrowest)
            assert picture > 100
    page.close()
