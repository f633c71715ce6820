"""A stored report in a browser: light, dark, on a phone, and as pictures for the documents."""

from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

SCREEN = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
SCHEMES = {"light": "", "dark": "_dark"}


def open_report(page: Any, report: Path, scheme: str = "light") -> list[str]:
    """Open a report in a color scheme and return what a browser asked for or complained about."""
    heard: list[str] = []
    address = report.absolute().as_uri()
    page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on(
        "request",
        lambda request: heard.append(request.url) if request.url != address else None,
    )
    page.set_viewport_size(SCREEN)
    page.emulate_media(color_scheme=scheme)
    page.goto(address)
    return heard


def keep_first_screens(page: Any, report: Path, folder: Path) -> list[Path]:
    """Write `report_<strategy>.png` and `report_<strategy>_dark.png` of a report's first screen."""
    kept: list[Path] = []
    for scheme, suffix in SCHEMES.items():
        open_report(page, report, scheme)
        strategy = page.locator("h1").inner_text()
        kept.append(folder / f"report_{strategy}{suffix}.png")
        shown = Image.open(BytesIO(page.screenshot()))
        # A palette has a third of the bytes, and its 256 colours are enough for lines and letters.
        shown.convert("RGB").quantize(256).save(kept[-1], optimize=True)
    return kept
