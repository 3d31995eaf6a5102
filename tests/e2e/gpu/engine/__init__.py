"""The simulated engine: vLLM's or SGLang's HTTP, metrics and signals over a timing model. It runs no model.

For tests in which the words of a model do not matter: scaling, rollouts, wedges, killed operators. How a test uses it
and what it leaves out is in tests/e2e/gpu/README.md. Read in this order: model.py (who runs when, in pure time),
engine.py (that on the clock), api.py (HTTP), __main__.py (start, drain, end).

All imports are relative or of the gateway image: images/simulated-engine copies this directory as it is.
"""
