"""The network that learns, in a real browser: each control, keys, looks, and the exported page."""

import re
from contextlib import contextmanager
from functools import partial
from urllib.parse import unquote

import numpy as np
import pytest
from draw.interactive.conftest import browser  # noqa: F401  a fixture
from draw.interactive.pages import Opened
from play.servers import running

from tinygrad_ce import nn
from tinygrad_ce.play.session import Session

CSV = "width,height,kind\n" + "".join(f"{i % 7},{i % 5},{'ab'[i % 2]}\n" for i in range(40))


@pytest.fixture(scope="module")
def server():
    with running() as server:
        yield server


@contextmanager
def tab_in(chromium, url, width=1280, height=800, scheme="light", motion="reduce"):
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion=motion,
        accept_downloads=True,
    )  # fmt: skip
    page = Opened(context.new_page())
    page.tab.goto(url)
    page.wait_until("document.querySelector('.counter')?.textContent.startsWith('step')")
    yield page
    assert page.complaints == []
    context.close()


@pytest.fixture
def open_network(browser, server):  # noqa: F811
    """Open the page at a state of the address; it has the session behind it as `network`."""

    @contextmanager
    def open_network(state="", **options):
        address = f"http://127.0.0.1:{server.port}/{server.token}/#part=network{state}"
        before = {*server.sessions}
        with tab_in(browser, address, **options) as page:
            (key,) = {*server.sessions} - before
            page.network = server.sessions[key].parts["network"]
            yield page
            own = f"http://127.0.0.1:{server.port}/{server.token}/"
            assert all(
                url.startswith((own, own.replace("http", "ws"), "data:", "blob:"))
                for url in page.requests
            )

    return open_network


def button(page, name):
    page.tab.get_by_role("button", name=name, exact=True).click()


def step_shown(page):
    return int(re.match(r"step (\d+)", page.text(".counter"))[1])


def wait_for_step(page, step):
    shown = "document.querySelector('.counter')?.textContent.match(/\\d+/)?.[0]"
    page.wait_until(f"{shown} == {step}")


def wait_until(page, condition):
    """Wait for something in the session, which works in a thread of its own."""
    for _ in range(600):
        if condition():
            return
        page.tab.wait_for_timeout(25)
    raise AssertionError(condition)


def change(page, label, value):
    """Move a slider, choose from a list or fill in a number, as a person would."""
    page.tab.evaluate(
        """([label, value]) => {
            const find = (row) => row.textContent === label;
            const { control } = [...document.querySelectorAll(".settings label")].find(find);
            control.value = value;
            control.dispatchEvent(new Event("input", { bubbles: true }));
            control.dispatchEvent(new Event("change", { bubbles: true }));
        }""",
        [label, value],
    )


def test_it_plays_pauses_steps_and_goes_back(open_network):
    with open_network() as page:
        page.tab.get_by_title("Play or pause").click()
        wait_until(page, lambda: page.network.training.recording.last >= 5)
        page.tab.get_by_title("Play or pause").click()
        wait_until(page, lambda: not page.network.running)
        page.tab.wait_for_timeout(100)
        last = page.network.training.recording.last
        wait_for_step(page, last)
        button(page, "Step")
        wait_for_step(page, last + 1)
        page.tab.locator(".scrubbing input").fill("2")
        wait_for_step(page, 2)
        shown = re.search(r"loss ([\d.]+)", page.text(".facts-line"))[1]
        assert float(shown) == pytest.approx(page.network.training.recording[2].loss, abs=6e-4)
        page.tab.evaluate("document.activeElement.blur()")
        page.press("ArrowLeft")
        wait_for_step(page, 1)
        page.press("ArrowRight")  # training goes on where it was
        wait_for_step(page, last + 2)
        page.press(" ")
        wait_until(page, lambda: page.network.training.recording.last > last + 4)
        page.press(" ")
        wait_until(page, lambda: not page.network.running)
        page.press("r")
        wait_for_step(page, 0)


def test_a_frame_that_was_under_way_does_not_undo_a_pause(open_network):
    with open_network() as page:
        network = page.network

        def pause():
            late = network._frame(2) | {"running": True}  # as if made before, and shown late
            network._stop()
            return [late]

        network._do_pause = pause
        page.press(" ")
        wait_until(page, lambda: network.training.recording.last >= 10)
        page.press(" ")
        wait_for_step(page, 2)
        assert page.text("[title^='Play or pause']") == "▶ Play"
        first = network.training
        page.press("r")
        wait_until(page, lambda: network.training is not first)
        wait_for_step(page, 0)
        assert not network.running


def test_each_setting_reaches_the_engine(open_network):
    with open_network() as page:
        changes = [
            ("Points", 400, "points", 400), ("Noise", 0.3, "noise", 0.3),
            ("Seed of the data", 7, "data_seed", 7), ("Activation", "relu", "activation", "relu"),
            ("Scale of the initial weights", 10, "weight_scale", 10.0),
            ("Seed of weights and batches", 3, "seed", 3), ("Batch", 3, "batch", 8),
            *(("Optimizer", name, "optimizer", name) for name in ("momentum", "Adam")),
            *(("Data", name, "data", name) for name in ("spirals", "iris")),
        ]  # fmt: skip
        for label, value, name, expected in changes:
            change(page, label, value)
            wait_until(page, lambda n=name, e=expected: getattr(page.network.settings, n) == e)
        change(page, "Learning rate", -20)
        wait_until(page, lambda: page.network.training.rates[-1][1] == 0.1)
        assert page.network.training.recording.last == 0
        button(page, "Add a layer")
        wait_until(page, lambda: page.network.settings.hidden == (16, 16, 16))
        button(page, "More units in layer 2")
        wait_until(page, lambda: page.network.settings.hidden == (16, 17, 16))
        button(page, "Fewer units in layer 3")
        wait_until(page, lambda: page.network.settings.hidden == (16, 17, 15))
        page.tab.get_by_label("Units of hidden layer 1").fill("5")
        page.press("Enter")
        wait_until(page, lambda: page.network.settings.hidden == (5, 17, 15))
        button(page, "Remove layer 2")
        wait_until(page, lambda: page.network.settings.hidden == (5, 15))
        page.wait_until("document.querySelectorAll('.layer').length === 8")
        page.tab.get_by_label("Seed of the data").fill("-4")  # is refused where it is typed
        page.press("Tab")
        assert "expected" in page.text(".status")
        assert page.tab.get_by_label("Seed of the data").input_value() == "7"


def test_the_numbers_under_the_mouse_are_those_of_the_engine(open_network):
    with open_network("&hidden=3&steps=4") as page:
        wait_for_step(page, 4)
        snapshot = page.network.training.recording[4]
        for row, name in ((0, "0.weight"), (3, "2.weight")):
            heat = page.tab.locator(".layer").nth(row).locator("canvas.heat").first
            heat.hover(position={"x": 2, "y": 2})
            said = page.text(".pointed").replace("−", "-")
            value, gradient = re.search(r"is (\S+), its gradient (\S+)$", said).groups()
            assert said.startswith(f"{name}[0, 0]")
            assert float(value) == pytest.approx(snapshot.state[name][0, 0], rel=1e-3)
            assert float(gradient) == pytest.approx(snapshot.gradients[name][0, 0], rel=1e-3)


def test_points_are_drawn_with_the_mouse_and_with_keys(open_network):
    with open_network() as page:
        button(page, "Draw points")
        wait_until(page, lambda: page.network.settings.data == "drawn")
        assert len(page.network.settings.drawn) == 200
        button(page, "Clear the points")
        plot = page.tab.locator("canvas.plot")

        def stroke(y):
            plot.scroll_into_view_if_needed()
            box = plot.bounding_box()
            page.tab.mouse.move(box["x"] + 60, box["y"] + y)
            page.tab.mouse.down()
            page.tab.mouse.move(box["x"] + 160, box["y"] + y, steps=10)
            page.tab.mouse.up()

        stroke(80)
        wait_until(page, lambda: 3 <= len(page.network.settings.drawn) < 20)
        page.tab.get_by_label("class 1").check()
        stroke(200)
        wait_until(page, lambda: {p[2] for p in page.network.settings.drawn} == {0, 1})
        drawn = page.network.settings.drawn
        assert min(p[1] for p in drawn if p[2] == 0) > max(p[1] for p in drawn if p[2] == 1)
        plot.focus()
        page.press("ArrowRight", "ArrowUp", "Enter")
        wait_until(page, lambda: len(page.network.settings.drawn) == len(drawn) + 1)
        assert page.network.settings.drawn[-1] == (0.0625, 0.0625, 1)
        page.tab.get_by_label("erase").check()
        stroke(80)
        wait_until(page, lambda: {p[2] for p in page.network.settings.drawn} == {1})
        drawn = page.network.settings.drawn
        written = "new URLSearchParams(location.hash.slice(1)).get('drawn')"
        page.wait_until(f"{written}?.length === {5 * len(drawn)}")
        address = page.tab.url
    with open_network(address.partition("part=network")[2]) as page:
        assert page.network.settings.drawn == drawn


def test_a_csv_file_is_learned_from(open_network, tmp_path):
    (tmp_path / "kinds.csv").write_text(CSV)
    with open_network() as page:
        page.tab.get_by_label("Data", exact=True).select_option("csv")
        page.tab.get_by_label("A CSV file").set_input_files(tmp_path / "kinds.csv")
        page.wait_until("document.querySelectorAll('.csv-tools option').length === 4")
        page.tab.get_by_label("Column with the classes").select_option("kind")
        wait_until(page, lambda: page.network.settings.data == "csv")
        assert page.network.training.problem.class_names == ("a", "b")
        page.tab.get_by_label("Column with the classes").select_option("width")
        page.wait_until("document.querySelector('.legend').textContent.includes('6')")
        button(page, "Show the code")
        page.wait_until("document.querySelector('#code').open")
        assert 'read_csv("kinds.csv", target="width")' in page.text("#code").replace("'", '"')
        page.press("Escape")


def test_a_choice_that_succeeds_takes_an_error_back(open_network, tmp_path):
    (tmp_path / "wrong.csv").write_text("width,kind\n1,a\n2\n")
    with open_network() as page:
        choice = page.tab.get_by_label("Data", exact=True)
        assert choice.locator("option[value=given]").count() == 0  # no model was given
        choice.select_option("csv")
        page.tab.get_by_label("A CSV file").set_input_files(tmp_path / "wrong.csv")
        page.wait_until("document.querySelectorAll('.csv-tools option').length === 3")
        page.tab.get_by_label("Column with the classes").select_option("kind")
        page.wait_until("!document.querySelector('#alert').hidden")
        choice.select_option("csv")
        page.wait_until("document.querySelector('#alert').hidden")
        page.tab.get_by_label("Column with the classes").select_option("kind")
        page.wait_until("!document.querySelector('#alert').hidden")
        choice.select_option("circles")
        wait_until(page, lambda: page.network.settings.data == "circles")
        page.wait_until("document.querySelector('#alert').hidden")


def test_a_link_shows_the_same_bits(open_network):
    state = "&data=circles&hidden=6-5&activation=sigmoid&lr=0.5,4:0.05&optimizer=Adam&steps=9"
    with open_network(state + "&example=11") as page:
        wait_for_step(page, 9)
        assert page.network.training.rates == ((0, 0.5), (4, 0.05))
        assert page.network.frames.example == 11
        first = page.network.training.recording[9].state
        page.wait_until("location.hash.includes('steps=9')")
        address = page.tab.url.partition("part=network")[2]
    assert {*state[1:].split("&"), "example=11"} == {*unquote(address)[1:].split("&")}
    with open_network(address) as page:
        wait_for_step(page, 9)
        again = page.network.training.recording[9].state
        assert all(first[name].tobytes() == again[name].tobytes() for name in first)


def test_an_example_is_chosen_and_its_gradient_stepped_through(open_network):
    with open_network("&hidden=4") as page:
        plot = page.tab.locator("canvas.plot")
        box = plot.bounding_box()
        left, right, bottom, top = page.network.training.problem.plane.domain
        X, y = page.network.training.problem.X, page.network.training.problem.y
        x0, x1 = map(float, X[23])
        plot.click(
            position={
                "x": (x0 - left) / (right - left) * box["width"],
                "y": (top - x1) / (top - bottom) * box["height"],
            }
        )
        page.wait_until("document.querySelector('.example').textContent.includes('Example 23 ')")
        assert f"class {y[23]}" in page.text(".example")
        plot.focus()
        page.press("ArrowRight")
        page.wait_until("document.querySelector('.example').textContent.includes('Example 24 ')")
        steps = len(page.network.frames.example_graph().steps_back())
        page.press("b")
        page.wait_until("document.querySelector('.contribution').textContent.length > 0")
        assert page.text(".contribution").startswith(
            f"Contribution 1 of {steps}, back through mean"
        )
        pending = page.tab.locator(".graph-view .grad.pending")
        assert pending.count() > 5
        said = []
        for _ in range(steps - 1):
            button(page, "Backward step")
            said.append(page.text(".contribution"))
        assert any(re.search(r"through tanh: .* \+= ∂loss/∂(\S+) · \(1 − \1²\)", s) for s in said)
        assert page.text(".contribution").startswith(f"Contribution {steps} of {steps}")
        assert pending.count() == 0
        button(page, "Backward step")
        assert "All contributions are in" in page.text(".contribution")
        tensor = page.tab.locator(".graph-view .tensor").first
        tensor.focus()
        page.press("Enter")
        assert "gradient" in page.text(".contribution")
        button(page, "Step through")
        frame = page.tab.frame_locator("#stepping iframe")
        frame.locator("#counter").wait_for()
        assert frame.locator("h1").inner_text() == "Backprop through loss"
        page.tab.locator("#stepping").get_by_role("button", name="Close").click()


def test_ones_own_model_is_seen_and_found_again(browser):  # noqa: F811
    rng = np.random.default_rng(0)
    given = nn.MLP([3, 4, 2], activation="relu", rng=0), rng.normal(size=(30, 3)), np.arange(30) % 2
    make_session = partial(Session, training=given)
    with running(make_session) as server, tab_in(browser, server.address) as page:
        assert page.tab.get_by_label("Data", exact=True).input_value() == "given"
        assert page.text(".axis.across") == "1st principal component"
        assert page.tab.get_by_role("button", name="Add a layer").is_hidden()
        change(page, "Optimizer", "SGD")
        page.wait_until("location.hash.includes('optimizer=SGD')")
        button(page, "Step")
        wait_for_step(page, 1)
        page.wait_until("location.hash.includes('steps=1')")
        (session,) = server.sessions.values()
        first = session.parts["network"].training.recording[1]
        page.tab.reload()
        wait_for_step(page, 1)
        wait_until(page, lambda: session not in server.sessions.values())
        (session,) = server.sessions.values()
        assert session.parts["network"].settings.optimizer == "SGD"
        assert session.parts["network"].training.recording[1].loss == first.loss


def test_the_questions_set_up_what_they_are_about(open_network):
    with open_network() as page:
        button(page, "Weights × 30")
        wait_until(page, lambda: page.network.training.recording.last > 2)
        page.tab.get_by_title("Play or pause").click()
        wait_until(page, lambda: not page.network.running)
        page.wait_until("document.querySelectorAll('.facts.is-bad').length === 2")
        page.wait_until("document.querySelector('.change table')")
        page.tab.get_by_title("Play or pause").click()
        page.wait_until("document.querySelector('.change').textContent.includes('Pause to see')")
        page.tab.get_by_title("Play or pause").click()
        page.wait_until("document.querySelector('.change table')")
        button(page, "Set it up")
        wait_for_step(page, 0)
        assert "No step has been made" in page.text(".change")
        button(page, "One step")
        wait_for_step(page, 1)
        before, after = (page.network.training.recording[i] for i in (0, 1))
        cells = page.text(".change tbody tr:last-child td:first-of-type")
        assert float(cells) == pytest.approx(before.loss, rel=1e-4)
        name, row, column = re.match(
            r"(\S+)\[(\d+), (\d+)\]", page.text(".change tbody tr:first-child")
        ).groups()
        change = (
            after.state[name][int(row), int(column)] - before.state[name][int(row), int(column)]
        )
        shown = page.text(".change tbody tr:first-child td:last-of-type").replace("−", "-")
        assert float(shown) == pytest.approx(change, rel=0.01)
        for summary in page.tab.locator(".answer summary").all():
            summary.click()
        assert "1 − y²" in page.text(".questions")


def test_an_exported_page_replays_without_python(open_network, browser, tmp_path):  # noqa: F811
    with open_network("&hidden=4&steps=12") as page:
        wait_for_step(page, 12)
        page.tab.locator(".scrubbing input").fill("5")
        wait_for_step(page, 5)
        facts = page.text(".facts-line")
        with page.tab.expect_download() as download:
            button(page, "Export the recording")
        download.value.save_as(tmp_path / "recording.html")
    url = (tmp_path / "recording.html").as_uri()
    with tab_in(browser, url) as page:
        assert page.text(".counter") == "step 0 of 12"
        page.tab.get_by_title("Play or pause").click()
        wait_for_step(page, 12)
        page.tab.locator(".scrubbing input").fill("5")
        wait_for_step(page, 5)
        assert page.text(".facts-line") == facts
        button(page, "Step")
        wait_for_step(page, 6)
        button(page, "Show the code")
        assert "range(5 + 1)" in page.text("#code")
        page.press("Escape")
        assert page.tab.get_by_label("Optimizer").is_disabled()
        assert page.tab.locator("#step-through").is_hidden()
        assert all(url.startswith(("file:", "data:", "blob:")) for url in page.requests)


# ── Looks and names ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("width, scheme", [(375, "light"), (768, "dark"), (1440, "light")])
def test_nothing_is_wider_than_the_window(open_network, width, scheme):
    with open_network("&steps=3", width=width, scheme=scheme) as page:
        wait_for_step(page, 3)
        wide = page.tab.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
        ground = page.tab.evaluate("getComputedStyle(document.body).backgroundColor")
        dark = sum(map(int, re.findall(r"\d+", ground)[:3])) < 200
        assert dark == (scheme == "dark")
        cropped = page.tab.evaluate(
            """() => [...document.querySelectorAll("#network button, #network select, .counter")]
              .filter((e) => e.offsetParent && (e.scrollWidth > e.clientWidth + 1))
              .map((e) => e.textContent)"""
        )
        assert cropped == []


def test_everything_has_a_name_and_can_be_reached_by_the_keyboard(open_network):
    with open_network() as page:
        nameless = page.tab.evaluate(
            """() => [...document.querySelectorAll("#network :is(button, input, select, canvas)")]
              .filter((e) => !(e.getAttribute("aria-label") || e.labels?.[0]?.textContent.trim()
                || e.textContent.trim()))
              .map((e) => e.outerHTML)"""
        )
        assert nameless == []
        reached = set()
        page.tab.locator("#show-code").focus()
        for _ in range(60):
            page.press("Tab")
            reached.add(
                page.tab.evaluate(
                    "document.activeElement.ariaLabel ?? document.activeElement.textContent"
                    ".slice(0, 30)"
                )
            )
        assert {"Step", "Backward step", "Restart", "Add a layer", "Step that is shown"} <= reached
        assert "The graph of the example" in reached


def test_nothing_moves_where_motion_is_reduced(open_network):
    running = "document.getAnimations().filter((a) => a.playState === 'running').length"
    with open_network(motion="reduce") as page:
        page.tab.locator(".graph-view").scroll_into_view_if_needed()
        assert page.tab.evaluate(running) == 0
    with open_network(motion="no-preference") as page:
        page.tab.locator(".graph-view").scroll_into_view_if_needed()
        page.wait_until(f"{running} > 5")


def test_it_is_printed_without_its_controls(open_network):
    with open_network("&steps=2") as page:
        wait_for_step(page, 2)
        page.tab.emulate_media(media="print")
        for selector in (".player button", ".settings", ".graph-head .buttons"):
            assert page.tab.locator(selector).first.is_hidden()
        for selector in ("canvas.plot", ".layers", ".graph-view svg"):
            assert page.tab.locator(selector).is_visible()
