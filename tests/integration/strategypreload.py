"""What the server that gangs are forked from has imported already."""

import os

os.environ["DS_ACCELERATOR"] = "cpu"

import bitsandbytes  # noqa: F401
import deepspeed  # noqa: F401
import peft  # noqa: F401

import slipway_train.course
import slipway_train.strategies.ddp
import slipway_train.strategies.fsdp
import slipway_train.strategies.parallel
import slipway_train.strategies.zero  # noqa: F401
