"""The page as a widget: the sessions behind it, and the same page in a frame of a notebook."""

import asyncio
import subprocess
import sys

import pytest
from draw.interactive.conftest import browser  # noqa: F401  a fixture
from play.messages import SETTING

import tinygrad_ce as tg
from tinygrad_ce.play import launch, widget
from tinygrad_ce.play.one_file import page_in_one_file
from tinygrad_ce.play.session import Session
from tinygrad_ce.play.widget import MAX_VIEWS, RENDER, Views

OPEN = {"part": "session", "do": "open"}


class Sent(list):
    """What was sent to the frontend."""

    def kinds(self, view):
        return [sent["reply"]["kind"] for sent in self if sent["to"] == view]


@pytest.fixture
def views():
    sent = Sent()
    made = Views(Session, sent.append)
    made.sent = sent
    return made


def test_each_view_has_a_session_and_a_closed_one_is_freed(views):
    for view in ("a", "b"):
        views.receive({"view": view, "message": OPEN})
    assert len(views.sessions) == 2
    assert views.sent.kinds("a") == views.sent.kinds("b") == ["opened"]
    views.receive({"view": "a", "closed": True})
    assert [*views.sessions] == ["b"]
    views.receive({"view": "a", "closed": True})


@pytest.mark.parametrize(
    "content", [None, 3, [], {}, {"view": 3}, {"view": "x" * 100}, {"message": OPEN}, "a"]
)
def test_what_is_no_message_of_a_view_is_dropped(views, content):
    views.receive(content)
    assert not views.sessions
    assert not views.sent


def test_a_wrong_message_is_answered_by_an_error(views):
    views.receive({"view": "a", "message": {"part": "loss", "do": "explode"}})
    assert views.sent.kinds("a") == ["error"]


def test_there_are_not_too_many_views(views):
    for i in range(MAX_VIEWS + 3):
        views.receive({"view": str(i), "message": OPEN})
    assert len(views.sessions) == MAX_VIEWS


@pytest.mark.slow
def test_a_stepping_page_is_sent_along(views):
    views.receive({"view": "a", "message": {"part": "loss", "do": "freeze"}})
    assert "Backprop through loss" in views.sent[-1]["reply"]["html"]


def test_a_part_that_runs_makes_frames_until_its_view_is_closed(views):
    class Running:
        running = True

        def tick(self):
            return [{"kind": "frame"}]

    async def watch():
        views.receive({"view": "a", "message": OPEN})
        views.sessions["a"].parts["network"] = Running()
        for _ in range(20):
            views.receive({"view": "a", "message": {"part": "session", "do": "drawn"}})
            await asyncio.sleep(0.02)
        assert views.sent.kinds("a").count("frame") > 5
        views.receive({"view": "a", "closed": True})
        before = len(views.sent)
        await asyncio.sleep(0.05)
        assert len(views.sent) == before

    asyncio.run(watch())


def test_the_page_in_one_file_asks_for_no_other():
    page = page_in_one_file("notebook")
    assert 'data-transport="notebook"' in page
    assert '<link rel="stylesheet"' not in page
    assert 'src="play.js"' not in page
    assert 'from "./' not in page


class FakeModel:
    """The model of a widget, as anywidget has it: its other end is here."""

    SCRIPT = """
        window.sent = [];
        window.listeners = [];
        window.model = {
            get: (name) => ({ page: window.page, height: 700 })[name],
            send: (message) => { window.sent.push(message); },
            on: (_, listener) => { window.listeners.push(listener); },
            off: (_, gone) => { window.listeners = window.listeners.filter((l) => l !== gone); },
        };
    """


@pytest.mark.slow
def test_the_same_page_works_in_the_frame_of_a_notebook(browser, views, tmp_path):  # noqa: F811
    """What anywidget does with the widget's module, between a browser and these sessions."""
    module = tmp_path / "widget.mjs"
    module.write_text(RENDER, "utf-8")
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    tab = context.new_page()
    complaints = []
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("pageerror", lambda error: complaints.append(str(error)))
    tab.evaluate("(page) => { window.page = page; }", page_in_one_file("notebook"))
    tab.evaluate(FakeModel.SCRIPT)
    tab.evaluate(
        """async (source) => {
            const address = "data:text/javascript," + encodeURIComponent(source);
            const { default: widget } = await import(address);
            window.cleanup = widget.render({ model: window.model, el: document.body });
        }""",
        RENDER,
    )

    def pump():
        for message in tab.evaluate("window.sent.splice(0)"):
            views.receive(message)
        for sent in views.sent:
            tab.evaluate("(sent) => { for (const l of window.listeners) l(sent); }", sent)
        views.sent.clear()

    def wait_for(locator):
        for _ in range(100):
            pump()
            if locator.count():
                return
            tab.wait_for_timeout(50)
        raise AssertionError(locator)

    frame = tab.frame_locator("iframe").first
    wait_for(frame.locator(".stage svg"))
    frame.get_by_label("Logit z of class 0, as a number").fill("40")
    wait_for(frame.locator('[data-kind="lost"]'))
    frame.get_by_role("button", name="Step through").click()
    wait_for(frame.frame_locator("#stepping iframe").locator("#explanation h2"))
    tab.evaluate("window.cleanup()")
    pump()
    assert not views.sessions
    assert complaints == []
    context.close()


def test_play_is_a_widget_in_a_notebook(monkeypatch):
    monkeypatch.setattr(launch, "in_notebook", lambda: True)
    made = tg.play(lambda z: z.exp().sum(), [1.0, 2.0])
    assert made.page == page_in_one_file("notebook")
    assert made._esm == widget.RENDER
    made.close()


def test_without_the_extra_its_name_is_said(monkeypatch):
    monkeypatch.setattr(launch, "in_notebook", lambda: True)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad-ce\[notebook\]"'):
        tg.play()


@pytest.mark.slow
def test_without_the_server_the_extra_is_named_in_one_line():
    code = (
        "import sys; sys.modules['websockets'] = None\n"
        "from tinygrad_ce.cli import main; sys.exit(main(['play', '--no-open']))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert 'pip install "tinygrad-ce[play]"' in run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        (("loss",), TypeError),
        ((lambda: 1,), TypeError),
        ((3, [1.0]), TypeError),
        ((tg.nn.Linear(2, 2),), TypeError),
        ((lambda a: a, ["a"]), TypeError),
        ((lambda a: a.sum(), [1.0] * 65), ValueError),
    ],
)
def test_what_cannot_be_played_is_refused_before_there_is_a_page(what, kind):
    with pytest.raises(kind):
        tg.play(*what, open_browser=False)


@pytest.mark.parametrize(
    "options", [{"port": -1}, {"port": 65536}, {"port": "80"}, {"open_browser": 1}]
)
def test_options_are_checked(options):
    with pytest.raises((TypeError, ValueError), match=r"port|open_browser"):
        tg.play(**options)


def test_a_message_of_the_page_is_answered_by_a_frame(views):
    views.receive({"view": "a", "message": SETTING | {"redraw": True}})
    assert views.sent.kinds("a")[-1] == "frame"
