"""A worker process lives from the configuration that comes through a pipe to the end by SIGTERM.

That ends it gracefully: what runs is cancelled after the grace that the settings give, checkpoints stand, and others
take over at once.
"""

import asyncio
import gc
import logging
import math
import os
import pwd
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError
from temporalio.worker import Worker

from holdfast.activities.notify import NotifyActivities
from holdfast.activities.outside import OutsideWatch
from holdfast.activities.recorder import Recorder
from holdfast.activities.services import Services
from holdfast.backup.store.claims import ClaimTable
from holdfast.contracts.worker import ENCRYPTION_KEYS, SIGNING_KEYS, WorkerConfig, WorkerConfigError
from holdfast.control.journal import open_journal
from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED, HoldfastError
from holdfast.repository.index.shared import SharedIndex
from holdfast.repository.shared_keys import SharedKeys
from holdfast.service.settings.load import SIGNING_KEY, load_settings
from holdfast.service.settings.model import Settings, WorkerSettings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.starter.host.composition import build_workers, threads
from holdfast.starter.host.forks import fork_workers
from holdfast.starter.host.processes import end_with
from holdfast.starter.shell.hangup import outlive_tests
from holdfast.starter.shell.logging import configure_logging
from holdfast.transport.client import Credentials, GivenKeys, open_client, read_credentials
from holdfast.workflows.registration import ensure_search_attributes

_GC_THRESHOLD: Final = 50_000
_REST_EVERY_S: Final = 5.0
_RECONNECT_S: Final = 0.5
_AFTER_GRACE_S: Final = 10
_LOG: Final = logging.getLogger("holdfast.worker")


def begin(configs: Sequence[int], logs: Sequence[int], pids: int | None) -> int:
    """Be a worker process, or the one that forks several and ends (forks.py); returns the exit code.

    configs: a pipe for each worker's configuration. logs, pids: see `fork_workers`; pids is None for a single worker.
    """
    descriptor = configs[0] if pids is None else fork_workers(configs, logs, pids)
    return EXIT_COMPLETE if descriptor is None else work(descriptor)


def work(descriptor: int) -> int:
    """Be the worker process whose configuration comes through this pipe; returns the exit code."""
    try:
        config = read_config(descriptor)
        return EXIT_COMPLETE if config is None else run_worker_process(config)
    except (HoldfastError, WorkerConfigError) as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code if isinstance(error, HoldfastError) else EXIT_FAILED


def read_config(descriptor: int) -> WorkerConfig | None:
    """Read the configuration to its end and close the pipe; None when the supervisor has nothing to do for us.

    Raises:
        WorkerConfigError: it is not one.
    """
    with open(descriptor, "rb") as pipe:
        document = pipe.read()
    return WorkerConfig.from_json(document) if document else None


def run_worker_process(config: WorkerConfig) -> int:
    """Work until SIGTERM, or until the supervisor is gone."""
    if config.supervisor_pid:
        end_with(config.supervisor_pid, signal.SIGTERM)
    outlive_tests()
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C asks the run to stop, not the workers that carry it out
    settings = settings_of(config)
    configure_logging(settings.log, label=f"worker {config.process}", level=logging.WARNING)
    # A run holds hundreds of thousands of values that are in no cycle: looking through them so often finds nothing.
    gc.set_threshold(_GC_THRESHOLD)
    gc.enable()
    asyncio.run(_work(config, settings))
    return 0


async def _work(config: WorkerConfig, settings: Settings) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _stop_soon, stop, settings.worker)
    credentials = await asyncio.to_thread(_credentials, config, settings)
    client = await _connect(config, settings, credentials, stop)
    if client is None:
        return
    journal = Recorder(open_journal(settings, os.environ, config.passwords))
    passwords = PasswordBook(given=config.passwords, environ=os.environ)
    services = Services(
        settings=settings,
        passwords=passwords,
        journal=journal,
        username=_username(),
        environ={**os.environ, **config.variables},
        claims=ClaimTable(config.claims_fd),
        shared_keys=SharedKeys(config.keys_fd),
        shared_index=SharedIndex(config.index_fd) if config.index_fd >= 0 else None,
    )
    with ThreadPoolExecutor(threads(config.queues), thread_name_prefix="activity") as executor:
        workers = build_workers(
            client, services, executor, settings.worker, config.queues, enforced=credentials.enforces
        )
        beside = [asyncio.create_task(_let_rest(services))]
        if not config.process:  # one of a host's processes is enough
            notify = NotifyActivities(services, executor)
            beside.append(asyncio.create_task(OutsideWatch(client, services, notify).keep()))
        await poll_until(stop, workers)
        for task in beside:
            task.cancel()
        await asyncio.to_thread(services.close)


async def _let_rest(services: Services) -> None:
    """Now and then give memory back that repositories hold which nobody uses."""
    while True:
        await asyncio.sleep(_REST_EVERY_S)
        await asyncio.to_thread(services.let_rest)


def _stop_soon(stop: asyncio.Event, settings: WorkerSettings) -> None:
    """Stop, and have the kernel end this process if that hangs: its supervisor, which would, may be dead."""
    signal.alarm(math.ceil(settings.graceful_shutdown_s) + _AFTER_GRACE_S)
    stop.set()


def settings_of(config: WorkerConfig) -> Settings:
    """The settings of a worker process: those of the file, with the supervisor's state directory and cache.

    Raises:
        SettingsError: the file is wrong.
    """
    settings = load_settings(Path(config.settings) if config.settings else None, os.environ)
    state_dir = Path(config.state_dir)
    own_key = None if settings.server.own_key is None else state_dir / SIGNING_KEY
    server = replace(settings.server, namespace=config.namespace, own_key=own_key)
    cache = replace(settings.cache, directory=Path(config.cache_dir) if config.cache_dir else None)
    return replace(settings, state_dir=state_dir, server=server, cache=cache)


async def poll_until(stop: asyncio.Event, workers: Sequence[Worker]) -> None:
    """Let all work until told to stop, or until one fails; then all finish or cancel what they have, at once.

    Raises:
        Exception: what made a worker fail; the supervisor starts another process.
    """
    polling = [asyncio.create_task(worker.run()) for worker in workers]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([*polling, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*polling)


def _credentials(config: WorkerConfig, settings: Settings) -> Credentials:
    given = GivenKeys(
        encryption=config.passwords.get(ENCRYPTION_KEYS), signing=config.passwords.get(SIGNING_KEYS)
    )
    return read_credentials(settings.server, os.environ, given)


async def _connect(
    config: WorkerConfig, settings: Settings, credentials: Credentials, stop: asyncio.Event
) -> Client | None:
    """A client of the server, once it answers; None when told to stop before that."""
    runtime = Runtime(telemetry=TelemetryConfig())

    async def attempt() -> Client:
        client = await open_client(settings.server, config.address, credentials, runtime)
        await ensure_search_attributes(client)
        return client

    told = False
    stopping = asyncio.create_task(stop.wait())
    while not stop.is_set():
        # A call to a server that has gone is tried again for ten seconds: being told to stop does not wait for that.
        connecting = asyncio.create_task(attempt())
        await asyncio.wait((connecting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if not connecting.done():
            connecting.cancel()
            break
        try:
            return connecting.result()
        except (RPCError, RuntimeError, TimeoutError) as error:
            if not told:
                _LOG.warning("the server at %s does not answer yet: %s", config.address, error)
                told = True
            await asyncio.wait((stopping,), timeout=_RECONNECT_S)
    return None


def _username() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
