"""The pages of a real daemon in a real browser: live, searched, dark, narrow, by keyboard, for all.

The daemon goes on from a day of a shop's jobs. Whatever a page does, its console stays empty,
which a breach of the Content-Security-Policy would not leave it.
"""

import json
import os
import re
import threading
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from e2e import shop
from e2e.conftest import Home, Server
from playwright.sync_api import expect, sync_playwright

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

TOKEN = "a-token-of-forty-characters-for-a-browser"
SIZES = {"wide": (1200, 800), "narrow": (360, 740), "picture": (1200, 720)}
NAMES = [name for name, *_ in shop.JOBS]
IMAGE_BYTES = 150_000
WAIT_MS = 20_000


# --- the daemon, the browser ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory, faketime):
    """Return what starts a daemon in the shop's home that serves its pages, and says where."""
    homes = []

    def start(*options, home=None, env=None):
        home = home or Home(tmp_path_factory.mktemp("shop"))
        homes.append(home)
        home.env = {**shop.clock(faketime), **(env or {})}
        process = home.run("--listen", "127.0.0.1:0", "--instance", "shop", *options)
        said = r"listening +at=(\S+)/"
        home.wait_for(lambda: re.search(said, process.stderr_text()), "it says where it listens")
        return re.search(said, process.stderr_text())[1]

    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        start.server = server
        yield start
        for home in homes:
            home.kill_all()
        server.shutdown()


@pytest.fixture(scope="module")
def home(tmp_path_factory, served):
    """The shop's home, a day after its start."""
    home = Home(tmp_path_factory.mktemp("shop"))
    shop.furnish(home, served.server.url)
    return home


@pytest.fixture(scope="module")
def base(served, home):
    """Where the shop's pages are."""
    return served(home=home)


@pytest.fixture(scope="module")
def chromium(program, home):
    """A browser; it comes after the home, as playwright keeps a loop of its own running."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium):
    """Return what opens a page; at the end its console is empty, save for what a test expects."""
    said, contexts, expected = [], [], []

    def open_page(url, *, size="wide", **options):
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        contexts.append(chromium.new_context(viewport=viewport, timezone_id="UTC", **options))
        contexts[-1].clock.install(time=shop.now())
        page = contexts[-1].new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        return page

    open_page.expected = expected
    yield open_page
    for context in contexts:
        context.close()
    assert [line for line in said if not any(each in line for each in expected)] == []


def rows(page):
    """Return the names of the jobs that are shown, from above."""
    return page.locator("#jobs > tr:not([hidden]) th > a:first-child").all_inner_texts()


def fits(page):
    """Say whether nothing has to be scrolled sideways to be read, but the lines of a file."""
    script = """() => [document.documentElement, ...document.querySelectorAll('.wide:not(:has(.yaml))')]
        .every((each) => each.scrollWidth <= each.clientWidth)"""
    return page.evaluate(script)


# --- what is seen ---------------------------------------------------------------------------------


def test_failing_jobs_come_first_and_every_state_has_a_mark_and_a_word(visit, base):
    page = visit(base)
    expect(page.locator("h1")).to_have_text("✕ 2 of 10 jobs are failing")
    expect(page.locator("#live")).to_have_text("live")
    assert rows(page)[:2] == ["rebuild-search", "backup"]
    assert sorted(rows(page)) == sorted(NAMES)
    states = page.locator("#jobs td:nth-child(2)").all_inner_texts()
    assert set(states) == {"✕ failing", "✓ ok", "○ no run yet", "‖ paused", "\N{EN DASH} disabled"}
    assert "by anna: the search nodes are replaced" in page.locator("#jobs").inner_text()
    assert fits(page)


def test_a_run_shows_without_a_reload_and_the_countdown_counts(visit, base, home):
    page = visit(base)
    expect(page.locator("#live")).to_have_text("live")
    page.evaluate("window.isTheSame = true")
    runs = page.locator("#job-charge-subscriptions td[data-title=Runs]")
    expect(runs).to_contain_text("1 ok")
    due = page.locator("#job-sync-orders [data-due]")
    before = due.inner_text()
    expect(due).not_to_have_text(before)
    assert home.command("trigger", "charge-subscriptions").returncode == 0
    expect(runs).to_contain_text("2 ok")
    expect(page.locator("#job-charge-subscriptions")).to_contain_text("✓ ok")
    expect(page.locator("#latest")).to_contain_text("charge-subscriptions")
    assert page.evaluate("window.isTheSame")


def test_a_search_filters_while_it_is_typed_and_stands_in_the_url(visit, base):
    page = visit(base)
    page.get_by_role("searchbox").fill("SEARCH")
    expect(page.locator("#jobs > tr:not([hidden])")).to_have_count(2)
    assert page.url.endswith("?q=SEARCH")
    assert rows(visit(page.url)) == rows(page) == ["rebuild-search", "warm-search-cache"]
    page.get_by_role("searchbox").fill("")
    expect(page.locator("#jobs > tr:not([hidden])")).to_have_count(len(NAMES))


def test_labels_and_states_filter_and_stand_in_the_url(visit, base):
    page = visit(base)
    page.locator("#job-backup .label").click()
    expect(page.get_by_label("Label")).to_have_value("team=platform")
    assert page.url.endswith("/?label=team%3Dplatform")
    assert rows(page) == ["backup"]
    page.get_by_label("Label").select_option("team=search")
    page.get_by_label("State").select_option("paused")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#jobs > tr")).to_have_count(1)
    assert rows(page) == rows(visit(page.url)) == ["warm-search-cache"]
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("#jobs > tr")).to_have_count(len(NAMES))


def test_a_job_s_page_has_its_runs_why_they_were_so_and_its_own_lines(visit, base):
    page = visit(f"{base}/jobs/rebuild-search")
    expect(page.locator("h1")).to_have_text("rebuild-search ✕ failing")
    newest = page.locator(".runs tbody tr").first
    expect(newest).to_contain_text("503")
    expect(newest).to_contain_text("x-request-id: 4f1c<script>alert(1)</script>")
    expect(page.locator("#next li")).to_have_count(5)
    expect(page.get_by_role("img", name=re.compile("durations of .* runs"))).to_be_visible()
    expect(page.locator(".yaml")).to_contain_text('"name": "rebuild-search"')
    assert fits(page)
    page.get_by_label("At", exact=True).fill("2026-11-22T22:10")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("h1")).to_contain_text("missed")
    expect(page.locator("main")).to_contain_text("slept")
    page.go_back()
    newest.get_by_role("link").click()
    expect(page.locator("h1")).to_contain_text("rebuild-search@2026-11-23T14:10Z ✕ failure")


def test_without_a_script_everything_is_there(visit, base):
    page = visit(f"{base}/?q=search", java_script_enabled=False)
    assert rows(page) == ["rebuild-search", "warm-search-cache"]
    expect(page.locator("#job-rebuild-search [data-due]")).to_contain_text("in ")
    page.get_by_role("searchbox").fill("backup")
    page.get_by_role("button", name="Show").click()
    assert rows(page) == ["backup"]
    page.get_by_role("link", name="backup", exact=True).click()
    page.get_by_label("At", exact=True).fill("03:15")
    page.get_by_role("button", name="Explain").click()
    expect(page.locator("main")).to_contain_text("it failed with connect")


def test_the_keyboard_alone_leads_everywhere_and_stays_where_it_is(visit, base, home):
    page = visit(base)
    expect(page.locator("#live")).to_have_text("live")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.get_by_role("searchbox").focus()
    page.keyboard.type("send-invoices")
    for _ in range(5):  # state, label, button, the table that scrolls, the job
        page.keyboard.press("Tab")
    link = page.get_by_role("link", name="send-invoices", exact=True)
    expect(link).to_be_focused()
    assert link.evaluate("(each) => getComputedStyle(each).outlineStyle") == "solid"
    assert home.command("trigger", "send-invoices").returncode == 0
    expect(page.locator("#job-send-invoices")).to_contain_text("2 ok")
    expect(link).to_be_focused()  # its row is another one now
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("send-invoices")


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("narrow", "dark")])
def test_nothing_bars_anybody(visit, base, size, scheme):
    paths = ("/", "/?q=nothing", "/jobs/rebuild-search", "/jobs/warm-search-cache",
             "/why?job=backup&time=03:15", "/runs/rebuild-search@2026-11-23T14:10Z")  # fmt: skip
    page = visit(base, size=size, color_scheme=scheme)
    light = {"light": True, "dark": False}[scheme]
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (min(map(int, re.findall(r"\d+", color))) > 200) is light
    for path in paths:
        page.goto(base + path)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{path}\n{found.generate_report()}"
        assert fits(page) or (size == "narrow" and "/jobs/" in path), path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


# --- when something is wrong ----------------------------------------------------------------------


def test_what_is_wrong_stands_above_all_and_goes_when_it_is_mended(visit, served, home):
    other = Home(home.path.with_name("wrong"))
    other.path.mkdir()
    url = served.server.url
    name = "a-name-that-is-as-long-as-names-may-be-" + "x" * 24
    job = {"name": name, "schedule": {"interval_minutes": 1440}}
    needs = {"url": url, "headers": {"Authorization": "Bearer ${env:SHOP_TOKEN}"}}
    long = {"labels": {"owner": "o" * 60}, "description": "word " * 30}
    many = [{**job, "name": f"job-{number}", "request": {"url": url}} for number in range(60)]
    other.declare({**job, **long, "request": needs}, *many)
    page = visit(served(home=other))
    notices = page.locator("#notices")
    expect(notices).to_have_text(re.compile(r"SHOP_TOKEN\} is missing"))
    expect(page.locator("#jobs > tr")).to_have_count(61)
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        assert fits(page)
    good = other.config.read_text()
    other.config.write_text(good.replace("1440", "24h", 1))
    expect(notices).to_contain_text("refused since")
    expect(notices).to_contain_text(re.compile(r"1:\d+ "))
    assert Axe().run(page).violations_count == 0
    other.config.write_text(good)
    expect(notices).not_to_contain_text("refused")
    other.config.write_text("jobs: [")
    visit.expected.append("ERR_")  # it loses its daemon
    assert other.processes[0].stop() == 0
    page.goto(served(home=other))
    expect(notices).to_contain_text("the last good jobs file runs")


def test_behind_a_token_a_browser_asks_and_is_live_all_the_same(visit, served, home, tmp_path):
    token = tmp_path / "token"
    token.write_text(TOKEN)
    other = Home(tmp_path)
    other.config.write_text(json.dumps(json.loads(home.config.read_text())))
    url = served("--auth-token-file", str(token), home=other)
    page = visit("about:blank", http_credentials={"username": "anna", "password": TOKEN})
    page.goto(url)
    expect(page.locator("#live")).to_have_text("live")
    assert other.command("trigger", "backup").returncode == 0
    expect(page.locator("#job-backup")).to_contain_text("1 ok")
    visit.expected.append("401")
    refused = visit("about:blank", http_credentials={"username": "anna", "password": "wrong"})
    assert refused.goto(url).status == 401


# --- the README's pictures ------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pictures_of_the_readme_are_of_this_page(visit, base, tmp_path, scheme):
    """With SINKD_IMAGES=deploy/images they are made anew; `make images` does."""
    page = visit(f"{base}/", size="picture", color_scheme=scheme)
    expect(page.locator("#live")).to_have_text("live")
    places = Path(os.environ.get("SINKD_IMAGES", tmp_path))
    taken = page.screenshot(path=places / f"status-{scheme}.png")
    assert len(taken) < IMAGE_BYTES
