"""What nbgrader needs: the command line, the formgrader and `course grade` read this file.

Folders are nbgrader's defaults: source/, release/, submitted/, autograded/, feedback/, and the
gradebook in gradebook.db beside this file. Submissions run in the sandbox and are judged by
the hidden checks of course/lessons; see course/grading/plugin.py for the preprocessors.
"""

from pathlib import Path

from traitlets.config import Config

from course.authoring.release import OPTIONS
from course.grading.plugin import configure

c = get_config()  # noqa: F821 - given by nbgrader
c.CourseDirectory.root = str(Path(__file__).resolve().parent)
configure(c)
# The release that the formgrader makes is the one that `course build` makes.
c.merge(Config(OPTIONS))
