"""Import this before nbformat: it keeps a second of imports out of a process.

jsonschema, which nbformat needs, builds a grammar of IRIs when an optional package is there.
Nothing in the course checks IRIs, so it is told that the package is not installed.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
