import html
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest

from tinygrad_ce import compare
from tinygrad_ce.cli.experiment import loss_of_row, prepare, run_experiment
from tinygrad_ce.cli.report import charts, render_page
from tinygrad_ce.cli.report.page import PALETTE, scientific
from tinygrad_ce.draw import draw
from tinygrad_ce.engine.transforms import gradients

VOID = {"meta", "br", "wbr", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """What is in a page: elements in order, ids, references; and whether its tags nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.text, self.css = [], [], "", ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" in self.open:
            self.css += data
        else:
            self.text += data

    def attributes(self, name):
        return [found[name] for _, found in self.elements if name in found]

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def made(name, **options):
    results = run_experiment(prepare(name, **options))
    loss, logits = loss_of_row(results.experiment, results.hardest_row)
    (gradient,) = gradients(loss, [logits])
    return results, render_page(results, results.hardest_row, gradient[0], draw(loss).svg())


@pytest.fixture(scope="module", params=["iris", pytest.param("digits", marks=pytest.mark.slow)])
def one(request):
    results, text = made(request.param, epochs=5 if request.param == "digits" else None)
    return results, text, Page(text)


def test_page_nests_its_tags_and_uses_no_id_twice(one):
    _, text, parsed = one
    assert text.startswith("<!doctype html>\n")
    ids = parsed.attributes("id")
    assert sorted(ids) == sorted(set(ids))


def test_page_refers_to_nothing_outside_of_itself_but_the_files_beside_it(one):
    _, text, parsed = one
    assert not {tag for tag, _ in parsed.elements} & {"script", "link", "img", "iframe", "object"}
    assert parsed.attributes("src") == []
    local = {"backprop.html", "backprop.html#why", "loss.svg", "loss.dot", "weights.npz"}
    for reference in parsed.attributes("href") + parsed.attributes("xlink:href"):
        assert reference in local or reference.startswith(("#", "data:"))
    assert "@import" not in parsed.css
    assert "url(" not in parsed.css
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))


def test_every_reference_within_the_page_has_its_target(one):
    _, text, parsed = one
    targets = {r[1:] for r in parsed.attributes("xlink:href") if r.startswith("#")}
    targets |= set(re.findall(r"url\(#([^)]*)\)", text))
    targets |= set(parsed.attributes("aria-labelledby"))
    assert targets <= set(parsed.attributes("id"))


def test_page_is_made_for_small_screens_dark_ones_and_paper(one):
    parsed = one[2]
    (viewport,) = (m for m in parsed.of("meta") if m.get("name") == "viewport")
    assert "width=device-width" in viewport["content"]
    assert "prefers-color-scheme: dark" in parsed.css
    assert "@media print" in parsed.css
    # On paper it is light, whatever the reader's screen is.
    assert "@media (prefers-color-scheme" not in parsed.css


def test_charts_take_every_color_from_the_page(one):
    _, text, _ = one
    drawn = re.findall(r'<svg class="chart".*?</svg>', text, re.DOTALL)
    assert len(drawn) == (3 if one[0].experiment.name == "iris" else 2)
    for svg in drawn:
        assert re.findall(r"#[0-9a-fA-F]{6}\b", svg) == []
        assert set(re.findall(r"var\((--[\w-]+)\)", svg)) <= set(re.findall(r"(--[\w-]+):", text))


def test_pictures_have_a_name_for_those_who_do_not_see_them(one):
    assert all(svg.get("aria-label") for svg in one[2].of("svg"))


def test_headline_is_the_accuracy_of_the_test_set(one):
    results, text, _ = one
    (headline,) = re.findall(r"<h1><strong>(.*?)</strong>", text)
    right, n = results.n_correct, len(results.experiment.y_test)
    assert headline == f"{100 * right / n:.1f}\u202f%"
    assert f"{right} of {n}" in text


def test_page_lists_every_gradient_before_and_after(one):
    results, text, _ = one
    (body,) = re.findall(r'<table class="gradients">.*?<tbody>(.*?)</tbody>', text, re.DOTALL)
    rows = re.findall(r"<tr>(.*?)</tr>", body, re.DOTALL)
    assert len(rows) == len(results.before) == 14
    assert all(row.count("✓") == 2 for row in rows)
    assert "✗" not in text


def test_page_says_why_a_gradient_cannot_be_compared(one):
    results = one[0]
    (link, *rest) = results.before
    torn = replace(link, comparison=compare(np.zeros(2), np.zeros(3), "∂L/∂z"))
    gradient = np.zeros(len(results.experiment.classes))
    text = render_page(replace(results, before=[torn, *rest]), 0, gradient, None)
    assert torn.comparison.note
    assert f'<td class="disagrees">✗ {html.escape(torn.comparison.note)}</td>' in text


def test_page_says_how_far_the_random_sets_are_off(one):
    results, text, _ = one
    assert results.random_logits.comparison.max_abs <= 4e-16
    assert text.count(scientific(results.random_logits.comparison.max_abs)) >= 2


def test_confusion_matrix_holds_the_whole_test_set(one):
    results, text, _ = one
    (table,) = re.findall(r'<table class="confusion.*?</table>', text)
    counts = [int(n) for n in re.findall(r'<td class="\w+"[^>]*>(\d+)<', table)]
    n = len(results.experiment.classes)
    assert sum(counts) == len(results.experiment.y_test)
    assert sum(counts[:: n + 1]) == results.n_correct


def test_page_tells_how_to_make_it_again(one):
    results, text, _ = one
    experiment = results.experiment
    assert (
        f"tinygrad-ce demo --data {experiment.name} --hidden {experiment.config.hidden} "
        f"--epochs {experiment.config.epochs} --seed 0"
    ) in text


def test_gradient_at_the_logits_is_that_of_the_hardest_row(one):
    results, text, _ = one
    row = results.hardest_row
    label = results.experiment.y_test[row]
    (line,) = re.findall(r'<tr class="label">(.*?)</tr>', text)
    p = results.probabilities[row, label]
    assert (
        results.probabilities[range(len(results.probabilities)), results.experiment.y_test].min()
        == p
    )
    assert f"<td>{p:.4f}</td>" in line
    assert f"<td>−{1 - p:.4f}</td>" in line


def test_misclassified_digits_are_shown_up_to_a_page_full():
    results, text = made("digits", epochs=1, hidden=2)
    wrong = len(results.experiment.y_test) - results.n_correct
    assert wrong > 15
    assert text.count("<li>") == 15
    assert f"15 of {wrong} misclassified digits" in text


@pytest.mark.parametrize("epochs", [1, 150])
def test_misclassified_flowers_are_listed_beside_the_confusion_matrix(epochs):
    results, text = made("iris", epochs=epochs)
    experiment = results.experiment
    (table,) = re.findall(r'<table class="errors">.*?</table>', text)
    listed = [int(row) for row in re.findall(r'<th scope="row">(\d+)</th>', table)]
    wrong = np.flatnonzero(results.predicted != experiment.y_test)
    assert set(listed) <= set(wrong)
    assert len(listed) == min(len(wrong), 8)
    confidence = results.probabilities.max(-1)
    assert list(confidence[listed]) == sorted(confidence[wrong], reverse=True)[:8]
    for row in listed:
        features = " · ".join(f"{value:g}" for value in experiment.raw_test[row])
        assert features in table


def test_a_perfect_network_misclassifies_no_digit():
    results = run_experiment(prepare("digits", epochs=1, hidden=2))
    results.probabilities = 1.0 * (results.experiment.y_test[:, None] == range(10))
    text = render_page(results, 0, results.probabilities[0], None)
    assert "No digit of the test set is misclassified." in text
    Page(text)


def test_page_of_a_single_epoch_and_a_single_unit_is_whole():
    _, text = made("iris", epochs=1, hidden=1)
    Page(text)
    assert "for 1 epoch\n" in text


def test_page_without_a_drawing_says_where_the_graph_is():
    results, _ = made("iris", epochs=1)
    parsed = Page(render_page(results, 0, results.probabilities[0], None))
    assert set(parsed.attributes("href")) == {"loss.dot", "weights.npz"}
    assert "It is in loss.dot" in parsed.text


def test_charts_leave_no_figure_open_and_no_setting_changed():
    import matplotlib

    before = dict(matplotlib.rcParams)
    results = run_experiment(prepare("iris", epochs=2))
    charts.loss_curves(results.history)
    charts.decision_regions(results)
    assert dict(matplotlib.rcParams) == before
    if (pyplot := sys.modules.get("matplotlib.pyplot")) is not None:
        assert pyplot.get_fignums() == []


def test_charts_ignore_the_settings_of_the_user():
    import matplotlib

    results = run_experiment(prepare("iris", epochs=2))
    plain = charts.loss_curves(results.history)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        assert charts.loss_curves(results.history) == plain


def test_page_files_are_in_the_package():
    for name in (PALETTE, "cli/report/page.html", "cli/report/page.css"):
        assert files("tinygrad_ce").joinpath(name).is_file()
