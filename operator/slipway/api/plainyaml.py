"""YAML as people and kubectl read it: without anchors, so that everything stands where it applies, and with quotes
around what kubectl would not see as text. PyYAML does neither by itself: `1e-3` and `y` are text to it.
"""

import yaml

from .scalars import Resolver


class PlainDumper(Resolver, yaml.SafeDumper):
    """For `yaml.dump(..., Dumper=PlainDumper)`: what occurs twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True
