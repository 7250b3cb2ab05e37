"""Alertmanager without Alertmanager: routing, grouping, inhibition and notifications.

:func:`load_config` reads a configuration as strictly as ``amtool check-config``,
:meth:`Config.receivers_of` routes an alert, :meth:`Route.group` groups it, :meth:`Config.muted`
inhibits it, and :func:`notifications` says when who is told, in simulated time. Tests prove it equal to
amtool and to a running Alertmanager 0.25 on generated configurations.
"""

from course.telemetry.alertmanager.config import (
    AlertmanagerConfigError,
    Config,
    InhibitRule,
    Route,
    load_config,
)
from course.telemetry.alertmanager.matchers import Matcher, parse_matchers
from course.telemetry.alertmanager.notify import Alert, Notification, notifications

__all__ = [
    "Alert",
    "AlertmanagerConfigError",
    "Config",
    "InhibitRule",
    "Matcher",
    "Notification",
    "Route",
    "load_config",
    "notifications",
    "parse_matchers",
]
