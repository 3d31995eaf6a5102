"""The simulated engine under the name by which SGLang is started. It is not SGLang."""
