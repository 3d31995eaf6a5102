"""`python3 tests/e2e/cluster COMMAND`: the one entry point of the test bed."""

import sys

from bed.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
