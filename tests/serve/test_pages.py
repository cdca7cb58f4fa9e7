"""The pages work in a real browser, by mouse and by keys, and run nothing that comes from data."""

import dataclasses
import re
from collections.abc import Iterator

import httpx
import pytest

from components.artifacts.strings import StringTable
from tests.serve.browser import Browser, browse
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import Server, serve

HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of products whose titles are markup."""
    model = make_model()
    titles = StringTable.of(f"{HOSTILE}{number}" for number in range(50))
    hostile = dataclasses.replace(
        model, catalogue=dataclasses.replace(model.catalogue, titles=titles)
    )
    folder = write_bundle(tmp_path_factory.mktemp("pages") / "bundle", hostile)
    with serve(folder, "--no-access-log") as running:
        yield running


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browse(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser that must not have complained of anything."""
    chromium.be()
    yield chromium
    complaints, chromium.complaints = chromium.complaints, []
    assert complaints == []


def visit(browser: Browser, server: Server, path: str) -> None:
    browser.open(f"{server.client.base_url}{path}")
    browser.wait_for("document.querySelectorAll('#products li, details').length > 0")


def see(browser: Browser, text: str) -> None:
    browser.wait_for(f"document.body.innerText.includes({text!r})")


def titles(browser: Browser) -> list[str]:
    found: list[str] = browser.evaluate(
        "[...document.querySelectorAll('#products .title')].map((each) => each.textContent)"
    )
    return found


def test_a_customer_is_typed_and_titles_are_seen(browser: Browser, server: Server) -> None:
    visit(browser, server, "/")
    see(browser, "Most popular")
    browser.evaluate("document.getElementById('customer').focus()")
    browser.write("C000003")
    browser.press("Enter", "\r")
    see(browser, "Recommended for C000003")
    answer = server.client.get("/recommend/C000003").json()
    assert titles(browser) == [product["title"] for product in answer["recommendations"]]
    assert f"score {answer['recommendations'][0]['score']:.3f}" in browser.text()
    assert browser.evaluate("document.activeElement.id") == "heading"


def test_markup_in_titles_is_text(browser: Browser, server: Server) -> None:
    visit(browser, server, "/#customer=%3Cscript%3E")
    see(browser, "Recommended for <script>")
    assert titles(browser)[0].startswith(HOSTILE)
    assert browser.evaluate("document.title") == "You may also like"
    assert browser.evaluate("document.querySelectorAll('img, script').length") == 1


def test_a_cold_start_is_said(browser: Browser, server: Server) -> None:
    visit(browser, server, "/#customer=nobody")
    see(browser, "Cold start")
    assert titles(browser) == [
        product["title"] for product in server.client.get("/popular").json()["products"]
    ]


def test_liked_products_and_similar_ones_are_a_click_away(browser: Browser, server: Server) -> None:
    visit(browser, server, "/#customer=C000003")
    see(browser, "score")
    browser.evaluate("document.querySelectorAll('#products .like')[1].click()")
    assert browser.evaluate("document.querySelectorAll('#liked li').length") == 1
    browser.evaluate("document.getElementById('for-liked').click()")
    see(browser, "Recommended for who likes these")
    liked = server.client.get("/recommend/C000003").json()["recommendations"][1]["product_id"]
    expected = server.client.post("/recommend", json={"liked": [liked]}).json()
    assert titles(browser) == [product["title"] for product in expected["recommendations"]]
    browser.evaluate("document.querySelector('#liked .similar').click()")
    see(browser, f"Similar to {liked}")
    see(browser, "similarity")
    browser.evaluate("history.back()")
    see(browser, "Recommended for who likes these")


def test_keys_reach_everything_in_order(browser: Browser, server: Server) -> None:
    visit(browser, server, "/")
    names = []
    for _ in range(7):
        browser.press("Tab")
        names.append(
            browser.evaluate(
                "document.activeElement.ariaLabel ?? document.activeElement.textContent"
                " ?? document.activeElement.id"
            )
        )
    first = titles(browser)[0]
    links = ["Popular", "API", "Metrics"]
    assert names == [*links, "", "Recommend", f"Similar to {first}", f"Like {first}"]


def test_a_screen_reader_finds_names_and_roles(browser: Browser, server: Server) -> None:
    visit(browser, server, "/")
    nodes = browser.tell("Accessibility.getFullAXTree")["nodes"]
    found = {(node["role"]["value"], node["name"]["value"]) for node in nodes if "name" in node}
    assert {
        ("textbox", "Customer"),
        ("button", "Recommend"),
        ("heading", "Most popular"),
        ("heading", "Liked products"),
        ("region", "Most popular"),
    } <= found
    assert not {role for role, name in found if role in {"button", "link", "textbox"} and not name}
    assert browser.evaluate("document.documentElement.lang") == "en"


def test_an_error_is_said(server: Server, chromium: Browser) -> None:
    chromium.open(f"{server.client.base_url}/#similar=gone")
    see(chromium, "The server says: unknown product 'gone'")
    assert titles(chromium) == []
    chromium.complaints.clear()  # Chromium itself notes the 404


@pytest.mark.parametrize("path", ["/#customer=C000003", "/docs"])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_a_phone_and_both_colour_schemes(
    browser: Browser, server: Server, path: str, dark: bool
) -> None:
    browser.be(width=360, height=740, dark=dark)
    visit(browser, server, path)
    browser.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    style = "getComputedStyle(document.body)"
    colours = [browser.evaluate(f"{style}.{name}") for name in ("color", "backgroundColor")]
    ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert (ink > paper) == dark


def test_the_docs_show_every_operation_and_what_it_takes(browser: Browser, server: Server) -> None:
    visit(browser, server, "/docs#get_recommend_customer_id")
    see(browser, "integer from 1 to 1,000, by default 10")
    see(browser, "exclude=A&exclude=B")
    for path, methods in server.client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in browser.text()
    assert "undefined" not in browser.text()
    assert "[object" not in browser.text()
    visit(browser, server, "/docs#InputTensor")
    see(browser, "BYTES or INT32 or INT64")


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_nothing_of_other_hosts(server: Server, path: str) -> None:
    page: httpx.Response = server.client.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    links = set(re.findall(r'(?:src|href)="([^"]*)"', page.text))
    assert links <= {"data:,", "#", "docs", "metrics", "./", "openapi.json"}
    assert "http" not in page.text
    assert len(page.content) < 16_000
