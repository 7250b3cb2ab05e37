"""HTML and JavaScript on their way to the feedback page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.attacks.attack import Attack, Outcome
from tests.attacks.checks import assert_nothing_gained
from tests.attacks.pages import active_content

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

EVIL = (
    "</pre></script><script>alert(666)</script><img src=x onerror=alert(666)>"
    "<svg onload=alert(666)><iframe src=javascript:alert(666)></iframe>"
    "<a href='javascript:alert(666)'>x</a><base href=//evil.example><meta http-equiv=refresh content=0>"
    "<form action=//evil.example><style>*{display:none}</style>"
)
TRIED = "print(T.mark, 'tried')\n"
RIGHT = "def double(v):\n    return v * 2\n"
SCRIPT = f"EVIL = {EVIL!r}\n{TRIED}"


def _text_cells(tree: dict) -> None:
    for kind in ("markdown", "raw"):
        for source in (
            EVIL,
            f"~~~text\n~~~\n{EVIL}",
            '$\\href{javascript:alert(666)}{x}$\n\n[x](javascript:alert(666)) ![x](x "onerror=alert(666)")',
        ):
            tree["cells"].append({
                "cell_type": kind, "id": f"t{len(tree['cells'])}", "source": source,
                "metadata": {"format": "text/html", "raw_mimetype": "text/html", "tags": [EVIL]},
                "attachments": {"x.svg": {"image/svg+xml": "<svg onload=alert(666)>", "text/html": EVIL}},
            })  # fmt: skip


def _outputs(tree: dict) -> None:
    """Outputs that were never made by a run, in every cell, with every kind of data."""
    data = {kind: EVIL for kind in ("text/html", "text/latex", "text/markdown", "image/svg+xml",
                                    "application/javascript", "application/vnd.jupyter.widget-view+json",
                                    "application/pdf", "text/plain")}  # fmt: skip
    for cell in tree["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [
                {
                    "output_type": "display_data",
                    "data": data,
                    "metadata": {"text/html": {"isolated": False}},
                }
            ]
    tree["metadata"]["widgets"] = {
        "application/vnd.jupyter.widget-state+json": {"state": {"x": EVIL}}
    }
    tree["metadata"]["title"] = tree["metadata"]["authors"] = EVIL


def _tags(tree: dict) -> None:
    for cell in tree["cells"]:
        cell["metadata"].update(
            tags=['x" onclick="alert(666)', EVIL],
            collapsed=EVIL,
            name=EVIL,
            slideshow={"slide_type": EVIL},
        )
        cell["id"] = 'x" onclick="alert(666)'


def _page(name: str, tries: str, code: str = SCRIPT, **more: object) -> Attack:
    return Attack(
        name, tries, code, through="nbgrader", **{"double": RIGHT, "honest": 10.0, **more}
    )


ATTACKS = [
    _page("rich displays", "HTML, JavaScript, SVG, LaTeX and Markdown outputs", SCRIPT + """
from IPython.display import HTML, SVG, IFrame, Javascript, Latex, Markdown, display
for kind in (HTML, Javascript, Latex, Markdown): display(kind(EVIL))
display(SVG(data='<svg xmlns="http://www.w3.org/2000/svg" onload="alert(666)"></svg>'))
display(IFrame('javascript:alert(666)', 10, 10))
display({kind: EVIL for kind in ('text/html', 'application/javascript', 'text/plain', 'image/svg+xml')}, raw=True)
"""),
    _page("text outputs", "markup and terminal escapes on stdout and stderr", SCRIPT + """
import sys
print(EVIL)
print(EVIL, file=sys.stderr)
print('\\x1b]8;;javascript:alert(666)\\x07link\\x1b]8;;\\x07 \\x1b[1"onclick=alert(666)m \\x1b[38;5;<script>m')
EVIL
"""),
    _page("pictures that are none", "markup under the name of a picture", SCRIPT + """
import base64
from IPython.display import display
for raw in (b'\\x89PNG\\r\\n\\x1a\\n' + EVIL.encode(), EVIL.encode()):
    text = base64.b64encode(raw).decode()
    for data in (text, '"><script>alert(666)</script>', text + '" onload="alert(666)'):
        display({'image/png': data, 'image/jpeg': data, 'text/plain': 'x'}, raw=True,
                metadata={'image/png': {'width': '"><script>alert(666)</script>', 'height': EVIL}})
"""),
    _page("error messages and tracebacks", "the message, the name and the source of an error", SCRIPT, detect="""
def detect(v): return 1
Evil = type(EVIL, (Exception,), {'__module__': EVIL})
exec(compile('raise Evil(EVIL)', EVIL, 'exec'))
"""),
    _page("forged errors on iopub", "ename, evalue and traceback of one's own", SCRIPT + """
get_ipython().kernel.send_response(get_ipython().kernel.iopub_socket, 'error',
    {'ename': EVIL, 'evalue': EVIL, 'traceback': [EVIL, '\\x1b[31m' + EVIL]})
"""),
    _page("error messages of a function", "what a hidden check reports of an exception", SCRIPT, detect="""
class Evil(Exception): pass
Evil.__name__ = Evil.__qualname__ = EVIL
def detect(v): raise Evil(EVIL)  # <script>alert(666)</script>
"""),
    _page("answers whose type is markup", "the name of a class that cannot travel", SCRIPT, detect="""
Evil = type(EVIL, (), {'__repr__': lambda self: EVIL})
def detect(v): return Evil()
"""),
    _page("markup in the source", "code, names and strings of cells", SCRIPT + f"""
# {EVIL}
text = '''{EVIL}'''
"""),
    _page("text cells", "Markdown, raw cells, attachments and fences", change=_text_cells),
    _page("forged outputs", "outputs, widgets and titles that no run has made", change=_outputs),
    _page("tags and ids", "attributes of the page's elements", change=_tags),
    _page("file names", "names of files that a page may list", files={
        "<script>alert(666)<.ipynb": "{}", "<img src=x onerror=alert(666)>.csv": "x",
        "page.html": EVIL, "fixture.html": EVIL, "x.svg": "<svg onload=alert(666)>",
        "\"><script>alert(666)<.txt": "x"}),
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_it_gains_nothing(run: Callable[[Attack], Outcome], attack: Attack) -> None:
    assert_nothing_gained(attack, run(attack))


@pytest.mark.parametrize(
    "part",
    [
        "<script>alert(666)</script>",
        "<img src=x onerror=alert(666)>",
        "<svg onload=alert(666)>",
        "<a href='javascript:alert(666)'>x</a>",
        "<p onclick=alert(666)>x</p>",
        "<base href=//evil.example>",
        "<style>*{background:url(//evil.example)}</style>",
    ],
)
def test_the_reader_of_pages_sees_what_is_active(part: str) -> None:
    page = "<html><body><p>harmless</p><script>known()</script></body></html>"
    assert active_content(page.replace("</body>", part + "</body>")) > active_content(page)
