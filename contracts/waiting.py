"""The words for what a run waits for: one for each reason, the same wherever a run is shown or told of."""

from enum import StrEnum


class WaitsFor(StrEnum):
    """Why an open run does not go on by itself, or no faster.

    The values stand in JSON; people read them with spaces. A run that only keeps to its throttle does go on.
    """

    PAUSED = "paused"
    APPROVAL = "approval"
    FULL_DISK = "full-disk"
    STORAGE_AWAY = "storage-away"
    SERVER_AWAY = "server-away"
    NO_WORKER = "no-worker"
    LOCK = "lock"
    """Another run's or program's, or somebody who may still rely on what is to go."""
    STANDS_ASIDE = "stands-aside"
    """For a run of ours, for seconds."""
    TIME = "time"
    ERROR = "error"
    """A step failed otherwise, and is tried again."""
    THROTTLE = "throttle"

    @property
    def words(self) -> str:
        """As people read it."""
        return self.value.replace("-", " ")
