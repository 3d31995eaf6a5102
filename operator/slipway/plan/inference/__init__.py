"""The plan of an InferenceService: a Deployment of vLLM behind a Service, and a ScaledObject when scaling is asked for.

Read plan.py first; it is the order of decisions. Every other module holds one of them.
"""

from .plan import plan

__all__ = ["plan"]
