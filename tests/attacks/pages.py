"""What of a page a browser would run, fetch or follow."""

from __future__ import annotations

import hashlib
from html.parser import HTMLParser

_INERT = {
    "html", "head", "title", "body", "div", "span", "p", "pre", "code", "table", "tr", "td", "th",
    "thead", "tbody", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "b", "i", "em",
    "strong", "br", "hr", "a", "img", "style", "main", "section", "blockquote", "sub", "sup",
}  # fmt: skip
_INERT_ATTRIBUTES = {"class", "id", "name", "lang", "alt", "title", "style", "width", "height"}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: set[str] = set()
        self._raw = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _INERT:
            self.found.add(f"<{tag} {sorted(attributes)}>"[:200])
        self._raw = tag if tag in ("script", "style") else ""
        for name, value in attributes:
            text = (value or "").strip().lower()
            if name == "style" and ("url(" in text or "expression" in text):
                self.found.add(f"{tag} {name}={text[:80]}")
            if name in _INERT_ATTRIBUTES or (name == "href" and text.startswith("#")):
                continue
            if name == "src" and text.startswith(("data:image/png", "data:image/jpeg")):
                continue
            self.found.add(f"{tag} {name}={text[:80]}")

    def handle_endtag(self, tag: str) -> None:
        self._raw = ""

    def handle_data(self, data: str) -> None:
        if self._raw:
            self.found.add(f"{self._raw} {hashlib.sha256(data.encode()).hexdigest()[:16]}")


def active_content(page: str) -> set[str]:
    """Every active tag and attribute, and a hash of every script and style sheet."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader.found
