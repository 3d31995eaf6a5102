"""What runs in training pods: a launcher around torchrun's agent, and the recipes that it starts.

Nothing here knows Kubernetes. The contract with the operator is environment variables in, a termination message,
an exit code, files on the output volume and progress reports out (docs/training.md).
"""
