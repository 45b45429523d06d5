"""One hierarchy for everything that can go wrong, sorted by what a retry can do.

    HoldfastError
    ├── PermanentError               the same call fails again until something is changed
    │   ├── UsageError                   the request makes no sense as asked
    │   │   ├── SettingsError                a key of holdfast.toml or of the environment is wrong
    │   │   ├── SourceMissingError           nothing is there to back up
    │   │   ├── TargetError                  the restore target cannot be used as asked
    │   │   └── SnapshotNotFoundError        no snapshot matches
    │   ├── AlreadyEndedError            a run is asked for again that has ended: by a server that was put back
    │   ├── RepositoryNotFoundError      the location holds no repository
    │   ├── RepositoryExistsError        `init` where there is one already
    │   ├── UnsupportedRepositoryError   a format version this program does not know
    │   ├── WrongPasswordError           no key file opens with the password
    │   ├── PasswordMissingError         no password was given to this process
    │   ├── StorageDeniedError           the storage refuses us: permissions, credentials, read-only
    │   ├── RestoreCommandError          the command that takes a restored file has failed
    │   ├── StreamBrokenError            what was handed over to be backed up cannot be read, or not once more
    │   ├── HookFailedError              a hook that must succeed before a backup did not
    │   ├── UntrustedError               what came from the server does not bear this installation's signature
    │   ├── UnsafePathError              a name or link would lead out of the restore target
    │   └── IntegrityError               stored bytes are not what they claim to be
    │       ├── CorruptFileError             a stored file fails authentication, its hash or its grammar
    │       ├── StoredFileMissingError       a stored file that should be there is not
    │       └── BlobMissingError             a referenced blob is in no index
    └── TemporaryError               a later attempt may succeed
        ├── ServerUnavailableError       no Temporal server answers, or it refuses us
        ├── StorageUnavailableError      the storage did not answer, or answered with an error of its own
        ├── StorageFullError             no space, no inodes or over quota
        ├── RepositoryLockedError        another client holds a lock that excludes ours
        ├── LockLostError                our lock could not be refreshed in time
        ├── AlarmOpenError               nothing is removed before a person has decided about an alarm
        ├── FencedError                  a newer attempt has taken over; this one must stop
        │   └── RunClosedError               the run is over, for good: a retry is in vain
        ├── SourceCommandError           the command whose output is backed up has failed
        ├── RunStateError                what the run relied on is gone (pruned, deleted): redo that part
        ├── EndedOutsideError            a run's workflow was ended on the server, by no worker of ours
        └── JournalUnavailableError      the log of runs cannot be read or written; work goes on without it

Every error carries a message for people in one or two lines: what is wrong and, in `hint`, what to do. `exit_code`
is what the command line ends with; the numbers are restic's (its manual, "Exit codes").
Messages never hold a password, a key or a list of files.
"""

from typing import ClassVar, Final

EXIT_COMPLETE: Final = 0
EXIT_FAILED: Final = 1
EXIT_PARTIAL: Final = 3
EXIT_NO_REPOSITORY: Final = 10
EXIT_LOCKED: Final = 11
EXIT_WRONG_PASSWORD: Final = 12
EXIT_INTERRUPTED: Final = 130


class HoldfastError(Exception):
    """The root. `message` says what is wrong, `hint` what to do about it (may be empty)."""

    retryable: ClassVar[bool] = False
    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class PermanentError(HoldfastError):
    """The same call fails again until something is changed."""


class TemporaryError(HoldfastError):
    """A later attempt may succeed without anybody's doing."""

    retryable: ClassVar[bool] = True


class UsageError(PermanentError):
    """The request makes no sense as asked."""


class SettingsError(UsageError):
    """A setting is wrong; the message names its key, as `key` does: `sources.home.paths[1]`, empty for none."""

    def __init__(self, message: str, *, hint: str = "", key: str = "") -> None:
        super().__init__(message, hint=hint)
        self.key = key


class SourceMissingError(UsageError):
    """Nothing is there to back up."""


class TargetError(UsageError):
    """The restore target cannot be used as asked."""


class SnapshotNotFoundError(UsageError):
    """No snapshot, or no path in it, matches what was asked for."""


class AlreadyEndedError(PermanentError):
    """The run has ended, as the journal knows, and a server whose database is older asks for it again."""


class RepositoryNotFoundError(PermanentError):
    """The location holds no repository."""

    exit_code: ClassVar[int] = EXIT_NO_REPOSITORY


class RepositoryExistsError(PermanentError):
    """There is a repository already where one was to be created."""


class UnsupportedRepositoryError(PermanentError):
    """The repository has a format version that this program does not know."""


class WrongPasswordError(PermanentError):
    """No key file of the repository opens with the password."""

    exit_code: ClassVar[int] = EXIT_WRONG_PASSWORD


class PasswordMissingError(PermanentError):
    """No password was given to this process for the repository."""

    exit_code: ClassVar[int] = EXIT_WRONG_PASSWORD


class StorageDeniedError(PermanentError):
    """The storage refuses us: permissions, credentials, or it is read-only."""


class RestoreCommandError(PermanentError):
    """The command that takes a restored file has failed: what it did by then only a person can tell."""


class StreamBrokenError(PermanentError):
    """What was handed over to be backed up, standard input say, is gone, broke off, or came from what has failed."""


class HookFailedError(PermanentError):
    """A hook that must succeed before a backup did not, so there is none."""


class UntrustedError(PermanentError):
    """What came from the server was made by nobody with this installation's key, or for another use."""


class UnsafePathError(PermanentError):
    """A stored name or a link on disk would lead out of the restore target."""


class IntegrityError(PermanentError):
    """Stored bytes are not what they claim to be."""


class CorruptFileError(IntegrityError):
    """A stored file fails authentication, its hash or its grammar."""


class StoredFileMissingError(IntegrityError):
    """The storage has no file of that name."""


class BlobMissingError(IntegrityError):
    """A referenced blob is in no index."""


class ServerUnavailableError(TemporaryError):
    """No Temporal server answers, or it refuses us."""


class StorageUnavailableError(TemporaryError):
    """The storage did not answer, or answered with an error of its own.

    medium_failed: it is what the bytes lie on that failed (a bad sector), so other files may be sound.
    retry_after_s: for how long the storage asks to be left alone.
    """

    def __init__(
        self, message: str, *, hint: str = "", medium_failed: bool = False, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message, hint=hint)
        self.medium_failed = medium_failed
        self.retry_after_s = retry_after_s


class StorageFullError(TemporaryError):
    """No space, no inodes, or over quota."""


class RepositoryLockedError(TemporaryError):
    """Another client holds a lock that excludes ours."""

    exit_code: ClassVar[int] = EXIT_LOCKED


class LockLostError(TemporaryError):
    """Our lock could not be refreshed in time; nothing may be written under it any more."""


class AlarmOpenError(TemporaryError):
    """A guard's alarm is open: what can wait waits for a person's decision."""


class FencedError(TemporaryError):
    """A newer attempt has taken over; this one must stop and leave everything as it is."""


class RunClosedError(FencedError):
    """The run is over, and its workspace gone, for good: who still works for it, or asks for it, is late."""

    retryable: ClassVar[bool] = False


class RunStateError(TemporaryError):
    """Something the run relied on is gone (pruned or deleted by others): that part must be redone."""


class SourceCommandError(TemporaryError):
    """The command whose output is the source has failed; a later one may not."""


class EndedOutsideError(TemporaryError):
    """A run's workflow was ended on the server, by no worker of ours."""


class JournalUnavailableError(TemporaryError):
    """The log of runs cannot be read or written. No reason to end a run: callers report it and go on."""
