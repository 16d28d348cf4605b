"""CSV files and DataFrames: what is read, and that what is wrong is said with its place."""

import gzip
import io
import json
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tinygrad_ce import data
from tinygrad_ce.data import sources

GOOD = "a,b,species\n1,2,x\n3,4,y\n5,6,x\n"


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "rows.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# ── What is wrong ─────────────────────────────────────────────────────────────────────────────────

FAULTS = {
    "bad number": ("a,b,species\n1,2,x\n3,4,y\n5,oops,x\n", "line 4, column 'b': .*got 'oops'"),
    "missing cell": ("a,b,species\n1,2,x\n3,,y\n5,6,x\n", "line 3, column 'b': the cell is miss"),
    "NA": ("a,b,species\n1,2,x\n3,4,y\nNA,6,x\n", "line 4, column 'a': the cell is missing"),
    "short row": ("a,b,species\n1,2,x\n3,4\n5,6,x\n", "line 3: 2 cells .* no cell for 'species'"),
    "surplus cell": ("a,b,species\n1,2,x\n3,4,y,9\n", "line 3: 4 cells .*'species': surplus '9'"),
    "duplicate column": ("a,a,species\n1,2,x\n3,4,y\n", "line 1: columns 1 and 2 .* 'a'"),
    "semicolons": ("a;b;species\n1,5;2;x\n3;4;y\n", "line 1: .*separated by ';'"),
    "mixed types": ("a,b,species\nu,2,x\nv,4,y\n7,6,x\n", "line 4, column 'a': .*no num.* '7'"),
    "not finite": ("a,b,species\n1,2,x\n3,inf,y\n5,6,x\n", "line 3, column 'b': .* 'inf'"),
    "nan": ("a,b,species\nnan,2,x\n3,1,y\n5,6,x\n", "line 2, column 'a': .* 'nan'"),
    "overflow": ("a,b,species\n1,2,x\n3,1e999,y\n", "line 3, column 'b': .*finite.* 1e999"),
    "not UTF-8": ("a,b,species\n1,2,x\n3,4,caf\xe9\n".encode("latin-1"), "line 3: byte 0xe9"),
    "no header": ("1,2,x\n3,4,y\n", "line 1: .*1, 2, x: expected a header"),
    "empty file": ("", "line 1: the file is empty"),
    "header alone": ("a,b,species\n", "line 1: a header, and no rows"),
    "open quote": ('a,b,species\n1,2,x\n3,4,"y\n5,6,x\n', "line 3: .*the row that begins here"),
    "no class": ("a,b,species\n1,2,x\n3,4,\n", "line 3, column 'species': no class"),
    "one class": ("a,b,species\n1,2,x\n3,4,x\n", "column 'species' has one class, 'x'"),
    "unknown target": ("a,b,kind\n1,2,x\n3,4,y\n", "no column 'species': there are 'a', 'b', 'k"),
    "nameless column": (",b,species\n0,2,x\n1,4,y\n", "line 1: column 1 has no name"),
    "underscores": ("a,b,species\n1,2,x\n3,1_0,y\n5,6,x\n", "line 3, column 'b': .* '1_0'"),
    "behind a quoted newline": (
        'a,b,species\n1,2,"x\nand more"\n3,oops,y\n4,1,y\n5,1,y\n',
        "line 4, column 'b': .*'oops'",
    ),
    "in a row with a newline": (
        'note,b,species\n"one\ntwo",2,x\n"three\nfour",oops,y\nfive,1,y\n',
        "line 5, column 'b': .*'oops'",
    ),
    "empty column": ("a,b,species\n,2,x\n,4,y\n", "all cells of column 'a' are missing"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_its_place(fault, write):
    content, message = FAULTS[fault]
    with pytest.raises(ValueError, match=message) as caught:
        data.read_csv(write(content), target="species")
    assert "rows.csv" in str(caught.value)


def test_the_place_of_a_fault_is_found_in_a_large_file(write):
    lines = ["a,b,species"] + [f"{i},{i / 7},{'xy'[i % 2]}" for i in range(5000)]
    lines[4321] = "1,2e,x"
    with pytest.raises(ValueError, match=r"line 4322, column 'b': .*'2e'"):
        data.read_csv(write("\n".join(lines)), target="species")


def random_cell(rng):
    return ["1", "-2.5", "3e4", "NA", "", "x y", "01", " 7 ", ".5", "1.", "+4"][rng.integers(11)]


def test_both_parsers_read_the_same(write, monkeypatch):
    """NumPy's, and the csv module's, on what either may be given."""
    rng = np.random.default_rng(0)
    kinds = []
    for _ in range(300):
        columns = [
            [random_cell(rng) for _ in range(6)]
            if rng.random() < 0.4
            else [f"{x:.3g}" for x in rng.normal(size=6)]
            for _ in range(3)
        ]
        rows = ["p,q,r,t", *map(",".join, zip(*columns, "uvuvuv", strict=True))]
        path = write(rng.choice(["\n", "\r\n"]).join(rows))
        missing = rng.choice(["refuse", "mean", "drop", "category"])

        def outcome(path=path, missing=str(missing)):
            try:
                table = data.read_csv(path, target="t", missing=missing)
            except ValueError as error:
                return str(error)
            return table.X.tolist(), table.y.tolist(), table.encoder

        expected = outcome()
        with monkeypatch.context() as patch:
            patch.setattr(sources.CsvSource, "_read_fast", lambda *_: None)
            assert outcome() == expected
        kinds.append(type(expected))
    assert {str, tuple} == set(kinds)


# ── What is read ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        GOOD.rstrip("\n"),
        GOOD.replace("\n", "\n\n"),
        GOOD.replace(",", " , "),
        GOOD.replace("x", '"x"'),
        gzip.compress(GOOD.encode()),
    ],
    ids=["plain", "CRLF", "BOM", "no last newline", "blank lines", "spaces", "quotes", "gzip"],
)
def test_one_table_in_many_spellings(content, write):
    table = data.read_csv(write(content), target="species")
    assert table.X.dtype == np.float64
    assert table.X.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert table.y.tolist() == [0, 1, 0]
    assert (table.feature_names, table.class_names) == (("a", "b"), ("x", "y"))


def test_stdin_is_read(monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(GOOD.encode())))
    assert data.read_csv("-", target="species").X.shape == (3, 2)


def test_a_damaged_gzip_file_is_refused(write):
    with pytest.raises(ValueError, match="damaged gzip"):
        data.read_csv(write(gzip.compress(GOOD.encode())[:-9]), target="species")


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["NA", "None", "NA"], ("NA", "None")),
        (["01", "1", "1"], ("01", "1")),
        (["10", "9", "1.5"], ("1.5", "9", "10")),
        (["b, c", "a", "b, c"], ("a", "b, c")),
    ],
)
def test_classes_are_texts(labels, names, write):
    rows = "\n".join(f'{i},"{label}"' for i, label in enumerate(labels))
    table = data.read_csv(write(f"a,t\n{rows}\n"), target="t")
    assert table.class_names == names
    assert [names[k] for k in table.y] == labels


def test_a_long_text_is_read_whole(write):
    long = "z" * 500
    table = data.read_csv(write(f"a,b,t\n1,q,u\n2,{long},v\n"), target="t")
    assert table.feature_names == ("a", "b=q", f"b={long}")


def test_numbers_are_categories_where_that_is_said(write):
    path = write("code,t\n01,u\n1,v\n1,u\n")
    table = data.read_csv(path, target="t", categories=["code"])
    assert table.feature_names == ("code=01", "code=1")
    assert table.encode([{"code": "1"}]).tolist() == [[0, 1]]


def test_ignored_columns_are_left_out(write):
    table = data.read_csv(write(GOOD), target="species", ignore=["a"])
    assert table.feature_names == ("b",)
    with pytest.raises(ValueError, match="no column 'c'"):
        data.read_csv(write(GOOD), target="species", ignore=["c"])


def test_texts_that_are_no_categories_are_refused(write):
    rows = "".join(f"person {i},{i % 2}\n" for i in range(1001))
    with pytest.raises(ValueError, match=r"column 'name' has 1,001 different texts"):
        data.read_csv(write("name,t\n" + rows), target="t")


def test_a_quantity_as_target_is_refused(write):
    rows = "".join(f"{i},{i * 1.5}\n" for i in range(50))
    with pytest.raises(ValueError, match=r"50 different values in 50 rows: .*regression"):
        data.read_csv(write("a,price\n" + rows), target="price")


# ── Missing cells ─────────────────────────────────────────────────────────────────────────────────

HOLES = "length,color,t\n1,red,u\nNA,blue,v\n3,,u\n5,red,v\n"
POLICIES = {
    "mean": (
        ("length", "color=blue", "color=red"),
        [[1, 0, 1], [3, 1, 0], [3, 1 / 3, 2 / 3], [5, 0, 1]],
    ),
    "drop": (("length", "color=red"), [[1, 1], [5, 1]]),
    "category": (
        ("length", "length=NA", "color=blue", "color=red", "color=NA"),
        [[1, 0, 0, 1, 0], [3, 1, 1, 0, 0], [3, 0, 0, 0, 1], [5, 0, 0, 1, 0]],
    ),
}


@pytest.mark.parametrize("missing", POLICIES)
def test_missing_cells_follow_the_policy(missing, write):
    names, X = POLICIES[missing]
    table = data.read_csv(write(HOLES), target="t", missing=missing)
    assert table.feature_names == names
    np.testing.assert_array_equal(table.X, X)
    assert table.X.mean(0)[0] == 3


def test_new_rows_are_filled_with_what_was_learned(write):
    table = data.read_csv(write(HOLES), target="t", missing="mean")
    new = [{"length": None, "color": "blue"}, {"length": 100, "color": None}]
    np.testing.assert_allclose(table.encode(new), [[3, 1, 0], [100, 1 / 3, 2 / 3]])


@pytest.mark.parametrize("missing", ["refuse", "drop", "category"])
def test_a_missing_cell_in_a_column_that_had_none_is_refused(missing, write):
    table = data.read_csv(write(GOOD), target="species", missing=missing)
    with pytest.raises(ValueError, match="row 1, column 'b': the cell is missing"):
        table.encode([[1, 2], [3, None]])


def test_an_error_behind_a_dropped_row_has_its_line(write):
    path = write("a,b,t\n1,2,u\n,3,v\n4,oops,v\n5,6,u\n7,7,v\n")
    with pytest.raises(ValueError, match="line 4, column 'b'"):
        data.read_csv(path, target="t", missing="drop")


def test_an_unknown_policy_is_refused(write):
    with pytest.raises(ValueError, match="missing is one of refuse, mean, drop, category, got"):
        data.read_csv(write(GOOD), target="species", missing="guess")


# ── New rows ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def flowers():
    return data.as_table(
        {"length": [5.1, 6.3, 5.8], "color": ["white", "blue", "white"]}, ["a", "b", "b"]
    )


@pytest.mark.parametrize(
    "rows",
    [
        {"length": [4.9], "color": ["blue"]},
        [{"color": "blue", "length": "4.9", "note": "another column"}],
        [[4.9, "blue"]],
        [("4.9", " blue ")],
        np.array([["4.9", "blue"]]),
        np.array([[4.9, "blue"]], dtype=object),
    ],
    ids=["dict", "dicts", "list", "texts", "array of texts", "array of objects"],
)
def test_rows_come_in_many_forms(rows, flowers):
    assert flowers.encode(rows).tolist() == [[4.9, 1, 0]]


def test_a_file_of_new_rows_needs_no_target_and_no_order(flowers, write):
    assert flowers.encode(write("color,length\nblue,4.9\n")).tolist() == [[4.9, 1, 0]]


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([{"length": 1.0}], ValueError, "no column 'color': there are 'length'"),
        ([[1.0, "green"]], ValueError, "row 0, column 'color': 'green' is none of .*'blue', 'whi"),
        ([[1.0, "blue"], [np.inf, "blue"]], ValueError, "row 1, column 'length': .*finite.* inf"),
        ([["x", "blue"]], ValueError, "row 0, column 'length': expected a number, got 'x'"),
        ([[1.0]], ValueError, "row 0 has 1 cells, expected 2"),
        ([1.0, 2.0], TypeError, "expected rows of cells"),
        (np.zeros(2), ValueError, r"shape \(2,\)"),
        (np.zeros((1, 3)), ValueError, "expected 2 columns, length, color; got 3"),
        ([[1.0, 2j]], TypeError, "row 0, column 'color': expected a number or a text"),
        ({"length": np.array(["2020"], "M8"), "color": ["blue"]}, TypeError, "'length' holds dat"),
        ([{"length": 1, "color": "blue"}, {"length": 1}], ValueError, "row 1 has other columns"),
        ({"length": [1.0, 2.0], "color": ["blue"]}, ValueError, "differ in length"),
    ],
)
def test_rows_that_do_not_fit_are_refused(rows, error, message, flowers):
    with pytest.raises(error, match=message):
        flowers.encode(rows)


def test_a_file_with_an_unknown_category_is_refused_with_its_line(flowers, write):
    with pytest.raises(ValueError, match=r"rows.csv, line 3, column 'color': 'green'"):
        flowers.encode(write("color,length\nblue,4.9\ngreen,5\n"))


def test_a_test_set_in_another_file_is_read_with_its_classes(flowers):
    rows = {"length": [1.0, 2.0], "color": ["blue", "white"], "target": ["b", "a"]}
    table = flowers.encoder.table(rows)
    assert table.y.tolist() == [1, 0]
    with pytest.raises(ValueError, match="row 1, column 'target': 'c' is none of the classes"):
        flowers.encoder.table(rows | {"target": ["b", "c"]})


# ── DataFrames ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_dataframes_give_what_their_file_gives(library, write):
    frames = pytest.importorskip(library)
    for content, missing in ((GOOD.replace("species", "t"), "refuse"), (HOLES, "category")):
        path = write(content)
        table = data.read_csv(path, target="t", missing=missing)
        frame = frames.read_csv(path, **({"null_values": "NA"} if library == "polars" else {}))
        other = data.as_table(frame, "t", missing=missing)
        assert other.encoder == table.encoder
        np.testing.assert_array_equal(other.X, table.X)
        np.testing.assert_array_equal(other.y, table.y)
        np.testing.assert_array_equal(table.encode(frame), table.X)


def test_pandas_nullable_and_categorical_columns_are_read():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "n": pandas.array([1, None, 3], dtype="Int64"),
            "flag": [True, False, True],
            "kind": pandas.Categorical(["p", None, "q"]),
        }
    )
    table = data.as_table(frame, pandas.Series(["u", "v", "u"], name="kind"), missing="category")
    assert table.feature_names == ("n", "n=NA", "flag", "kind=p", "kind=q", "kind=NA")
    assert table.X.tolist() == [[1, 0, 1, 1, 0, 0], [2, 1, 0, 0, 0, 1], [3, 0, 1, 0, 1, 0]]
    assert table.encoder.target == "kind_"


def test_what_has_array_is_taken():
    class Rows:
        def __array__(self, dtype=None, copy=None):
            return np.arange(6.0).reshape(3, 2)

    table = data.as_table(Rows(), [0, 1, 1])
    assert table.feature_names == ("x0", "x1")
    assert table.class_names == ("0", "1")
    assert table.X.tolist() == [[0, 1], [2, 3], [4, 5]]


def test_a_label_too_few_is_refused():
    with pytest.raises(ValueError, match="3 rows, and 2 labels"):
        data.as_table(np.eye(3), ["a", "b"])


def test_an_encoder_is_shown_in_the_words_of_its_file(flowers):
    assert re.search(
        r"CategoryColumn\(name='color', categories=\('blue', 'white'\)", str(flowers.encoder)
    )
    assert json.dumps(flowers.feature_names) == '["length", "color=blue", "color=white"]'


def test_the_repr_of_a_table_says_how_large_it_is(write):
    table = data.read_csv(write(GOOD), target="species")
    assert repr(table) == "<Table of 3 rows, 2 features, 2 classes>"
