# %% [markdown] nbgrader={"grade": false, "grade_id": "intro", "locked": true, "schema_version": 3, "solution": false, "task": false}
# # A lesson <b>in bold</b>

# %% nbgrader={"grade": false, "grade_id": "imports", "locked": true, "schema_version": 3, "solution": false, "task": false}

import pandas as pd


# %% nbgrader={"grade": false, "grade_id": "double", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
def double(values):
    return values * 2


### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-double", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 10}
assert (double(pd.Series([1.0, 2.0])) == pd.Series([2.0, 4.0])).all(), "double does not double"

# %% tags=["demo"]
print("a long plot")


# %% nbgrader={"grade": false, "grade_id": "detect", "locked": false, "schema_version": 3, "solution": true, "task": false}
### BEGIN SOLUTION
def detect(values):
    return (values - values.median()).abs() > 5


### END SOLUTION

# %% nbgrader={"grade": true, "grade_id": "check-detect", "locked": true, "schema_version": 3, "solution": false, "task": false, "points": 20}
assert detect(pd.Series([0.0] * 9 + [50.0])).iloc[-1], "detect misses the spike"
