"""Field study: which node of PetShop caused an issue?

>>> from course.field import petshop
>>> table = petshop.study(my_ranking)                                    # doctest: +SKIP
>>> petshop.plot_study(table)                                            # doctest: +SKIP

``python -m course.field.petshop`` prints the study with the simple rankings and chance. What to know
about the data stands in `course.field.petshop.data`.
"""

from course.field.petshop.charts import plot_study
from course.field.petshop.data import TRAFFIC, Issue, PetShop, PetShopFormatError, load, shift
from course.field.petshop.published import CITATION, SOURCE, published_table
from course.field.petshop.study import SIMPLE, candidates, study

__all__ = [
    "CITATION",
    "SIMPLE",
    "SOURCE",
    "TRAFFIC",
    "Issue",
    "PetShop",
    "PetShopFormatError",
    "candidates",
    "load",
    "plot_study",
    "published_table",
    "shift",
    "study",
]
