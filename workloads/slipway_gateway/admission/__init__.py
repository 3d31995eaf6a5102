"""Whether a request may go on now: so far, only the wait for a first replica."""
