"""The plan: pure functions from what is asked and what is seen to what is to be done.

(owner, observed, now) -> Plan. Nothing here reads a clock, an environment or a network; import-linter enforces it. A
reader who wants to know what Slipway does in some situation finds it here, and changes it with one test.
"""
