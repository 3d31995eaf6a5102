"""The kubelet's $(NAME), which it expands in commands, arguments and the values of variables: where it may.

What a user writes into a field of Slipway's is data, and reaches the program as it was written: engine arguments, a
model's path, a recipe. The one exception is a TrainingJob's `command`, which is a container's command and is expanded
like one, since no shell stands between it and the pod's variables.
"""


def literal(text: str) -> str:
    """What the kubelet makes `text` of: it reads `$$` as `$`, and expands nothing behind it."""
    return text.replace("$", "$$")
