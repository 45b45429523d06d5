"""Small text files as restic reads them: byte order marks, UTF-16, and white space as Go knows it."""

from typing import Final

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_UTF16_MARKS: Final = (b"\xff\xfe", b"\xfe\xff")
# Go's unicode.IsSpace. Python's str.strip() would also take U+001C to U+001F.
_SPACE: Final = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)


def decode_text_file(raw: bytes) -> str:
    """The content without a byte order mark (restic's internal/textfile); bytes that are not UTF-8 are surrogates."""
    if raw.startswith(_UTF16_MARKS):
        return raw.decode("utf-16", "replace")
    return raw.removeprefix(_UTF8_MARK).decode("utf-8", "surrogateescape")


def trim(text: str) -> str:
    """`text` without the white space around it, as Go's strings.TrimSpace knows it."""
    return text.strip(_SPACE)
