"""What docs/performance.md quotes of compiled steps is what the compiler prints."""

import pytest
from doc_pages import DOCS, blocks, read, run

import tinygrad_ce as tg

PAGE = read(DOCS / "performance.md")
QUOTES = [("numpy", "text", "dlogits.reshape"), ("c", "c", "PyObject *step")]


def pieces(quote):
    """The stretches of lines between the marks of what is left out."""
    found = [[]]
    for line in quote.strip("\n").split("\n"):
        if line.strip() == "...":
            found.append([])
        else:
            found[-1].append(line)
    return ["\n".join(lines).strip("\n") for lines in found]


def assert_quoted(quote, source):
    """Check that all pieces of a quote are in a source, one behind the other."""
    place = 0
    for piece in pieces(quote):
        found = f"{source}\n".find(f"{piece}\n", place)
        assert found >= 0, f"{piece}\n\nis not, or not behind the rest, in\n\n{source[place:]}"
        place = found + len(piece)


@pytest.mark.parametrize(("backend", "language", "part"), QUOTES)
def test_quotes_are_what_is_printed(backend, language, part, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    names, _ = run(blocks(PAGE, "python")[:1], "performance.md")
    step = tg.compile(names["step"].__wrapped__, backend=backend)
    step(names["X"], names["y"])
    (quote,) = [block for block in blocks(PAGE, language) if part in block]
    assert len(pieces(quote)) > 1
    assert_quoted(quote, step.source)


@pytest.mark.parametrize("changed", [("a\nc", "a\nb\nc"), ("c\n...\na", "a\nb\nc"), ("ab", "abc")])
def test_a_quote_that_differs_is_found(changed):
    with pytest.raises(AssertionError):
        assert_quoted(*changed)
