import re

from trading_assets.backtest.svg import as_element, tidy

DRAWN = """<?xml version="1.0"?>
<!DOCTYPE svg>
<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 9 9">
 <metadata>
  <rdf:RDF><dc:format>image/svg+xml</dc:format></rdf:RDF>
 </metadata>
 <defs>
  <style type="text/css">*{stroke-linejoin: round}</style>
 </defs>
 <g id="figure_1">
  <path id="m1" d="M 0.123456 0
L -10.500000 3.999999
" clip-path="url(#p1)" style="stroke: #010203"/>
  <use xlink:href="#m1" x="73.746376"/>
  <clipPath id="p1"><rect x="1"/></clipPath>
 </g>
</svg>
"""


def test_an_element_has_a_label_and_no_prologue_metadata_or_style_sheet():
    svg = as_element(DRAWN, "a <plot>")
    assert svg.startswith('<svg role="img" aria-label="a &lt;plot&gt;" xmlns:xlink=')
    assert not re.search("xml version|DOCTYPE|metadata|<style|<defs", svg)


def test_coordinates_of_paths_keep_two_decimals():
    assert ' d="M 0.12 0 L -10.5 4"' in tidy(DRAWN)


def test_only_names_that_something_refers_to_are_kept_and_references_follow_them():
    svg = as_element(DRAWN, "plot")
    names = re.findall(r' id="([^"]+)"', svg)
    assert [name.split("-")[0] for name in names] == ["m1", "p1"]
    assert f'xlink:href="#{names[0]}"' in svg
    assert f'clip-path="url(#{names[1]})"' in svg
    assert "stroke: #010203" in svg


def test_names_differ_between_drawings_and_not_between_runs():
    first, again, other = (as_element(DRAWN, label) for label in ("plot", "plot", "other"))
    assert first == again
    names = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, other)]
    assert not names[0] & names[1]


def test_equal_drawings_are_told_apart_by_their_part_of_the_page():
    assert tidy(DRAWN, "2011") != tidy(DRAWN, "2012")
