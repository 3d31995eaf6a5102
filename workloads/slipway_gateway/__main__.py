"""`python -m slipway_gateway`: see `--help` for the settings."""

import logging
import sys

import uvloop
import yaml

from .app import run
from .settings import load


def main() -> int:
    settings = load(sys.argv[1:])
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    status = 0
    try:
        uvloop.run(run(settings))
    except* (OSError, ValueError, yaml.YAMLError) as problems:
        for problem in problems.exceptions:
            logging.error("cannot start: %s", problem)
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
