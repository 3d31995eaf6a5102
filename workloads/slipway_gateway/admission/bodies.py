"""The budget of request bodies in memory: those being read, those that wait, and those sent on until they are answered.

A body is kept until its answer is over, since it may go to another replica. Without a budget, many clients that each
stay below the limit for one body would together end the process, and everybody's streams with it.
"""

from ..errors import Refusal

RETRY_AFTER_SECONDS = 1


class Bodies:
    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self.taken = 0

    def take(self, count: int) -> None:
        """Raises Refusal, and takes nothing, where there is no room."""
        if self.taken + count > self._maximum:
            message = f"The gateway has {self.taken} bytes of requests in memory, near its limit: try again later."
            raise Refusal(503, "overloaded", message, retry_after_seconds=RETRY_AFTER_SECONDS, close=True)
        self.taken += count

    def give_back(self, count: int) -> None:
        self.taken -= count
