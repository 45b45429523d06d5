"""Passwords: where each comes from, and the book of those that a process was handed.

They are resolved on the worker and stay in its memory; no message, repr or request file holds one. White space around
a password is cut off as restic does (its `LoadPasswordFromFile` and `resolvePassword` trim all of it, and
a byte order mark), so that a file serves both programs. A variable's value is taken as it is, as restic takes it.
"""

import contextlib
import logging
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final, cast

from holdfast.command_words import split_command
from holdfast.errors import PasswordMissingError
from holdfast.service.settings.model import PasswordSource, RepositoryProfile
from holdfast.service.settings.text import decode_text_file, trim

COMMAND_TIMEOUT_S: Final = 60.0
GRACE_S: Final = 1.0
"""How long after its end a command's output may stay silent, before it is taken for whole."""
_LOOK_EVERY_S: Final = 0.1
_LOG: Final = logging.getLogger(__name__)
_MAX_PASSWORD_BYTES: Final = 1 << 20
_SHOWN_STDERR: Final = 200


def resolve_password(
    source: PasswordSource, environ: Mapping[str, str], *, timeout_s: float = COMMAND_TIMEOUT_S
) -> bytes:
    """Read the password from where it lies. Blocks: a command may ask a key service.

    Raises:
        PasswordMissingError: it cannot be had, or is empty.
        SettingsError: the command cannot be split into words.
    """
    if source.file is not None:
        return _not_empty(read_password_file(source.file), f"the password file {source.file}")
    if source.command is not None:
        return _not_empty(
            printed_secret(source.command, environ, timeout_s, "password"), "the password command"
        )
    name = source.env or ""
    return _not_empty(os.fsencode(environ.get(name, "")), f"the environment variable {name} of this process")


def read_password_file(path: Path) -> bytes:
    """The password in a file, trimmed; a byte order mark is dropped, and UTF-16 becomes UTF-8 as with restic.

    Raises:
        PasswordMissingError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_PASSWORD_BYTES)
    except OSError as error:
        raise PasswordMissingError(
            f"the password file {str(path)!r} cannot be read: {error.strerror}",
            hint="Create it, readable by the user that the worker runs as.",
        ) from error
    return trim(decode_text_file(raw)).encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordBook:
    """The passwords that one process can use.

    given: what a person handed to this process, by repository location; these win over the profiles' own sources.
    environ: of this process, for sources that name a variable and for the commands.
    """

    given: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = COMMAND_TIMEOUT_S

    def password_for(self, profile: RepositoryProfile) -> bytes:
        """The password of a repository. Blocks as `resolve_password` does.

        Raises:
            PasswordMissingError: nobody gave one to this process, or its source fails.
            SettingsError: the source makes no sense.
        """
        handed = self.given.get(profile.location)
        if handed is not None:
            return handed
        if profile.password is not None:
            return resolve_password(profile.password, self.environ, timeout_s=self.timeout_s)
        if profile.is_request:
            raise PasswordMissingError(
                f"the service was not given the password of {profile.location}",
                hint=f"Start the service with --repo {profile.location} --password-file FILE, or add "
                "a [repositories.NAME] with password_file to the settings.",
            )
        raise PasswordMissingError(
            f"no password was given for the repository {profile.name!r}",
            hint=f"Add password_file to [repositories.{profile.name}] or start the service with "
            f"--repo {profile.name} --password-file FILE.",
        )


def secret_words(command: str, what: str) -> list[str]:
    """The words of a command that prints a secret; a word for messages says what it is.

    Raises:
        SettingsError: quotes do not match, or there is no word.
    """
    return split_command(command, what, hint=f"Name a program that prints the {what}.")


def printed_secret(command: str, environ: Mapping[str, str], timeout_s: float, what: str) -> bytes:
    """What a command prints, trimmed; a word for messages says what it is.

    Raises:
        PasswordMissingError: it fails, or takes longer than timeout_s.
        SettingsError: it cannot be split into words.
    """
    words = secret_words(command, what)
    program = os.path.basename(words[0])  # a path would be cut out of what Temporal is told
    try:
        # A session of its own, so that a timeout ends what the command itself started as well: a grandchild
        # that keeps the pipe open would hold us up for as long as it lives.
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environ),
            start_new_session=True,
        )
    except OSError as error:
        raise PasswordMissingError(
            f"the {what} command {program!r} cannot be started: {error.strerror}",
            hint="Give its full path; it is run without a shell.",
        ) from error
    with process:
        printed, complaint, ended = _listen(process, timeout_s)
        if not ended:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise PasswordMissingError(
                f"the {what} command {program!r} did not end within {timeout_s:g} s",
                hint="It must not ask anybody: it runs without a terminal.",
            )
    if process.returncode:
        raise PasswordMissingError(
            f"the {what} command {program!r} failed{_ending(process.returncode)}{_last_line(complaint)}",
            hint="Run it by hand as the user that the worker runs as.",
        )
    return trim(printed.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _listen(process: "subprocess.Popen[bytes]", timeout_s: float) -> tuple[bytes, bytes, bool]:
    """What it prints, to both streams, and whether it has ended in time.

    An agent that it starts may keep the streams open for as long as it lives. So they are read until they end, or until
    the command has, and nothing came for GRACE_S.
    """
    streams = [stream for stream in (process.stdout, process.stderr) if stream is not None]
    read = dict.fromkeys(streams, b"")
    give_up_at = time.monotonic() + timeout_s
    ended_at: float | None = None
    with selectors.DefaultSelector() as waiting:
        for stream in streams:
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(_LOOK_EVERY_S)
            now = time.monotonic()
            if ended_at is None or ready:
                ended_at = None if process.poll() is None else now
            for key, _ in ready:
                stream = cast("IO[bytes]", key.fileobj)
                block = os.read(stream.fileno(), _MAX_PASSWORD_BYTES)
                read[stream] = (read[stream] + block)[:_MAX_PASSWORD_BYTES]
                if not block:
                    waiting.unregister(stream)
            if ended_at is not None and now - ended_at >= GRACE_S:
                _LOG.warning("a password command left a process behind that has its output open")
                break
            if ended_at is None and now >= give_up_at:
                return b"", b"", False
    try:
        process.wait(max(0.0, give_up_at - time.monotonic()))
    except subprocess.TimeoutExpired:
        return b"", b"", False
    return read[streams[0]], read[streams[1]], True


def _ending(code: int) -> str:
    return f" with exit code {code}" if code > 0 else f" by signal {-code}"


def _last_line(complaint: bytes) -> str:
    lines = [line.strip() for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return ""
    return ": " + "".join(letter for letter in lines[-1][:_SHOWN_STDERR] if letter.isprintable())


def _not_empty(password: bytes, where: str) -> bytes:
    if not password:
        raise PasswordMissingError(f"{where} holds no password", hint="Put the password there.")
    return password
