"""The contract on Azure Blob Storage, as far as Azurite stands for it; in the long suite.

`AZURITE` names a running one by its endpoint (http://127.0.0.1:10000/devstoreaccount1), with a container `test`.
"""

import os
from pathlib import Path

import pytest

from holdfast.errors import StorageDeniedError
from holdfast.storage.contract import Storage
from holdfast.storage.credentials import fixed
from holdfast.storage.locations import open_storage
from holdfast.storage.probe import probe
from tests.storage.conformance import StorageConformance

ENDPOINT = os.environ.get("AZURITE", "")
ENVIRON = {
    "AZURE_ACCOUNT_NAME": "devstoreaccount1",
    "AZURE_ACCOUNT_KEY": "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
    "AZURE_STORAGE_ENDPOINT": ENDPOINT,
}
"""Azurite's own, which everybody knows."""
pytestmark = [pytest.mark.heavy, pytest.mark.skipif(not ENDPOINT, reason="AZURITE names no running Azurite")]


class TestAzure(StorageConformance):
    @pytest.fixture(autouse=True)
    def _prefix(self, prefix: str) -> None:
        self.prefix = prefix

    def make(self, tmp_path: Path) -> Storage:
        return open_storage(f"azure:test:/{self.prefix}", fixed(ENVIRON))


def test_the_probe_finds_nothing_wrong(prefix: str) -> None:
    probed = probe(open_storage(f"azure:test:/{prefix}", fixed(ENVIRON)))
    assert [found for found in probed.findings if not found.well] == []


def test_a_container_that_is_not_there_is_no_empty_repository(prefix: str) -> None:
    storage = open_storage(f"azure:not-there:/{prefix}", fixed(ENVIRON))
    for ask in (
        lambda: storage.size_or_none("config"),
        lambda: [*storage.list("index")],
        lambda: storage.put("a/b", b""),
    ):
        with pytest.raises(StorageDeniedError, match="there is no such bucket"):
            ask()
