"""When a run goes on in a new history: before the old one grows beyond what the server likes to replay."""

from temporalio import workflow

from contracts.common import RunPolicy


class Pacing:
    """Counts what this history holds. `is_long` once it is time to drain the window and continue as new."""

    def __init__(self, policy: RunPolicy) -> None:
        self._policy = policy
        self._pages = 0
        self._shards = 0

    def page_started(self) -> None:
        """One more page activity stands in this history."""
        self._pages += 1

    def shard_started(self) -> None:
        """One more shard activity stands in this history."""
        self._shards += 1

    def is_long(self) -> bool:
        """Whether nothing more should be started here. Never true for a history that has done nothing yet."""
        if not self._pages and not self._shards:
            return False
        return (
            self._pages >= self._policy.pages_per_history
            or self._shards >= self._policy.shards_per_history
            or workflow.info().is_continue_as_new_suggested()
        )
