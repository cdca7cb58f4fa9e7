"""The pages work in a real browser, by mouse and by keys, and run nothing that comes from data."""

import dataclasses
import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from components.artifacts.strings import StringTable
from tests.browser import collect_complaints
from tests.serve.bundles import make_model, write_bundle
from tests.serve.server import Server, serve

HOSTILE = "<img src=x onerror=\"document.title='broken'\"><script>document.title='broken'</script>"

browser = pytest.mark.browser


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


@pytest.fixture
def visitor(page: Page) -> Iterator[Page]:
    """A page that must not have complained of anything."""
    complaints = collect_complaints(page)
    yield page
    assert complaints == []


def visit(page: Page, server: Server, path: str) -> None:
    page.goto("about:blank")  # another fragment alone would not load the page again
    page.goto(f"{server.client.base_url}{path}")
    expect(page.locator("#products li, details").first).to_be_attached()


def see(page: Page, text: str) -> None:
    expect(page.locator("body")).to_contain_text(text)


def titles(page: Page) -> list[str]:
    return page.locator("#products .title").all_text_contents()


@browser
def test_a_customer_is_typed_and_titles_are_seen(visitor: Page, server: Server) -> None:
    visit(visitor, server, "/")
    see(visitor, "Most popular")
    visitor.get_by_label("Customer").fill("C000003")
    visitor.keyboard.press("Enter")
    see(visitor, "Recommended for C000003")
    answer = server.client.get("/recommend/C000003").json()
    assert titles(visitor) == [product["title"] for product in answer["recommendations"]]
    see(visitor, f"score {answer['recommendations'][0]['score']:.3f}")
    expect(visitor.locator("#heading")).to_be_focused()


@browser
def test_a_recommendation_says_which_liked_products_it_is_for(
    visitor: Page, server: Server
) -> None:
    answer = server.client.get("/recommend/C000003?explain=true").json()
    visit(visitor, server, "/#customer=C000003")
    see(visitor, "Recommended for C000003")
    for number, product in enumerate(answer["recommendations"]):
        names = ", ".join(reason["title"] for reason in product["because"])
        shown = f"because you liked {names}" if names else ""
        expect(visitor.locator("#products .reasons").nth(number)).to_have_text(shown)
    assert any(product["because"] for product in answer["recommendations"])


@browser
def test_markup_in_titles_is_text(visitor: Page, server: Server) -> None:
    visit(visitor, server, "/#customer=%3Cscript%3E")
    see(visitor, "Recommended for <script>")
    assert titles(visitor)[0].startswith(HOSTILE)
    assert visitor.title() == "You may also like"
    assert visitor.locator("img, script").count() == 1


@browser
def test_a_cold_start_is_said(visitor: Page, server: Server) -> None:
    visit(visitor, server, "/#customer=nobody")
    see(visitor, "Cold start")
    popular = server.client.get("/popular").json()["products"]
    assert titles(visitor) == [product["title"] for product in popular]


@browser
def test_liked_products_and_similar_ones_are_a_click_away(visitor: Page, server: Server) -> None:
    visit(visitor, server, "/#customer=C000003")
    see(visitor, "score")
    visitor.locator("#products .like").nth(1).click()
    expect(visitor.locator("#liked li")).to_have_count(1)
    visitor.locator("#for-liked").click()
    see(visitor, "Recommended for who likes these")
    liked = server.client.get("/recommend/C000003").json()["recommendations"][1]["product_id"]
    expected = server.client.post("/recommend", json={"liked": [liked]}).json()
    assert titles(visitor) == [product["title"] for product in expected["recommendations"]]
    visitor.locator("#liked .similar").click()
    see(visitor, f"Similar to {liked}")
    see(visitor, "similarity")
    visitor.go_back()
    see(visitor, "Recommended for who likes these")


@browser
def test_keys_reach_everything_in_order(visitor: Page, server: Server) -> None:
    visit(visitor, server, "/")
    names = []
    for _ in range(7):
        visitor.keyboard.press("Tab")
        names.append(
            visitor.evaluate(
                "document.activeElement.ariaLabel ?? document.activeElement.textContent"
                " ?? document.activeElement.id"
            )
        )
    first = titles(visitor)[0]
    links = ["Popular", "API", "Metrics"]
    assert names == [*links, "", "Recommend", f"Similar to {first}", f"Like {first}"]


@browser
def test_a_screen_reader_finds_names_and_roles(visitor: Page, server: Server) -> None:
    visit(visitor, server, "/")
    for role, name in (
        ("textbox", "Customer"),
        ("button", "Recommend"),
        ("heading", "Most popular"),
        ("heading", "Liked products"),
        ("region", "Most popular"),
    ):
        expect(visitor.get_by_role(role, name=name, exact=True)).to_be_visible()  # type: ignore[arg-type]
    for role in ("button", "link", "textbox"):
        for element in visitor.get_by_role(role).all():  # type: ignore[arg-type]
            expect(element).to_have_accessible_name(re.compile(r"\S"))
    assert visitor.evaluate("document.documentElement.lang") == "en"


@browser
def test_an_error_is_said(page: Page, server: Server) -> None:
    page.goto(f"{server.client.base_url}/#similar=gone")  # Chromium itself notes the 404
    see(page, "The server says: unknown product 'gone'")
    assert titles(page) == []


@browser
@pytest.mark.parametrize("path", ["/#customer=C000003", "/docs"])
@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_a_phone_and_both_colour_schemes(
    visitor: Page, server: Server, path: str, dark: bool
) -> None:
    visitor.set_viewport_size({"width": 360, "height": 740})
    visitor.emulate_media(color_scheme="dark" if dark else "light")
    visit(visitor, server, path)
    visitor.evaluate("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert visitor.evaluate("document.documentElement.scrollWidth") == 360
    style = "getComputedStyle(document.body)"
    colours = [visitor.evaluate(f"{style}.{name}") for name in ("color", "backgroundColor")]
    ink, paper = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert (ink > paper) == dark


@browser
def test_the_docs_show_every_operation_and_what_it_takes(visitor: Page, server: Server) -> None:
    visit(visitor, server, "/docs#get_recommend_customer_id")
    see(visitor, "integer from 1 to 1,000, by default 10")
    see(visitor, "exclude=A&exclude=B")
    text = visitor.locator("body").inner_text()
    for path, methods in server.client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in text
    assert "undefined" not in text
    assert "[object" not in text
    visit(visitor, server, "/docs#InputTensor")
    see(visitor, "BYTES or INT32 or INT64")


@browser
@pytest.mark.parametrize(("path", "link"), [("/", "/popular"), ("/docs", "openapi.json")])
def test_without_javascript_a_page_leads_to_the_data(
    browser: Browser, server: Server, path: str, link: str
) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{server.client.base_url}{path}")
        text = page.locator("body").inner_text()
        assert "This page needs JavaScript." in text
        assert "Loading" not in text
        page.get_by_role("main").get_by_role("link", name=link).click()
        assert page.url.endswith(link)


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_nothing_of_other_hosts(server: Server, path: str) -> None:
    page: httpx.Response = server.client.get(path)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    links = set(re.findall(r'(?:src|href)="([^"]*)"', page.text))
    assert links <= {"data:,", "#", "docs", "metrics", "./", "openapi.json", "popular"}
    assert "http" not in page.text
    assert len(page.content) < 16_000
