"""What obstore's errors say of an answer: status and code, which are all that is taken from their messages.

obstore raises a class for each kind of answer, with a text for developers: the URL, the time it took, the body of the
answer, and all of it once more in Rust's notation. The URL may hold a token and the body a key id, so nothing of the
text is handed on but the status, the code (`SlowDown`), and which of the known words for a broken connection it has.
"""

import re
from typing import Final

from holdfast.storage.answers import NO_RANGES, NOT_TRUSTED, Answer

_STATUS: Final = re.compile(r" - Server returned non-2xx status code: (\d{3})")
_BROKEN_ANSWER: Final = " - Server returned error response: "
"""A status of success, and a body that tells of an error: S3 does that."""
_CODES: Final = (
    re.compile(r"<Code>\s*([A-Za-z0-9]{1,64})\s*</Code>"),
    re.compile(r'"(?:code|reason)"\s*:\s*"([A-Za-z0-9]{1,64})"'),
    re.compile(r"\(code: ([A-Za-z0-9]{1,64})\)"),
)
_DEBUG: Final = "\n\nDebug source:"
_ROLES: Final = ("169.254.169.254", "169.254.170.", "metadata.google.internal", "fd00:ec2::254")
"""Where instances and pods ask for their role's credentials."""
_TRANSPORT: Final = (
    ("InvalidCertificate", NOT_TRUSTED),
    ("dns error", "its name cannot be resolved"),
    ("ConnectionRefused", "nothing answers there"),
    ("TimedOut", "it did not answer in time"),
    ("ConnectionReset", "the connection was reset"),
    ("error decoding response body", "its answer broke off"),
    ("IncompleteMessage", "its answer broke off"),
)
"""Words of Rust's notation, the most telling first, and what they mean."""
_WHOLE: Final = "non-partial response when range requested"


def answer_in(error: Exception) -> Answer:
    """What stands in an error of obstore."""
    head, _, debug = str(error).partition(_DEBUG)
    from_role = any(address in head for address in _ROLES)
    found = _STATUS.search(head)
    body = head[found.end() :] if found else head
    code = next((match[1] for pattern in _CODES if (match := pattern.search(body))), "")
    if found:
        return Answer(status=int(found[1]), code=code, from_role=from_role)
    if _BROKEN_ANSWER in head:
        return Answer(status=500, code=code, from_role=from_role)
    if code:  # one file of many, in an answer that was one of success
        return Answer(status=403 if code == "AccessDenied" else 400, code=code)
    if _WHOLE in head:
        return Answer(status=501, code=NO_RANGES)
    if "redirect" in head:
        return Answer(status=301, code="PermanentRedirect")
    reason = next(
        (words for word, words in _TRANSPORT if word in debug or word in head), "the connection broke"
    )
    return Answer(reason=reason, from_role=from_role)
