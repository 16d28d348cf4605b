from pathlib import Path

import pytest

from tinygrad_ce.cli import main


@pytest.mark.parametrize("name", ["g.dot", "g.svg", "g.png", "new/g.dot"])
def test_graph_draws_the_loss_of_a_network(here, capsys, name):
    assert main(["graph", "--out", name]) == 0
    assert capsys.readouterr().out.strip() == str(Path(name))
    assert (here / name).stat().st_size > 1000


def test_graph_of_given_logits_shows_them_and_nothing_else(here, capsys):
    assert main(["graph", "--logits", "2,1,0.1", "--target", "0", "--out", "g.dot"]) == 0
    dot = Path("g.dot").read_text(encoding="utf-8")
    assert "logits" in dot
    assert "MLP" not in dot


@pytest.mark.parametrize(("options", "name"), [([], "loss.html"), (["--out", "g.dot"], "g.dot")])
def test_graph_opens_the_page_or_the_file_that_was_asked_for(here, monkeypatch, options, name):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert main(["graph", "--logits", "2,1,0.1", "--target", "0", "--open", *options]) == 0
    assert opened == [(here / name).resolve().as_uri()]
    assert (here / name).is_file()


def test_graph_folds_scopes(here, capsys):
    sizes = []
    for depth in (["--depth", "1"], []):
        assert main(["graph", "--out", "g.dot", *depth]) == 0
        sizes.append(Path("g.dot").stat().st_size)
    assert sizes[0] < sizes[1]
