"""What holds for every pod, a trainer's or an engine's: the user's template in it, and why it does not run.

template.py merges; policy.py, containers.py and types.py refuse (policytypes.py is what they share); problems.py
and mounting.py explain; expansion.py says what the kubelet may expand, oneclaim.py which volumes it would never mount.
"""
