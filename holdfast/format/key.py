"""Key files hold the master key, sealed with a key that scrypt derives from a password.

Plain JSON. Only `data` is authenticated; the informational fields are not, which is why a key file's name must be the
SHA-256 of its bytes. scrypt's numbers are bounded before use. Source: restic, internal/repository/key.go.
"""

from typing import Final

import msgspec

from holdfast.crypto.kdf import ScryptParameters, derive_key
from holdfast.crypto.sealing import MasterKey, Sealer
from holdfast.errors import CorruptFileError, WrongPasswordError
from holdfast.format.leniency import read
from holdfast.format.times import format_time

_SCRYPT: Final = "scrypt"


class KeyFile(msgspec.Struct, frozen=True, kw_only=True):
    """A key file. salt and data are base64 in JSON; created is RFC 3339."""

    hostname: str = ""
    username: str = ""
    kdf: str
    n: int = msgspec.field(name="N")
    r: int
    p: int
    created: str = ""
    data: bytes
    salt: bytes


class _WireMac(msgspec.Struct, frozen=True):
    k: bytes
    r: bytes


class _WireMaster(msgspec.Struct, frozen=True):
    mac: _WireMac
    encrypt: bytes


_KEY_DECODER: Final = msgspec.json.Decoder(KeyFile)
_MASTER_DECODER: Final = msgspec.json.Decoder(_WireMaster)


def create_key(
    password: bytes,
    master: MasterKey,
    parameters: ScryptParameters,
    *,
    created_ns: int,
    host: str = "",
    user: str = "",
) -> bytes:
    """The bytes of a key file that opens `master` with `password`."""
    wire = _WireMaster(mac=_WireMac(k=master.mac_k, r=master.mac_r), encrypt=master.encrypt)
    sealed = Sealer(derive_key(password, parameters)).seal(msgspec.json.encode(wire))
    return msgspec.json.encode(
        KeyFile(
            hostname=host,
            username=user,
            kdf=_SCRYPT,
            n=parameters.n,
            r=parameters.r,
            p=parameters.p,
            created=format_time(created_ns),
            data=sealed,
            salt=parameters.salt,
        )
    )


def decode_key(data: bytes) -> KeyFile:
    """A key file, still sealed.

    Raises:
        CorruptFileError: not a key file, another key derivation, numbers out of bounds.
    """
    try:
        key = read(_KEY_DECODER, data, KeyFile.__struct_encode_fields__)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CorruptFileError(f"a key file cannot be read: {error}") from error
    if key.kdf != _SCRYPT:
        raise CorruptFileError("a key file uses an unknown key derivation")
    _parameters(key).check()
    return key


def open_key(key: KeyFile, password: bytes) -> MasterKey:
    """The master key.

    Raises:
        WrongPasswordError: the password does not open this key file.
        CorruptFileError: it does, but what is inside is no master key.
    """
    sealer = Sealer(derive_key(password, _parameters(key)))
    try:
        opened = sealer.open(key.data)
    except CorruptFileError as error:
        raise WrongPasswordError("the password does not open this key") from error
    try:
        wire = _MASTER_DECODER.decode(opened)
        return MasterKey(encrypt=wire.encrypt, mac_k=wire.mac.k, mac_r=wire.mac.r)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise CorruptFileError("a key file holds no usable master key") from error


def _parameters(key: KeyFile) -> ScryptParameters:
    return ScryptParameters(n=key.n, r=key.r, p=key.p, salt=key.salt)
