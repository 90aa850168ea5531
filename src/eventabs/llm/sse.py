"""Server-sent events, as far as chat completions use them.

https://html.spec.whatwg.org/multipage/server-sent-events.html, section 9.2.6, with one leniency: an
event that the end of the stream cuts off before its blank line still counts.
"""


class EventDecoder:
    """Cuts the bytes of a stream into the data of its events.

    Works on bytes, so a character cut between two chunks stays whole. Event names, ids and comments
    are dropped: chat completions carry everything in the data.
    """

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []  # pieces of the line that has not ended yet
        self._data: list[bytes] = []
        self._after_cr = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take the next bytes; return the data of every event that they complete."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._after_cr = False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        if b"\r" in chunk:
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        self._unfinished.append(chunk)
        if b"\n" not in chunk:
            return []
        *lines, rest = b"".join(self._unfinished).split(b"\n")
        self._unfinished = [rest]
        return self._read(lines)

    def finish(self) -> list[bytes]:
        """Return the data of an event that the end of the stream cut off."""
        return self._read([b"".join(self._unfinished), b""])

    def _read(self, lines: list[bytes]) -> list[bytes]:
        if self._at_start:
            lines[0] = lines[0].removeprefix(b"\xef\xbb\xbf")
            self._at_start = False
        events = []
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif not line and self._data:
                events.append(b"\n".join(self._data))
                self._data = []
        return events
