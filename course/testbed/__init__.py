"""The shop for real: small services in separate processes, with load, faults and telemetry.

The names and the call graph are those of :mod:`course.shop`; what the simulator computes, the
testbed does. ``course testbed up`` starts it, ``course testbed down`` ends it; a recording of
its telemetry is what the simulator is judged against.
"""
