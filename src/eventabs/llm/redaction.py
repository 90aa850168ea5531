"""Keeping secrets and rubbish out of everything that people may read."""

import base64
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import quote

MASK = "[redacted]"
SHOWN_CHARACTERS = 300
_WORD_LENGTH = 6  # a shorter secret is masked only where it stands alone: "1" is everywhere


def redact(text: str, secrets: Iterable[str]) -> str:
    """Mask every secret in the text, also percent-encoded or in base64."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) < _WORD_LENGTH:
            text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", MASK, text)
            continue
        for form in (secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")):
            text = text.replace(form, MASK)
    return text


def one_line(text: str, secrets: Iterable[str]) -> str:
    """Return foreign text as one redacted line of at most 300 characters without control characters."""
    visible = "".join(" " if unicodedata.category(c)[0] in "CZ" else c for c in text)
    line = redact(" ".join(visible.split()), secrets)
    return line if len(line) <= SHOWN_CHARACTERS else line[: SHOWN_CHARACTERS - 1] + "…"
