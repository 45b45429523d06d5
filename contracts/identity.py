"""The names of workflows, runs and task queues: built and taken apart here, and nowhere else.

A workflow's id says what it is about, and is the same each time, so that two backups of a source cannot run at once:

    KIND:HOST:REPOSITORY:SUBJECT          backup:box:vault:home
    KIND:HOST:SYSTEM                      system-backup:box:shop
    KIND:HOST:REPOSITORY:SUBJECT:PART     drill:box:vault:monthly:restore

What stands between the colons is escaped, so a name may hold one. A run's id is that of the workflow that began it and
the first run id of its chain: WORKFLOW/RUN. Ids that others made are taken apart as far as they go.

Queues say which workers a run is handed to. A profile of the settings is served by every worker of its host, on one
queue. A repository given on the command line ("@token" of a private request file) has a password that only the workers
started for it know, so its runs go to a queue of their own. Beside each queue lies a second one, for the activities
that move bytes.
"""

from typing import Final, NamedTuple

REQUEST_MARK: Final = "@"
"""The name of a private request file begins with it, and no profile's name does."""
QUEUE_PREFIX: Final = "holdfast"
COPY_QUEUE_SUFFIX: Final = "-copy"
SUBJECT_DIGITS: Final = 12
"""Of a token: what is asked for, which ids and queues show of it."""
WHOLE: Final = "all"
"""The subject of a verification of all snapshots."""
_ESCAPES: Final = (("%", "%25"), (":", "%3A"), ("/", "%2F"))
_SHORT_LENGTH: Final = 8


class Identity(NamedTuple):
    """A workflow's id, taken apart. Empty is what it does not tell: a system's has no repository."""

    kind: str
    host: str = ""
    repository: str = ""
    subject: str = ""


def is_token(name: str) -> bool:
    """Whether `name` is the token of a private request file and not a profile's name."""
    return name.startswith(REQUEST_MARK)


def shown(name: str) -> str:
    """A name as ids of workflows have it: of a token, what is asked for (service/settings/requests.py)."""
    return name[: len(REQUEST_MARK) + SUBJECT_DIGITS] if is_token(name) else name


def workflow_id(kind: str, host: str, repository: str, subject: str) -> str:
    """The id of the workflow that backs up a source, restores a selection, tries a drill and so on."""
    return _joined(kind, host, shown(repository), shown(subject))


def system_id(kind: str, host: str, system: str) -> str:
    """The id of the workflow that backs up or recovers a system."""
    return _joined(kind, host, system)


def part_id(whole: str, part: str) -> str:
    """The id of a workflow that is a part of another one."""
    return f"{whole}:{_escaped(part)}"


def parse_workflow_id(text: str) -> Identity:
    """Take an id apart; that of a part says what it is a part of."""
    kind, *rest = (_unescaped(part) for part in text.split(":"))
    match rest:
        case [host, repository, subject, *_]:
            return Identity(kind=kind, host=host, repository=repository, subject=subject)
        case [host, subject]:
            return Identity(kind=kind, host=host, subject=subject)
        case [*others]:
            return Identity(kind=kind, subject=others[-1] if others else kind)


def run_id(workflow: str, first_run: str) -> str:
    """The id of the run that a workflow begins; first_run: of its chain."""
    return f"{workflow}/{first_run}"


def workflow_of(run: str) -> str:
    """The id of the workflow that began a run."""
    return run.rpartition("/")[0] or run


def short_id(run: str) -> str:
    """A run or an execution as a person types it: the end of its id, because Temporal's begin with the time."""
    return run[-_SHORT_LENGTH:]


def is_own(run: str, workflow: str) -> bool:
    """Whether a workflow may speak of this run as its own: its id begins the run's, and a "/" or ":" ends it there.

    A run is named by the workflow that began it and the first run id of that, also when another workflow of the same
    id resumes it. One that was begun beside it, under an id of its own with a ":" behind, is the subject's as well.
    """
    return bool(workflow) and run.startswith((f"{workflow}/", f"{workflow}:"))


def task_queue(host: str, repository: str) -> str:
    """The queue of runs on `host` for `repository` (a profile's name, or "@token")."""
    return queue_of(f"{QUEUE_PREFIX}.{host}", repository)


def queue_of(host_queue: str, repository: str) -> str:
    """The same, when the queue of the host is known by its name."""
    if not is_token(repository):
        return host_queue
    return f"{host_queue}.{repository.removeprefix(REQUEST_MARK)[:SUBJECT_DIGITS]}"


def copy_queue(queue: str) -> str:
    """The queue beside `queue` that carries the long byte-moving activities."""
    return queue + COPY_QUEUE_SUFFIX


def _joined(*parts: str) -> str:
    return ":".join(_escaped(part) for part in parts)


def _escaped(part: str) -> str:
    for character, escape in _ESCAPES:
        part = part.replace(character, escape)
    return part


def _unescaped(part: str) -> str:
    for character, escape in reversed(_ESCAPES):
        part = part.replace(escape, character)
    return part
