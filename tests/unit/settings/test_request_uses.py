"""Orders that one run may use: by which run, how often, until when; and what is believed to be an order at all."""

import os
import threading
from pathlib import Path

import pytest

from holdfast.errors import CorruptFileError, HoldfastError, SettingsError, StorageDeniedError, UsageError
from holdfast.restore.request import RestoreOptions, SystemRestoreOrder
from holdfast.service.settings.request_uses import RequestUse, check_use, end_use, take_request, use_of
from holdfast.service.settings.requests import (
    RepositoryOrder,
    SourceOrder,
    is_once,
    read_request,
    remove_unused_requests,
    write_request,
)

ORDER = RestoreOptions(target=b"/canary")
RUN = "restore:h:home:@0/1"


def test_two_equal_orders_are_two_and_what_they_ask_for_is_one(tmp_path: Path) -> None:
    first, second = (write_request(tmp_path, ORDER, once=mark) for mark in ("a", "b"))
    assert first != second
    assert first[:13] == second[:13]  # ids of workflows show so much of it
    assert write_request(tmp_path, ORDER, once="a") == first
    other = write_request(tmp_path, RestoreOptions(target=b"/other"), once="a")
    assert other[:13] != first[:13]
    assert [is_once(tmp_path, token) for token in (first, write_request(tmp_path, ORDER))] == [True, False]
    assert (
        read_request(tmp_path, first, RestoreOptions)
        == read_request(tmp_path, second, RestoreOptions)
        == ORDER
    )


def test_what_only_names_something_keeps_its_token(tmp_path: Path) -> None:
    order = RepositoryOrder(location="/srv/canary")
    assert write_request(tmp_path, order) == write_request(tmp_path, order)


def test_an_order_of_one_kind_is_none_of_another(tmp_path: Path) -> None:
    token = write_request(tmp_path, ORDER, once="a")
    for kind in (SourceOrder, RepositoryOrder, SystemRestoreOrder):
        with pytest.raises(SettingsError, match="of another kind"):
            read_request(tmp_path, token, kind)


def test_the_first_run_keeps_it_until_it_is_over(tmp_path: Path) -> None:
    token = write_request(tmp_path, ORDER, once="a")
    with pytest.raises(UsageError, match="was not begun"):
        check_use(tmp_path, token, RUN)
    take_request(tmp_path, token, RUN)
    take_request(tmp_path, token, RUN)  # a retry, another worker, a resumption
    check_use(tmp_path, token, RUN)
    for other in ("restore:h:home:@0/2", "mallory/1", ""):
        with pytest.raises(UsageError, match="used by another run"):
            take_request(tmp_path, token, other)
        with pytest.raises(UsageError, match="used by another run"):
            check_use(tmp_path, token, other)
    end_use(tmp_path, token, RequestUse(run=RUN, over=True, status="complete", snapshot="f" * 64))
    for run in (RUN, "restore:h:home:@0/2"):
        with pytest.raises(UsageError, match=r"was (carried out|used by another run)"):
            take_request(tmp_path, token, run)
        with pytest.raises(UsageError, match=r"was (carried out|used by another run)"):
            check_use(tmp_path, token, run)


def test_of_many_runs_at_once_one_gets_it(tmp_path: Path) -> None:
    token = write_request(tmp_path, ORDER, once="a")
    got: list[str] = []

    def take(run: str) -> None:
        try:
            take_request(tmp_path, token, run)
        except UsageError:
            return
        got.append(run)

    threads = [threading.Thread(target=take, args=(f"run/{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    use = use_of(tmp_path, token)
    assert use is not None
    assert got == [use.run]


def test_the_note_of_a_use_outlives_its_order(tmp_path: Path) -> None:
    """Else the order could be used again."""
    token = write_request(tmp_path, ORDER, once="a")
    take_request(tmp_path, token, RUN)
    order, note = (tmp_path / "requests" / f"{token[1:]}{suffix}" for suffix in (".json", ".use"))
    os.utime(note, (1, 1))
    assert remove_unused_requests(tmp_path, unused_s=3_600) == 0
    os.utime(order, (1, 1))
    assert remove_unused_requests(tmp_path, unused_s=3_600) == 2


@pytest.mark.parametrize(
    "harm",
    [
        "open to a group",
        "open to others",
        "folder open to others",
        "link",
        "fifo",
        "folder is a link",
        "directory",
    ],
)
def test_what_another_may_have_written_is_not_believed(tmp_path: Path, harm: str) -> None:
    token = write_request(tmp_path, ORDER, once="a")
    file = tmp_path / "requests" / f"{token[1:]}.json"
    match harm:
        case "open to a group":
            file.chmod(0o620)
        case "open to others":
            file.chmod(0o644)
        case "folder open to others":
            file.parent.chmod(0o777)
        case "link":
            file.rename(tmp_path / "elsewhere")
            file.symlink_to(tmp_path / "elsewhere")
        case "fifo":
            file.unlink()
            os.mkfifo(file, 0o600)
        case "folder is a link":
            file.parent.rename(tmp_path / "elsewhere")
            (tmp_path / "requests").symlink_to(tmp_path / "elsewhere")
        case _:
            file.unlink()
            file.mkdir(mode=0o700)
    with pytest.raises(StorageDeniedError):
        read_request(tmp_path, token, RestoreOptions)


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to another user needs root")
@pytest.mark.parametrize("of_folder", [True, False])
def test_another_users_file_is_not_believed(tmp_path: Path, *, of_folder: bool) -> None:
    token = write_request(tmp_path, ORDER, once="a")
    file = tmp_path / "requests" / f"{token[1:]}.json"
    os.chown(file.parent if of_folder else file, 65534, 65534)
    with pytest.raises(StorageDeniedError, match="another user"):
        read_request(tmp_path, token, RestoreOptions)


def test_a_changed_order_and_a_damaged_note_are_refused(tmp_path: Path) -> None:
    token = write_request(tmp_path, ORDER, once="a")
    file = tmp_path / "requests" / f"{token[1:]}.json"
    written = file.read_bytes()
    for changed in (written.replace(b'"once": "a"', b'"once": "b"'), written + b" ", b"{}", b"", b"\xff"):
        file.write_bytes(changed)
        with pytest.raises(CorruptFileError):
            read_request(tmp_path, token, RestoreOptions)
    file.write_bytes(written)
    take_request(tmp_path, token, RUN)
    file.with_suffix(".use").write_bytes(b"{}")
    with pytest.raises(HoldfastError, match="damaged"):
        take_request(tmp_path, token, RUN)
