"""`holdfast codec-server` signs for `temporal` and other languages, and lets the Web UI show what is encrypted."""

import contextlib
import ipaddress
import logging
import os
import re
import signal
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer

from holdfast.errors import EXIT_COMPLETE, HoldfastError, PasswordMissingError, SettingsError, UsageError
from holdfast.service.settings.passwords import read_password_file
from holdfast.starter.host.ownership import CodecNote, registered_codec
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.logging import configure_logging
from holdfast.starter.shell.options import CommonOptions, Texts

_ORIGIN: Final = re.compile(r"https?://[^/\s?#@]+")
_LOG: Final = logging.getLogger("holdfast.codec_server")


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecServerOptions(CommonOptions):
    """Options of `codec-server`."""

    origin: Annotated[
        Texts,
        typer.Option(metavar="URL", help="The Web UI's origin, like http://localhost:8233; repeatable."),
    ] = ()
    port: Annotated[int, typer.Option(min=0, max=65_535, metavar="PORT", help="The port to listen on.")] = (
        8081
    )
    bind: Annotated[str, typer.Option(metavar="IP", help="The address to listen on.")] = "127.0.0.1"
    without_token: Annotated[
        bool,
        typer.Option(
            "--without-token", help="Even so on another address than the loopback's: in a container."
        ),
    ] = False
    token_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answer only who sends the bearer token in it.")
    ] = None


def codec_server(options: CodecServerOptions) -> int:
    """Sign, seal and open values for the Web UI, `temporal` and other programs, until Ctrl-C.

    Anybody who can reach it sees what is encrypted, so name the Web UI's origin. It signs only with a token.
    """
    from holdfast.transport.client import trust_codec  # noqa: PLC0415 (brings Temporal's client)
    from holdfast.transport.codec_server import Access, CodecServer  # noqa: PLC0415 - as above

    settings = Invocation.of(options).settings
    codec = trust_codec(settings.server, os.environ)
    if codec is None:
        raise SettingsError(
            "the settings name no keys, so nothing is signed or encrypted",
            hint="Add [signing] or [encryption] with key_file to holdfast.toml.",
        )
    access = Access(origins=frozenset(map(_origin, options.origin)), token=_token(options))
    configure_logging(settings.log, label="holdfast", level=logging.INFO, names=False)
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(CodecServer((options.bind, options.port), codec, access))
        with contextlib.suppress(
            HoldfastError
        ):  # a container may have no state; then nobody finds it by its note
            stack.enter_context(registered_codec(settings.state_dir, _note(options, server.server_port)))
        for number in (signal.SIGINT, signal.SIGTERM):
            # From another thread: shutdown waits for the loop that a signal's handler interrupts.
            signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
        _LOG.info("codec server: http://%s:%d", options.bind, server.server_port)
        server.serve_forever()
    return EXIT_COMPLETE


def _note(options: CodecServerOptions, port: int) -> CodecNote:
    """Where `holdfast env` finds it."""
    host = "127.0.0.1" if ipaddress.ip_address(options.bind).is_unspecified else options.bind
    token_file = None if options.token_file is None else os.path.abspath(options.token_file)
    return CodecNote(pid=os.getpid(), url=f"http://{host}:{port}", token_file=token_file)


def _origin(text: str) -> str:
    stripped = text.rstrip("/")
    if _ORIGIN.fullmatch(stripped) is None:
        raise UsageError(
            f"{text!r} is not the origin of a web page",
            hint="Give scheme, host and port: http://localhost:8233",
        )
    return stripped


def _token(options: CodecServerOptions) -> str | None:
    if options.token_file is None:
        if not _is_loopback(options.bind) and not options.without_token:
            raise UsageError(
                f"on {options.bind} others could read everything",
                hint="Give a --token-file, or --without-token where something else keeps others out.",
            )
        return None
    token = read_password_file(Path(os.path.abspath(options.token_file))).decode("ascii", "replace")
    if not token or not token.isascii() or not token.isprintable():
        raise PasswordMissingError(
            f"{options.token_file} holds no token", hint="Put one printable word there."
        )
    return token


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        raise UsageError(f"{address!r} is not an IP address", hint="Give one like 127.0.0.1.") from None
