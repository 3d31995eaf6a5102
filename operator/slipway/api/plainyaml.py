"""YAML as people read it: without anchors, so that everything stands where it applies. PyYAML writes them by itself."""

import yaml


class PlainDumper(yaml.SafeDumper):
    """For `yaml.dump(..., Dumper=PlainDumper)`: what occurs twice is written twice."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True
