"""Comparisons: what is close, what never is, and how a table shows it."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.verify.comparison import Comparisons, Worst, compare, table

NAN, INF = np.nan, np.inf


def test_equal_arrays_are_exact():
    c = compare([1.0, NAN, INF], [1.0, NAN, INF], "x")
    assert (c.exact, c.close, c.max_abs, c.max_ulp, c.shape, c.name) == (
        True,
        True,
        0,
        0,
        (3,),
        "x",
    )
    assert compare(0.0, -0.0).exact


@pytest.mark.parametrize(
    ("a", "b", "ulp"),
    [
        (1.0, 1 + 2**-52, 1),
        (1.0, 1 - 2**-53, 1),
        (-1.0, -1 - 2**-52, 1),
        (0.0, 5e-324, 1),
        (-5e-324, 5e-324, 2),
        (np.float32(1), np.float32(1 + 2**-23), 1),
        (1.0, 2.0, 2**52),
        (1.0, NAN, INF),
    ],
)
def test_distance_in_units_in_the_last_place(a, b, ulp):
    assert compare(a, b).max_ulp == ulp
    assert not compare(a, b).exact


def test_close_is_relative_to_the_largest_entry():
    assert compare([1e6, 1.0], [1e6, 1.0 + 1e-9]).close
    assert not compare([1e-9, 1.0], [1e-9, 1.0 + 1e-9]).close
    assert not compare([1e-20], [2e-20]).close
    assert not compare([1.0], [NAN]).close
    assert not compare([1.0], [INF]).close
    assert not compare([0.0], [1e-300]).close
    assert compare([1.0], [1.1], tolerance=0.2).close


def test_where_terms_cancel_the_scale_can_be_theirs():
    p = np.array([1 - 1e-12])
    assert not compare(p - 1, [-1e-12]).close
    assert compare(p - 1, [-1e-12], scale=1.0).close


def test_the_largest_distance_of_all_fits():
    huge = np.finfo(float).max
    assert compare([huge], [-huge]).max_ulp == 2.0 * (0x7FEFFFFFFFFFFFFF)
    assert compare(np.float16([1]), np.float16([-1])).max_ulp == 2 * 0x3C00


def test_the_largest_differences():
    c = compare([1.0, 10.0], [1.5, 10.25])
    assert (c.max_abs, c.max_rel) == (0.5, 0.5 / 1.5)


@pytest.mark.parametrize(
    ("a", "b", "note"),
    [
        (np.zeros(3), np.zeros((3, 1)), "shape"),
        (np.zeros(3), np.zeros(1), "shape"),
        (np.zeros(3), np.float64(0), "shape"),
        (np.zeros(3, np.float32), np.zeros(3), "dtype"),
    ],
)
def test_other_shapes_and_dtypes_never_pass(a, b, note):
    c = compare(a, b)
    assert not c.exact
    assert not c.close
    assert note in c.note
    assert note in str(c)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("swapped", [False, True])
def test_a_persons_integers_are_compared_by_value_and_the_dtype_is_noted(dtype, swapped):
    a = np.array([[1.0, 2.0, 3.5]], dtype)
    for b, exact in ([[[1, 2, 3]], False], [np.array([[1, 2, 4]], np.uint8), False]):
        c = compare(b, a) if swapped else compare(a, b)
        same = compare(*(np.asarray(x, dtype) for x in ((b, a) if swapped else (a, b))))
        assert (c.exact, c.close, c.max_abs, c.max_ulp) == (exact, False, 0.5, same.max_ulp)
        assert f"{'actual' if swapped else 'expected'} is" in c.by_value
        assert "by value" in str(c)
        assert "by value" in c._repr_html_()
    whole = a.round()
    assert compare(whole, whole.astype(int)).exact
    assert not compare(np.array([2.0**53]), np.array([2**53 + 1])).close  # which float64 has not


def test_a_gradient_that_is_not_there_is_asked_about():
    w = tg.Tensor([1.0], requires_grad=True)
    for arguments in ((w.grad, [1.0]), ({"w": (w.grad, [1.0])},), ({"w": ([1.0], w.grad)},)):
        with pytest.raises(TypeError, match=r"is None.*was backward\(\) called"):
            compare(*arguments)
    with pytest.raises(TypeError, match="None as expected"):
        compare([1.0], w.grad)


def test_tensors_integers_and_empty_arrays_compare():
    assert compare(tg.Tensor([1.0]), [1.0]).exact
    assert compare([1, 2], [1, 2]).exact
    assert compare(np.zeros((0, 3)), np.zeros((0, 3))).exact


# ── The worst element ─────────────────────────────────────────────────────────────────────────────


def test_the_worst_element_has_index_and_values():
    a, b = np.ones((2, 3)), np.ones((2, 3))
    a[1, 0], a[0, 2] = 1.5, 1.25
    assert compare(a, b).worst == Worst((1, 0), 1.5, 1.0)
    assert compare(np.array(1.5), np.array(1.0)).worst == Worst((), 1.5, 1.0)


def test_a_nan_against_a_number_is_the_worst():
    worst = compare([1.0, 9.0, NAN], [2.0, 1.0, 3.0]).worst
    assert worst.index == (2,)
    assert np.isnan(worst.actual)


def test_without_a_difference_no_element_is_the_worst():
    assert compare([1.0, NAN], [1.0, NAN]).worst is None
    assert compare(np.zeros(0), np.zeros(0)).worst is None
    assert compare([1.0], [[1.0]]).worst is None


def test_the_worst_values_keep_their_dtype():
    worst = compare(np.float32([0.1]), np.float32([0.2])).worst
    assert (str(worst.actual), str(worst.expected)) == ("0.1", "0.2")
    assert compare([1, 2], [1, 3]).worst == Worst((1,), 2, 3)


def test_each_element_may_have_a_scale_of_its_own():
    a, b = [1.0, 1e9], [1.0 + 1e-12, 1e9 + 1e-3]
    assert not compare(a, b, scale=1.0).close
    assert not compare(a, b, scale=[1.0, 1e12]).close
    c = compare(a, b, scale=[1e3, 1e12])
    assert c.close
    assert c.max_abs == pytest.approx(1e-3, rel=1e-3)
    with pytest.raises(ValueError, match="broadcast"):
        compare(a, b, scale=[1.0, 1.0, 1.0])


def test_of_elements_with_scales_the_worst_is_relative_to_its_own():
    c = compare([1.5, 1000.0], [1.0, 1010.0], scale=[1.0, 1e6])
    assert c.worst.index == (0,)
    assert c.max_abs == 10


@pytest.mark.parametrize("x", [np.array([1j]), np.array(["a"]), np.array([None])])
def test_what_is_no_real_number_never_passes(x):
    c = compare(x, x)
    assert not c.close
    assert "not compared" in c.note


# ── Many comparisons ──────────────────────────────────────────────────────────────────────────────


ROWS = {
    "exact": ([1.0, 2.0], [1.0, 2.0]),
    "near": ([1.0, 2.0], [1.0, 2.0 + 2**-51]),
    "far": ([[1.0], [2.0]], [[1.0], [2.5]]),
    "shape": ([1.0], [[1.0]]),
}


def test_a_mapping_makes_a_table_in_its_order():
    rows = tg.compare(ROWS)
    assert isinstance(rows, tg.Comparisons)
    assert [c.name for c in rows] == list(ROWS)
    assert [str(c) for c in rows] == [str(compare(*ROWS[c.name], c.name)) for c in rows]


def test_all_are_close_or_not():
    assert tg.compare({name: ROWS[name] for name in ("exact", "near")}).all_close
    assert not tg.compare({name: ROWS[name] for name in ("exact", "far")}).all_close
    assert not tg.compare({"shape": ROWS["shape"]}).all_close
    assert tg.compare({}).all_close


def test_tolerance_is_for_every_row():
    pairs = {"a": ([1.0], [1.1]), "b": ([2.0], [2.2])}
    assert not compare(pairs).all_close
    assert compare(pairs, tolerance=0.2).all_close


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([1.0],), "a single list"),
        (({"a": ([1.0], [1.0])}, [1.0]), "by itself"),
        (({"a": [1.0, 2.0, 3.0]},), "'a' needs"),
        (({"a": np.ones((2, 3))},), "'a' needs"),
    ],
)
def test_what_is_no_pair_is_refused(arguments, said):
    with pytest.raises(TypeError, match=said):
        compare(*arguments)


def lines_of(text):
    return [line for line in text.splitlines() if line]


def test_a_table_has_aligned_columns():
    text = str(compare(ROWS))
    head, *rows = lines_of(text)[: 1 + len(ROWS)]
    for title in ("name", "shape", "exact", "close"):  # words start together
        start = head.index(title)
        assert all(start == 0 or row[start - 2 : start] == "  " for row in rows)
        assert all(row[start] != " " for row in rows)
    for title in ("max |Δ|", "max rel", "max ulp"):  # figures end together
        end = head.index(title) + len(title)
        assert all(row[end - 1] != " " and row[end : end + 1] in ("", " ") for row in rows[:3])
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_text_names_the_worst_element_where_a_row_is_not_close():
    assert lines_of(str(compare(ROWS)))[-1] == "far: worst at [1, 0], 2.0 against 2.5"
    assert "worst" not in str(compare({"near": ROWS["near"]}))


def test_a_note_stands_in_the_place_of_figures():
    assert lines_of(table([compare([1.0], [[1.0]], "x")]))[1].endswith("shape (1,) against (1, 1)")


def test_a_comparison_prints_itself_as_a_table_of_one():
    c = compare([1.0], [1.0], "x")
    assert str(c) == repr(c) == table([c]) == str(Comparisons([c])) == repr(Comparisons([c]))


# ── In a notebook ─────────────────────────────────────────────────────────────────────────────────


class Cells(HTMLParser):
    """The cells of a table, the text that is marked in each, and whether its tags nest."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.rows, self.open, self.tags = [], [], set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(["", "", int(dict(attributes).get("colspan", 1))])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "mark"):
            self.rows[-1][-1][0] += data
            if self.open[-1] == "mark":
                self.rows[-1][-1][1] += data


def test_html_has_a_row_for_each_and_as_many_columns_as_titles():
    cells = Cells(compare(ROWS)._repr_html_())
    assert [row[0][0] for row in cells.rows] == ["name", *ROWS]
    assert {sum(width for *_, width in row) for row in cells.rows} == {10}
    assert cells.tags == {"table", "thead", "tbody", "tr", "th", "td", "mark"}


def test_html_gives_the_worst_element_and_marks_the_digits_that_differ():
    cells = Cells(compare({"x": ([[1.0, 0.12345]], [[1.0, 0.12367]])})._repr_html_())
    *_, index, actual, expected = cells.rows[1]
    assert index[0] == "[0, 1]"
    assert actual[:2] == ["0.12345", "45"]
    assert expected[:2] == ["0.12367", "67"]


def test_html_marks_a_row_that_is_not_close_and_no_other():
    exact, near, far, shape = Cells(compare(ROWS)._repr_html_()).rows[1:]
    assert [row[3][:2] for row in (exact, near)] == [["yes", ""], ["yes", ""]]
    assert [row[3][:2] for row in (far, shape)] == [["no", "no"], ["no", "no"]]
    assert not any(marked for _, marked, _ in exact)


def test_html_escapes_names_and_notes():
    name = "<script>alert('&')</script>"
    html = compare({name: ([1.0], [1.0])})._repr_html_()
    assert "<script" not in html
    assert Cells(html).rows[1][0][0] == name
    assert "&lt;" in compare(np.array(["a"]), np.array(["a"]), "x")._repr_html_()


def test_html_of_one_comparison_is_a_table_of_one():
    c = compare([1.0], [2.0], "x")
    assert c._repr_html_() == Comparisons([c])._repr_html_()
    assert re.search(r"<mark>1.0</mark>", c._repr_html_())
