"""End to end: Slipway on a real cluster, through kubectl and helm, as a user has it."""
