"""A student's side: the workspace, its JupyterLab, the visible checks and the progress.

`files` copies released notebooks without ever overwriting work, `lab` starts JupyterLab,
`check` runs the visible checks, `progress` sums up, `syllabus` knows months and points.
"""

import course._lean  # noqa: F401
