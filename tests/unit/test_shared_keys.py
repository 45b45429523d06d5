"""Keys that worker processes share: derived once, found only for the same repository and the same password."""

import os
import subprocess
import sys

from holdfast.ids import sha256
from holdfast.repository.shared_keys import SharedKeys

CONFIG = sha256(b"the config file")
KEY = bytes(range(96))


def test_a_key_is_found_for_its_repository_and_its_password_only() -> None:
    keys = SharedKeys()
    assert keys.get(CONFIG, b"secret") is None
    keys.put(CONFIG, b"secret", KEY)
    assert keys.get(CONFIG, b"secret") == KEY
    assert keys.get(CONFIG, b"wrong") is None
    assert keys.get(sha256(b"made anew"), b"secret") is None


def test_another_process_finds_it_through_an_inherited_descriptor() -> None:
    descriptor = SharedKeys.create_file()
    keys = SharedKeys(descriptor)
    keys.put(CONFIG, b"secret", KEY)
    program = (
        "import sys; from holdfast.repository.shared_keys import SharedKeys;"
        "keys = SharedKeys(int(sys.argv[1])); config = bytes.fromhex(sys.argv[2]);"
        "keys.put(config, b'its own', keys.get(config, b'secret')[::-1])"
    )
    command = [sys.executable, "-c", program, str(descriptor), CONFIG.hex()]
    subprocess.run(command, check=True, pass_fds=(descriptor,))
    assert keys.get(CONFIG, b"its own") == KEY[::-1]
    assert keys.get(CONFIG, b"secret") == KEY
    os.close(descriptor)
