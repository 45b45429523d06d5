"""Processes log text or JSON, to standard error or a file, each line with the run and source that it is about.

Run and source come from the context (contracts/log_context.py), which activities set; lines of a workflow's own logger
carry its id instead. A file may be moved away under several processes that write it (logrotate): the next line begins
a new one.
"""

import json
import logging
import logging.handlers
import os
import time
from io import TextIOWrapper
from typing import Final

from holdfast.contracts import identity
from holdfast.contracts.log_context import RUN, SOURCE
from holdfast.errors import StorageDeniedError
from holdfast.service.settings.model import LogSettings
from holdfast.starter.shell.text import harmless

_MODE: Final = 0o600
_HANDLER: Final = "holdfast"


def configure_logging(settings: LogSettings, *, label: str, level: int, names: bool = True) -> None:
    """Set this process's logging up, in place of how this was called for it before.

    label: what its lines begin with. level: where the settings name none.
    names: whether text lines say the level and the logger's name; a service in the foreground speaks without.

    Raises:
        StorageDeniedError: the file cannot be opened.
    """
    handler: logging.Handler = logging.StreamHandler()
    if settings.file is not None:
        try:
            settings.file.parent.mkdir(parents=True, exist_ok=True)
            handler = _PrivateFileHandler(settings.file, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise StorageDeniedError(
                f"the log file {settings.file} cannot be written: {error.strerror}",
                hint="Correct log.file in the settings, or the permissions of its folder.",
            ) from error
    if settings.format == "json":
        handler.setFormatter(JsonFormatter(label))
    else:
        handler.setFormatter(TextFormatter(label, names=names, times=settings.file is not None))
    wanted = level if settings.level is None else logging.getLevelNamesMapping()[settings.level.upper()]
    handler.name = _HANDLER
    root = logging.getLogger()
    for earlier in [other for other in root.handlers if other.name == _HANDLER]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(wanted)


class TextFormatter(logging.Formatter):
    """`worker 0: WARNING holdfast.x: message [source=documents run=…]`, with the time before it in a file."""

    def __init__(self, label: str, *, names: bool, times: bool) -> None:
        before = "%(asctime)s " if times else ""
        middle = "%(levelname)s %(name)s: " if names else ""
        super().__init__(f"{before}{label.replace('%', '%%')}: {middle}%(message)s")
        self.converter = time.gmtime
        self.default_time_format = "%Y-%m-%dT%H:%M:%S"
        self.default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, and whom it is about."""
        about = " ".join(f"{key}={value}" for key, value in _about(record).items())
        line = super().formatMessage(record)
        return harmless(f"{line} [{about}]" if about else line)


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, process, logger, message, and source, run and error where there are any."""

    def __init__(self, label: str) -> None:
        super().__init__()
        self._label = label

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{seconds}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "process": self._label,
            "pid": record.process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= _about(record)
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class _PrivateFileHandler(logging.handlers.WatchedFileHandler):
    """A traceback may hold a file name, so the file is its owner's alone."""

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        return open(descriptor, "a", encoding=self.encoding, errors=self.errors)


def _about(record: logging.LogRecord) -> dict[str, str]:
    """Source and run, as far as the line is about any."""
    source, run = SOURCE.get(), RUN.get()
    workflow: object = getattr(record, "temporal_workflow", None)
    if not run and isinstance(workflow, dict):
        run = str(workflow.get("workflow_id", ""))
        source = identity.parse_workflow_id(run).subject
    return {key: value for key, value in (("source", source), ("run", run)) if value}
