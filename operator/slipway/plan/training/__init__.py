"""The plan of a TrainingJob: a gang of pods (a PyTorchJob) for each attempt, and a claim for what they write.

Read plan.py first; it is the order of decisions. Every other module holds one of them.
"""

from .plan import plan

__all__ = ["plan"]
