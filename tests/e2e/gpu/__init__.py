"""The stand-ins for GPUs and what needs them, for the end-to-end tests. Each says in its name that it is one."""
