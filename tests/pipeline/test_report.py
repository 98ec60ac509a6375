"""The report of a finished run: whole, and in a real browser."""

import json
import re
import shutil
from html.parser import HTMLParser
from urllib.parse import unquote

import pytest
from pipeline_run import CCD, SHOWCASE
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

MAKER = "https://itables.org/"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
READY = "const all = window.Bokeh?.documents ?? []; return all.length > 0 && all[0].is_idle"
OPTIONS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run
 --disable-background-networking --disable-component-update --disable-sync
 --window-size=1400,1400"""


class _Addresses(HTMLParser):
    """Collects all that a page refers to."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        found = [value for name, value in attrs if name in ("href", "src")]
        # The table names its maker; nothing is loaded from there.
        self.found += [value for value in found if tag != "a" or not value.startswith(MAKER)]


def addresses(page):
    """Addresses in the markup of a page, and those that its plots open."""
    parser = _Addresses()
    text = page.read_text(encoding="utf-8")
    parser.feed(text)
    return parser.found + re.findall(r'"((?:[\w-]+/)?stars(?:/[\w.-]+|\.html#\d+))"', text)


@pytest.fixture(scope="module")
def report(small_run):
    return small_run.results / "report"


def test_every_address_leads_to_a_file(report):
    pages = sorted(report.rglob("*.html"))
    names = {page.relative_to(report).as_posix() for page in pages}
    assert {"index.html", f"{CCD}/index.html", f"{CCD}/stars.html"} < names
    transit = f"{CCD}/stars/tic{SHOWCASE['transit']}-c1800.html"
    assert transit in names
    for page in pages:
        found = addresses(page)
        assert found
        for address in found:
            assert not re.match(r"(https?:)?//", address)  # no internet
            if not address.startswith(("data:", "#")):
                assert (page.parent / unquote(address.split("#")[0])).is_file(), address


def test_first_page_says_what_the_record_says(report, small_run):
    record = json.loads((small_run.results / "run.json").read_text())
    text = (report / "index.html").read_text()
    counts = record["ccds"][CCD]
    for name, value in (("stars", counts["stars"]), ("light curves", counts["light_curves"])):
        assert f"<dt>{name}</dt><dd>{value}</dd>" in text
    assert "<td>photometry</td>" in text
    assert "n_images: 24" in text


@pytest.fixture(scope="module")
def browser():
    if not (CHROMIUM and DRIVER):
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in OPTIONS.split():
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER)) as driver:
        driver.implicitly_wait(20)
        yield driver


def wait_for(condition):
    return WebDriverWait(None, 30).until(lambda _: condition())


def complaints(browser):
    return [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]


@pytest.mark.parametrize(
    "page", ["index.html", f"{CCD}/index.html", f"{CCD}/stars/tic{SHOWCASE['transit']}-c1800.html"]
)
def test_pages_draw_their_plots_without_complaint(browser, report, page):
    browser.get((report / page).as_uri())
    wait_for(lambda: browser.execute_script(READY))
    assert complaints(browser) == []


def test_click_on_a_star_opens_its_page(browser, report):
    from selenium.webdriver.common.action_chains import ActionChains

    browser.get((report / CCD / "index.html").as_uri())
    wait_for(lambda: browser.execute_script(READY))
    x, y = browser.execute_script(
        """
        for (const view of Object.values(Bokeh.index)) {
            const renderers = view.model.renderers ?? [];
            if (renderers[1]?.glyph?.x?.field != "column") { continue; }
            for (const renderer of renderers.slice(1)) {
                const data = renderer.data_source.data;
                const at = Array.from(data.tic_id).findIndex((tic) => Number(tic) == arguments[0]);
                if (at < 0) { continue; }
                view.el.scrollIntoView({block: "center"});
                const frame = view.frame, box = view.canvas_view.el.getBoundingClientRect();
                return [box.x + frame.x_scale.compute(data.column[at]),
                        box.y + frame.y_scale.compute(data.row[at])];
            }
        }
        """,
        SHOWCASE["transit"],
    )
    actions = ActionChains(browser)
    actions.w3c_actions.pointer_action.move_to_location(round(x), round(y)).click()
    first = browser.current_window_handle
    actions.perform()
    wait_for(lambda: len(browser.window_handles) > 1 or "stars/tic" in browser.current_url)
    browser.switch_to.window(browser.window_handles[-1])
    wait_for(lambda: f"tic{SHOWCASE['transit']}" in browser.current_url)
    assert str(SHOWCASE["transit"]) in browser.title
    if browser.current_window_handle != first:
        browser.close()
        browser.switch_to.window(first)


def test_table_can_be_searched(browser, report):
    from selenium.webdriver.common.by import By

    def shown():  # at once: a row that is found may be redrawn before it is read
        rows = "Array.from(document.querySelectorAll('#stars tbody tr'))"
        return browser.execute_script(f"return {rows}.map(row => row.textContent)")

    page = report / CCD / "stars.html"
    browser.get(page.as_uri())
    wait_for(lambda: len(shown()) > 5)
    browser.find_element(By.CSS_SELECTOR, "input[type=search]").send_keys(str(SHOWCASE["eclipse"]))
    wait_for(lambda: len(shown()) == 1)
    assert str(SHOWCASE["eclipse"]) in shown()[0]
    browser.get("about:blank")
    browser.get(f"{page.as_uri()}#{SHOWCASE['transit']}")
    wait_for(lambda: len(shown()) == 1 and str(SHOWCASE["transit"]) in shown()[0])
    assert complaints(browser) == []
