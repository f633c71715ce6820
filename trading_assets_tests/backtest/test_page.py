import re
from html.parser import HTMLParser

import pytest

from trading_assets.backtest.page_contents import anchors_of, contents
from trading_assets.backtest.page_parts import Table
from trading_assets.backtest.page_tables import folded_table, table_markup
from trading_assets_tests.backtest.test_report import KEYS, report_of

VOID = {"meta", "path", "use", "rect", "image", "br", "wbr"}


class Outline(HTMLParser):
    """What a page is made of; fails where an element is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.links: list[str] = []
        self.folded: list[bool] = []
        self.captions: list[str] = []
        self.headings: list[tuple[str, str]] = []
        self.unlabelled = 0
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.names.append(str(given["id"]))
        if tag == "a":
            self.links.append(str(given["href"]).removeprefix("#"))
        if tag == "table":
            self.folded.append("details" in self.open)
        if tag == "svg" and not (given.get("role") == "img" and given.get("aria-label")):
            self.unlabelled += 1
        if tag == "th" and given.get("scope") not in ("row", "col"):
            self.unlabelled += 1
        self._text = []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        assert self.open.pop() == tag
        if tag == "caption":
            self.captions.append("".join(self._text))
        if tag == "h2":
            self.headings.append((self.names[-1], "".join(self._text)))


def outline_of(page: str) -> Outline:
    outline = Outline()
    outline.feed(page)
    outline.close()
    return outline


def table_of(*columns: list[str], header: list[str] | None = None) -> str:
    rows = [[f"row {place}", *cells] for place, cells in enumerate(zip(*columns, strict=True))]
    titles = header or [f"column {place}" for place in range(len(columns))]
    return table_markup(Table("caption", ["Name", *titles], rows))


def test_every_element_is_closed_and_no_name_is_given_twice():
    outline = outline_of(report_of().html)
    assert outline.open == []
    assert len(outline.names) == len(set(outline.names)) > 10


def test_contents_lead_to_every_part_by_a_name_from_its_title():
    outline = outline_of(report_of().html)
    assert outline.links == anchors_of([title for _, title in outline.headings])
    assert outline.links == [name for name, _ in outline.headings]
    assert ("what-the-evidence-is-worth", "What the evidence is worth") in outline.headings
    assert set(outline.links) <= set(outline.names)
    page = report_of().html
    assert page.index('class="verdict') < page.index("<figure") < page.index("<nav")
    assert page.index('<nav aria-label="Contents">') < page.index("<table>")


def test_drawings_have_labels_and_headers_of_tables_a_scope():
    assert outline_of(report_of().html).unlabelled == 0


def test_only_figures_and_returns_by_fold_are_open():
    outline = outline_of(report_of().html)
    is_folded = dict(zip(outline.captions, outline.folded, strict=True))
    opened = [caption for caption, folded in is_folded.items() if not folded]
    assert len(opened) == 2
    assert opened[0].startswith("After costs, annual")
    assert opened[1].startswith("Net return of each test window")


def test_print_shows_what_is_folded_away_on_a_screen():
    style = report_of().html.split("@media print")[1]
    assert "details::details-content" in style
    assert "content-visibility: visible" in style


@pytest.mark.parametrize(
    ("titles", "names"),
    [
        (["Under stress", "What is missing?"], ["under-stress", "what-is-missing"]),
        (["Trading", "Trading", "trading"], ["trading", "trading-2", "trading-3"]),
        (["A  &  B", "1/2"], ["a-b", "1-2"]),
        (["\N{EN DASH}", "\N{EN DASH}"], ["part", "part-2"]),
    ],
)
def test_names_derive_from_titles_and_are_unique(titles: list[str], names: list[str]):
    assert anchors_of(titles) == names


def test_titles_are_escaped_in_the_contents():
    assert '<a href="#a-b">A &lt; B</a>' in contents(["A < B"])


def test_words_are_to_the_left_with_their_header_and_numbers_to_the_right():
    markup = table_of(
        ["passed", "not passed"],
        ["1.5", "\N{MINUS SIGN}2"],
        ["1.0", "none"],
        ["\N{EN DASH}", "\N{EN DASH}"],
        ['<span class="sentence">3 of 5</span>', '<span class="sentence">all</span>'],
        header=["Verdict", "Figure", "p", "Empty", "In words"],
    )
    heads = re.findall(r'<th scope="col"( class="text")?>([^<]+)', markup)
    assert [title for kind, title in heads if kind] == ["Verdict", "In words"]
    assert markup.count('<td class="text">') == 4
    assert '<td class="text">passed</td><td>1.5</td>' in markup


def test_intervals_are_beside_figures_where_there_is_room_and_figures_stay_in_line():
    interval = '1.0<span class="interval">0 to 2</span>'
    narrow = table_of([interval, "\N{EN DASH}"], ["1", "2"])
    assert '<div class="scroll roomy">' in narrow
    assert '<td>\N{EN DASH}<span class="interval"></span></td><td>2</td>' in narrow
    wide = table_of(*[[interval, "\N{EN DASH}"]] * 8)
    assert '<div class="scroll"><table>' in wide
    assert '<span class="interval"></span>' not in wide


def test_a_folded_table_says_its_caption_on_the_line_that_opens_it():
    markup = folded_table(Table("By side, < USD", ["Part", "Net"], [["long", "1"]]))
    assert markup.startswith("<details><summary>By side, &lt; USD</summary>")
    assert "<caption>By side, &lt; USD</caption>" in markup


def test_folds_are_columns_and_their_windows_are_told():
    page = report_of().html
    for caption in ("Net return of each test window", "Annual Sharpe ratio of each test window"):
        table = page.split(f"<caption>{caption}")[1].split("</table>")[0]
        heads = re.findall(r'<th scope="col"[^>]*>([^<]+)', table)
        assert heads == ["Portfolio", *KEYS]
    assert "ppo, its seeds" in table
    windows = page.split("<caption>Windows of each fold</caption>")[1].split("</table>")[0]
    assert "<td>2020-06-30</td><td>2019-04-01</td><td>2020-03-31</td>" in windows


def test_the_plot_has_a_band_that_its_note_explains():
    page = report_of().html
    assert re.search(r"<text[^>]*>95 % band of ppo/ensemble</text>", page)
    plot = page.split("<svg")[1].split("</svg>")[0]
    # Of growth, of drawdown, and in the legend.
    assert plot.count("fill-opacity: 0.2") == 3
    assert "A band holds, session by session, 95 % of the paths" in page
    assert len(page.encode()) < 5_000_000
