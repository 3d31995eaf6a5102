"""`python3 -m sglang.launch_server --model-path MODEL ...`: the simulated engine in SGLang's dialect."""

import os
import sys

from simulated_engine.__main__ import main

if __name__ == "__main__":
    sys.exit(main(["sglang", *sys.argv[1:]], os.environ))
