"""An embedded evaluator of Alertmanager configurations.

It reads the routing tree, the inhibition rules and the time intervals of a configuration file as
Alertmanager 0.25 does, says which receivers an alert reaches (:func:`match_routes`), how alerts are
grouped and which of them are inhibited (:func:`group_alerts`), and plays alerts through the tree in
simulated time (:func:`notify`). Receivers need only a name: nothing is ever sent. YAML aliases,
anchors and tags are refused, and so is a file above 64 KiB.

Examples
--------
>>> config = load_config('''
... route:
...   receiver: mail
...   group_by: [service]
...   routes:
...     - matchers: [severity="page"]
...       receiver: pager
... receivers: [{name: mail}, {name: pager}]
... ''')
>>> [route.receiver for route in match_routes(config, {"severity": "page", "service": "cart"})]
['pager']
>>> [route.receiver for route in match_routes(config, {"severity": "ticket"})]
['mail']
"""

from course.telemetry.alertmanager.config import Config, Inhibition, Route, load_config
from course.telemetry.alertmanager.errors import ConfigError
from course.telemetry.alertmanager.matchers import Matcher, parse_matchers
from course.telemetry.alertmanager.routing import Group, group_alerts, inhibited, match_routes
from course.telemetry.alertmanager.timeline import Notification, TimedAlert, notify

__all__ = [
    "Config",
    "ConfigError",
    "Group",
    "Inhibition",
    "Matcher",
    "Notification",
    "Route",
    "TimedAlert",
    "group_alerts",
    "inhibited",
    "load_config",
    "match_routes",
    "notify",
    "parse_matchers",
]
