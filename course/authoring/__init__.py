"""From a lesson's text to the notebook a student opens.

`notebook` turns the text into cells, `execute` runs them, `release` takes the solutions out,
`leaks` proves that they are out, `build` does all of it for what has changed, `bundle` packs
what a student gets.
"""

import course._lean  # noqa: F401
