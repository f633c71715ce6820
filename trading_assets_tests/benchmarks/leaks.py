"""Figures of the causality certificate: planted leaks caught, and alarms raised for nothing.

The catalogue and the way through the certificate are those of the tests. `one_month` is the share
of leaks that a single month's materialization catches, with three moments, mean over whole months:
leaks that show in some rows only, such as a gap filled from behind, need a moment inside the gap.
"""

from statistics import mean

from trading_assets_tests.benchmarks.figures import REPOSITORY, Figure, keep
from trading_assets_tests.features.planted_leaks import HONEST, LEAKS, MONTHS, judge, render_table

DOCUMENT = REPOSITORY / "docs" / "leaks.md"
BEGIN, END = "<!-- leaks:begin -->", "<!-- leaks:end -->"


def measure_leaks() -> None:
    """Judge the catalogue and its honest look-alikes, and write the table of docs/leaks.md."""
    judged = judge(LEAKS)
    keep(Figure("features.leaks_planted", len(judged), "leaks"))
    keep(Figure("features.leaks_caught", sum(bool(one.sentences) for one in judged), "leaks"))
    alone = [mean(bool(one.sentences) for one in judge(LEAKS, [month])) for month in MONTHS[:-1]]
    keep(Figure("features.leaks_caught_one_month", mean(alone), "fraction"))
    alarms = sum(bool(one.sentences) for one in judge(HONEST))
    keep(Figure("features.honest_planted", len(HONEST), "columns"))
    keep(Figure("features.honest_reported", alarms, "columns", limit=0))
    write_table(render_table(judged))


def write_table(table: str) -> None:
    """Replace the table between the markers of the document."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    text = f"{before}{BEGIN}\n{table}\n{END}{after}"
    DOCUMENT.write_text(text, encoding="utf-8")


STAGES = {"leaks": measure_leaks}
