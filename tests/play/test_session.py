"""The session: every message is answered, one that is wrong by an error, and nothing is fatal."""

import json
import random

import numpy as np
import pytest
from play.messages import SETTING, error_of, frame_of

import tinygrad_ce as tg
from tinygrad_ce.play import messages
from tinygrad_ce.play.session import MAX_PAGES, MAX_UNDRAWN, Session

OPEN = {"part": "session", "do": "open"}
DRAWN = {"part": "session", "do": "drawn"}

NO_MESSAGES = [
    None,
    True,
    3,
    "set",
    [],
    {},
    {"part": "loss"},
    {"do": "set"},
    {"part": "loss", "do": "set"},
    {"part": "los", "do": "set"},
    {"part": ["loss"], "do": "set"},
    {"part": "loss", "do": {"set": 1}},
    {"part": "loss", "do": "__init__"},
    {"part": "session", "do": "tick"},
    {"part": "session", "do": "open", "more": 1},
    {"part": "computation", "do": "describe"},
]


@pytest.mark.parametrize("message", NO_MESSAGES)
def test_what_is_no_message_is_answered_by_an_error(message):
    assert error_of(Session(), message)


def test_a_wrong_message_to_a_part_is_answered_to_that_part():
    for part, expected in {"loss": "loss", "los": "session", "session": "session"}.items():
        (reply,) = Session().handle({"part": part, "do": "explode"})
        assert (reply["part"], reply["kind"]) == (expected, "error")


VALUES = [
    *(None, True, False, 0, -1, 10**400, -(10**400), 1e308, -0.0, 0.5, "", "naive", "x" * 10_000),
    *([], {}, [[]], [1.0] * 3, [1.0] * 10_000, [None], ["1"], {"a": 1}, [[1.0, 2.0]], "\ud800"),
    *(float("nan"), float("inf"), [float("nan")] * 3, "z" * 200, "z.exp().sum()"),
]


@pytest.fixture
def no_layout(monkeypatch):
    drawing = {"kind": "graph", "svg": "", "leaves": {}}
    monkeypatch.setattr("tinygrad_ce.play.live_graph._drawing", lambda *graph: drawing)


@pytest.mark.usefixtures("no_layout")
def test_any_value_in_any_field_is_answered_in_json():
    session = Session()
    refused = 0
    for field in SETTING:
        for value in VALUES:
            (*_, reply) = session.handle(SETTING | {field: value})
            assert reply["kind"] in ("frame", "error"), (field, value, reply)
            refused += reply["kind"] == "error"
            messages.write(reply)
    assert refused > 100
    assert frame_of(session, SETTING)["kind"] == "frame"


@pytest.mark.usefixtures("no_layout")
def test_random_messages_are_answered():
    rng = random.Random(0)
    session = Session()
    session.parts["loss"].handle = lambda message: []  # what passes the gate is tested above

    def value(depth=0):
        kinds = [lambda: rng.choice(VALUES), lambda: rng.randint(-(10**6), 10**6), rng.random]
        if depth < 3:
            kinds += [
                lambda: [value(depth + 1) for _ in range(rng.randint(0, 4))],
                lambda: {rng.choice([*SETTING, "x", ""]): value(depth + 1) for _ in range(3)},
            ]
        return rng.choice(kinds)()

    for _ in range(2_000):
        message = value()
        if isinstance(message, dict) and rng.random() < 0.8:
            message |= {"part": "loss", "do": "set"}
        assert all(reply["kind"] == "error" for reply in session.handle(message))


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "nul", "NaN", "[Infinity]", '{"a": -Infinity}', "[" * 100_000, "\x00", "'a'"),
        *(b"\xff\xfe", b"\x80", "1" * 5_000, "1e" + "9" * 5_000, '{"a": 1} {"b": 2}', "\ud800"),
        " " * (messages.MAX_BYTES + 1),
    ],
)
def test_what_is_no_json_is_refused(text):
    try:
        parsed = messages.parse(text)
    except ValueError:
        return
    assert error_of(Session(), parsed)


class Failing:
    """A part that cannot do what it should."""

    running = True

    def tick(self):
        raise ZeroDivisionError("by zero")


def test_a_part_that_fails_is_answered_by_an_error_and_stops():
    session = Session()
    session.parts["network"] = Failing()
    said = {"part": "network", "kind": "error", "message": "ZeroDivisionError: by zero"}
    assert session.tick() == [said]
    assert not session.running


class Frames:
    """A part that is always at work."""

    running = True

    def tick(self):
        return [{"kind": "frame"}]


def test_no_frame_is_made_before_the_page_has_drawn_the_last_ones():
    session = Session()
    session.parts["network"] = Frames()
    frames = 0
    while session.running:
        frames += len(session.tick())
    assert frames == MAX_UNDRAWN
    session.handle(DRAWN)
    assert session.running
    session.tick()
    assert not session.running
    session.handle(OPEN)  # what was under way is lost with the connection
    assert session.running


def test_more_drawn_than_there_were_frames_changes_nothing():
    session = Session()
    session.parts["network"] = Frames()
    for _ in range(10):
        session.handle(DRAWN)
    test = [bool(session.tick()) for _ in range(MAX_UNDRAWN)]
    assert all(test)
    assert not session.running


def test_says_what_there_is_and_whether_it_was_opened_before():
    session = Session()
    (reply,) = session.handle(OPEN)
    assert reply["parts"] == ["loss", "network"]
    assert (reply["first"], reply["resumed"]) == ("loss", False)
    assert session.handle(OPEN)[0]["resumed"]


@pytest.mark.slow
def test_the_stepping_page_of_what_is_seen_is_kept_for_a_while():
    session = Session()
    session.handle(SETTING | {"logits": [1.0, 2.0, 3.25]})
    for i in range(MAX_PAGES + 2):
        (reply,) = session.handle({"part": "loss", "do": "freeze"})
        assert reply == {"part": "loss", "kind": "frozen", "page": i + 1}
    assert len(session.pages) == MAX_PAGES
    assert "3.25" in session.pages[reply["page"]]
    assert "Backprop through loss" in session.pages[reply["page"]]


def test_without_graphviz_everything_but_the_graph_is_there(monkeypatch):
    def render(*_):
        raise ImportError("pictures need Graphviz")

    monkeypatch.setattr("tinygrad_ce.draw.placement.render", render)
    monkeypatch.setattr("tinygrad_ce.play.live_graph._drawings", {})
    session = Session()
    graph, frame = session.handle(SETTING)
    assert (graph["svg"], graph["reason"]) == ("", "pictures need Graphviz")
    assert frame["gradient"]
    assert [reply["kind"] for reply in session.handle(SETTING)] == ["frame"]


# ── One's own computation ─────────────────────────────────────────────────────────────────────────


def squared_error(w, x, y):
    return ((w * x).sum() - y) ** 2


def own(f=squared_error, *tensors):
    given = tensors or (tg.Tensor([1.0, 2.0], requires_grad=True, name="w"), [3.0, 4.0], 2)
    return Session(computation=(f, *given))


def test_an_own_computation_is_a_part_with_what_can_be_moved():
    session = own()
    assert session.handle(OPEN)[0]["first"] == "computation"
    (reply,) = session.handle({"part": "computation", "do": "describe"})
    assert [input["name"] for input in reply["inputs"]] == ["w", "x"]
    assert [input["differentiable"] for input in reply["inputs"]] == [True, False]
    assert [input["values"] for input in reply["inputs"]] == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.usefixtures("no_layout")
def test_its_gradients_are_the_engines():
    session = own()
    rng = np.random.default_rng(0)
    for _ in range(50):
        w, x = rng.normal(size=(2, 2))
        message = {"part": "computation", "do": "set", "direction": "LR"}
        frame = frame_of(session, message | {"values": [w.tolist(), x.tolist()]})
        (expected,) = tg.gradients(
            (output := squared_error(v := tg.Tensor(w, requires_grad=True), x, 2)), [v]
        )
        assert frame["gradients"] == [expected.tolist(), None]
        assert frame["output"] == frame["tensors"][[*frame["tensors"]][-1]]["value"][0]
        assert output.size == 1


@pytest.mark.usefixtures("no_layout")
@pytest.mark.parametrize("values", [[[1.0]], [[1.0], [2.0]], [[1.0, 2.0], [3.0, 4.0], [5.0]], []])
def test_values_of_another_size_are_refused(values):
    session = own()
    error_of(session, {"part": "computation", "do": "set", "direction": "LR", "values": values})


def test_where_none_requires_a_gradient_all_do():
    session = own(lambda a, b: (a * b).sum(), [1.0, 2.0], np.float32([3, 4]))
    (reply,) = session.handle({"part": "computation", "do": "describe"})
    assert [input["differentiable"] for input in reply["inputs"]] == [True, True]


def test_a_function_that_fails_is_answered_by_what_it_raised():
    def f(a):
        if a.data > 5:
            raise RuntimeError("too large")
        return a * a

    session = own(f, 1.5)
    message = {"part": "computation", "do": "set", "direction": "LR", "values": [[6.0]]}
    assert error_of(session, message) == "RuntimeError: too large"


@pytest.mark.parametrize(
    ("f", "tensors", "kind"),
    [
        (lambda a: a, [[1.0, 2.0]], TypeError),
        (lambda a: 3.0, [1.0], TypeError),
        (lambda a: a.sum(), [np.ones(65)], ValueError),
        (lambda *a: sum(a), [1.0] * 13, ValueError),
    ],
)
def test_a_computation_that_cannot_be_played_is_refused_at_once(f, tensors, kind):
    with pytest.raises(kind, match=r"play|moves"):
        own(f, *tensors)


def test_its_code_makes_what_is_seen():
    session = own()
    code = session.handle({"part": "computation", "do": "code"})[0]["text"]
    names = {}
    exec(code.replace("print", "str"), names)
    assert names["output"].item() == squared_error(tg.Tensor([1.0, 2.0]), [3.0, 4.0], 2).item()
    assert names["w"].grad.tolist() == [54.0, 72.0]


def test_messages_are_plain_json():
    session = Session()
    for reply in session.handle(OPEN):
        assert json.loads(messages.write(reply)) == reply
