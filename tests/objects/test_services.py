"""A service whose repository lies at a distance: drills, guards, systems, and damage that is found and mended."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import obstore
import pytest

from tests.support.comparison import same
from tests.support.far_host import PASSWORD, FarHost
from tests.support.rclone import running_rest_server
from tests.support.seaweed import Seaweed
from tests.support.stock import Restic


class Store(Protocol):
    """What a place has in truth, past all of ours."""

    def packs(self) -> set[str]: ...

    def flip(self, pack: str) -> None:
        """Change a bit of a pack."""


class Bucket:
    def __init__(self, seaweed: Seaweed, prefix: str) -> None:
        self._store = seaweed.store(prefix)

    def packs(self) -> set[str]:
        return {
            file["path"].rpartition("/")[2] for page in obstore.list(self._store, "data/") for file in page
        }

    def flip(self, pack: str) -> None:
        name = f"data/{pack[:2]}/{pack}"
        obstore.put(self._store, name, _flipped(obstore.get(self._store, name).bytes().to_bytes()))


class Folder:
    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"

    def packs(self) -> set[str]:
        return {path.name for path in self._data.rglob("*") if path.is_file()}

    def flip(self, pack: str) -> None:
        path = self._data / pack[:2] / pack
        path.chmod(0o600)
        path.write_bytes(_flipped(path.read_bytes()))


@pytest.fixture(params=["s3", "rest"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator["Place"]:
    if request.param == "s3":
        seaweed: Seaweed = request.getfixturevalue("seaweed")
        prefix: str = request.getfixturevalue("prefix")
        host = FarHost(tmp_path, seaweed.location(prefix), seaweed.environ)
        yield Place(host, Bucket(seaweed, prefix))
    else:
        (tmp_path / "kept").mkdir()
        with running_rest_server(tmp_path / "kept") as server:
            host = FarHost(tmp_path, server.location("repository"), server.environ)
            yield Place(host, Folder(tmp_path / "kept" / "repository"))


def _flipped(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


class Place:
    """A host, and the store of its repository."""

    def __init__(self, host: FarHost, store: Store) -> None:
        self.host = host
        self.store = store
        environ = {
            name: value for name, value in host.environ.items() if name.startswith(("AWS_", "RESTIC_REST_"))
        }
        self.credentials = dict(environ)
        (host.folder / "password").write_text(PASSWORD)
        (host.folder / "store.env").write_text(
            "".join(f"{name}={value}\n" for name, value in environ.items())
        )
        (host.folder / "etc").mkdir()
        (host.folder / "etc" / "file").write_text("first")

    @contextmanager
    def serving(self) -> Iterator[None]:
        host = self.host
        host.run("init")
        settings = f"""
            [repositories.off]
            location = "{host.location}"
            password_file = "password"
            credentials_file = "store.env"
            [sources.docs]
            repository = "off"
            paths = ["{host.source}"]
            [sources.etc]
            repository = "off"
            paths = ["{host.folder}/etc"]
            [systems.shop]
            sources = ["docs", "etc"]
            [drills.nightly]
            source = "docs"
            sample = "all"
            [worker]
            processes = 2
        """
        with host.serving(settings):
            yield

    @property
    def tree_packs(self) -> set[str]:
        """Those that this host has copies of."""
        return {path.name for path in (self.host.folder / ".cache" / "holdfast").glob("*/data/*")}

    def assert_sound(self, snapshots: int) -> None:
        credentials = {**self.credentials}
        user, password = (
            credentials.pop("RESTIC_REST_USERNAME", ""),
            credentials.pop("RESTIC_REST_PASSWORD", ""),
        )
        location = self.host.location.replace("rest:http://", f"rest:http://{user}:{password}@")
        Restic(location, {**self.host.environ, **credentials}).assert_sound(snapshots=snapshots)


@pytest.mark.timeout(900)
def test_a_service_does_all_of_it_at_a_distance(place: Place) -> None:
    host = place.host
    with place.serving():
        assert "complete" in host.run("system", "backup", "shop")
        assert "NOT PROVEN" not in host.run("drill", "nightly")
        assert "no problems" in host.run("verify", "--read-data")
        assert place.tree_packs

        (host.source / "file-7").unlink()
        host.run("guard", "docs", "--on-missing", "restore")
        assert (host.source / "file-7").stat().st_size == 3500

        (host.folder / "etc" / "file").write_text("lost")
        (host.source / "large").unlink()
        host.run("system", "restore", "shop", "--in-place")
        assert (host.folder / "etc" / "file").read_text() == "first"
        assert (host.source / "large").stat().st_size == 24 << 20
        host.run("restore", f"latest:{host.source}", "--target", host.folder / "target")
        assert same(host.source, host.folder / "target")


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["data", pytest.param("trees", marks=pytest.mark.heavy)])
def test_damage_at_a_distance_is_found_and_mended(place: Place, kind: str) -> None:
    """Of trees too, of which this host has copies."""
    host = place.host
    with place.serving():
        host.run("backup", "--source", "docs")
        trees, everything = place.tree_packs, place.store.packs()
        assert trees < everything
        for pack in trees if kind == "trees" else everything - trees:
            place.store.flip(pack)
        assert "PROBLEM" in host.run("verify", *(["--read-data"] if kind == "data" else []), code=1)
        assert "NOT PROVEN" in host.run("drill", "nightly", code=1)
        host.run("verify", "--read-data", code=1)
        host.run("backup", "--source", "docs", "--strategy", "full")
        assert "NOT PROVEN" not in host.run("drill", "nightly")
        if (
            kind == "trees"
        ):  # those above the source have other times by now: the first snapshot stays without them
            return
        assert "no problems" in host.run("verify", "--read-data")
    place.assert_sound(snapshots=2)
