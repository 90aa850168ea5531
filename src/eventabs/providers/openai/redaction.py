"""Keys and other secrets in what an endpoint sends back are masked: as they are, as JSON or an address escapes them, in base64."""

import base64
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from urllib.parse import quote

from eventabs.records import Reply

MASK = "[redacted]"
WORD_LENGTH = 6  # a shorter secret is masked only where it stands alone: "1" is everywhere
_MASKED_LENGTH = (
    16  # another secret than a key is masked in replies from this length on; a shorter one may be a word
)


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask every secret in the text."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) < WORD_LENGTH:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
        else:
            for form in _forms(secret):
                text = text.replace(form, MASK)
    return text


@cache
def _forms(secret: str) -> tuple[str, ...]:
    """Return how a secret may be written; in base64 also behind `Bearer`."""
    escaped = json.dumps(secret)[1:-1]
    percent = quote(secret, safe="")
    packed = [base64.b64encode(text.encode()).decode().rstrip("=") for text in (secret, f"Bearer {secret}")]
    for_urls = [text.replace("+", "-").replace("/", "_") for text in packed]
    forms = {secret, escaped, escaped.replace("/", "\\/"), percent, re.sub("%..", _lower, percent)}
    return tuple(sorted({*forms, quote(secret), *packed, *for_urls}, key=len, reverse=True))


def _lower(found: re.Match[str]) -> str:
    return found[0].lower()


class ReplyMask:
    """Masks in replies what is a secret for certain: keys, and other secrets that are too long to be words."""

    def __init__(self, keys: Iterable[str], secrets: Iterable[str]) -> None:
        known = {key for key in keys if len(key) >= WORD_LENGTH}
        self._secrets = known | {secret for secret in secrets if len(secret) >= _MASKED_LENGTH}

    def masked(self, reply: Reply) -> Reply:
        """Return the reply without them."""
        return replace(
            reply, text=redact(reply.text, self._secrets), reasoning=redact(reply.reasoning, self._secrets)
        )


def one_line(text: str, secrets: Iterable[str], most: int = 300) -> str:
    """Return foreign text as one redacted line of at most `most` characters, without control characters."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    line = redact(" ".join(visible.split()), secrets)
    return line if len(line) <= most else line[: most - 1] + "…"
