"""Whole runs of the engine on a REST server, at a remote of rclone and over SFTP, with stock restic between them."""

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import StorageUnavailableError
from holdfast.repository.companion import join_companion
from holdfast.repository.layout import LOCKS
from holdfast.repository.repository import Repository
from holdfast.repository.session import RepositorySession
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
from tests.support.comparison import same
from tests.support.doubles import DyingStorage, Killed
from tests.support.engine import PASSWORD, SMALL, SMALL_PACK_BYTES, EngineRun
from tests.support.persistent import restored, verified
from tests.support.rclone import environ_with_rclone, running_rest_server, running_webdav
from tests.support.ssh import SshServer
from tests.support.stock import Restic
from tests.support.verification import verify
from tests.verify.test_damage import flip


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A place. folder: where its files lie in truth. removes: whether packs can be removed there."""

    location: str
    environ: Mapping[str, str]
    folder: Path
    state: Path
    removes: bool = True
    opened: list[Storage] = field(default_factory=list)

    def storage(self) -> Storage:
        self.opened.append(open_storage(self.location, fixed(self.environ)))
        return self.opened[-1]

    @property
    def stock(self) -> Restic:
        """restic 0.14 takes no variables for its REST server."""
        environ = {**self.environ}
        user, password = environ.pop("RESTIC_REST_USERNAME", ""), environ.pop("RESTIC_REST_PASSWORD", "")
        return Restic(self.location.replace("http://", f"http://{user}:{password}@"), environ)

    @contextmanager
    def session(self, storage: Storage | None = None) -> Iterator[RepositorySession]:
        """With sizes that take a run through every path."""
        repository = Repository.open(storage or self.storage(), PASSWORD)
        join_companion(repository, "", self.state)
        session = RepositorySession(repository, sizes=SMALL, pack_size_bytes=SMALL_PACK_BYTES)
        try:
            yield session
        finally:
            session.close()


@pytest.fixture(
    params=["rest", "rest-append-only", "rclone", pytest.param("webdav", marks=pytest.mark.heavy), "sftp"]
)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    with _place(request, tmp_path) as place:
        yield place
        for storage in place.opened:
            storage.close()


@contextmanager
def _place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kept]:
    state, folder = tmp_path / "state", tmp_path / "kept"
    if request.param == "rclone":
        remote = {"RCLONE_CONFIG_HERE_TYPE": "alias", "RCLONE_CONFIG_HERE_REMOTE": str(tmp_path)}
        environ = environ_with_rclone(remote)
        yield Kept(location="rclone:here:kept", environ=environ, folder=folder, state=state)
    elif request.param == "webdav":
        with running_webdav(tmp_path) as url:
            remote = {"RCLONE_CONFIG_HERE_TYPE": "webdav", "RCLONE_CONFIG_HERE_URL": url}
            remote["RCLONE_CONFIG_HERE_VENDOR"] = "rclone"
            yield Kept(
                location="rclone:here:kept", environ=environ_with_rclone(remote), folder=folder, state=state
            )
    elif request.param == "sftp":
        server: SshServer = request.getfixturevalue("sshd")
        environ = environ_with_rclone(server.environ)
        yield Kept(location=f"sftp:{server.host}:{folder}", environ=environ, folder=folder, state=state)
    else:
        removes = request.param == "rest"
        with running_rest_server(tmp_path, append_only=not removes) as rest:
            location = rest.location("kept")
            yield Kept(location=location, environ=rest.environ, folder=folder, state=state, removes=removes)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    random = Random(7)
    top = tmp_path / "source"
    (top / "a" / "deep").mkdir(parents=True)
    for number in range(8):
        (top / "a" / f"{number}").write_bytes(random.randbytes(20_000 + number))
    (top / "large").write_bytes(random.randbytes(900_000))
    return top


def test_killed_gone_on_with_damaged_mended_and_shared_with_stock_restic(
    kept: Kept, source: Path, tmp_path: Path
) -> None:
    stock = kept.stock
    Repository.init(kept.storage(), PASSWORD, kdf=ScryptParameters.for_tests())

    dying = DyingStorage(kept.storage(), 5, done=True)
    with kept.session(dying) as session:
        run = EngineRun.of(session, source)
        with contextlib.suppress(Killed, StorageUnavailableError):
            run.run()
        assert dying.dead
    kept.storage().delete_folder(LOCKS)  # as the next one does, which finds its process dead
    with kept.session() as session:
        EngineRun(replace(run.backup, session=session), run.order).run()
        assert session.repository.companion.location.startswith(str(kept.state))
        with session.hold() as held:
            pack = max(held.index.packs(), key=lambda info: info.size_bytes).id
    assert [path for path in kept.state.rglob("*") if path.name == "opening"] == []
    assert not (kept.folder / "holdfast").exists()
    stock.assert_sound(snapshots=1)

    (source / "more").write_bytes(Random(8).randbytes(300_000))
    stock("backup", source)
    with kept.session() as session:
        restored(session, source, tmp_path / "target")
        assert verified(session, "verify") == 0
    assert same(source, tmp_path / "target")
    stock("restore", "latest", "--target", tmp_path / "by-restic")
    assert same(source, tmp_path / "by-restic" / source.relative_to("/"))

    flip(kept.folder, pack, 100)
    with kept.session() as session:
        assert verify(session, "damaged").damaged_packs == 1
    with kept.session() as session:
        EngineRun.of(session, source, run_id="full", strategy="full").run()
        # mending takes what the index says of a lost pack away, which an append-only server does not let us
        assert (verify(session, "mended").problem_count == 0) is kept.removes
    if kept.removes:
        stock.assert_sound(snapshots=3)
