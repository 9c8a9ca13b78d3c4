"""Taking the usage out of a stream for a client that did not ask for it."""

import re
from collections.abc import Sequence
from typing import Any, Final

from penstock.openai.sse import Event

# An unescaped quote never stands inside a JSON string, so these match a member and never a text.
_USUAL: Final = (b',"usage":null', b', "usage": null')
_NULL: Final = re.compile(rb',\s*"usage"\s*:\s*null(?=\s*[,}])|(?<=\{)\s*"usage"\s*:\s*null\s*,\s*')


class HideUsage:
    """Gives the stream as the provider would have sent it had nobody asked for the usage chunk.

    It drops the chunk that only tells the usage and takes `"usage": null` out of the others; every
    other byte stays. Usage that rides on a chunk with choices was there unasked, and stays too.
    """

    def event(self, event: Event) -> Sequence[Event]:
        """Give what goes on in this event's place."""
        if event.data is None or b'"usage"' not in event.data:
            return (event,)
        chunk = event.json
        if tells_only_usage(chunk):
            return ()
        if not isinstance(chunk, dict) or chunk.get("usage", chunk) is not None or len(chunk) == 1:
            return (event,)
        # A nested one may look the same, and data over several lines stands otherwise in the raw bytes:
        # better one null too many.
        if event.data.count(b'"usage"') != 1 or event.data not in event.raw:
            return (event,)
        rest = {name: value for name, value in chunk.items() if name != "usage"}
        return (Event(_without(event.raw), _without(event.data), event.name, event.final, rest),)


def _without(text: bytes) -> bytes:
    """Take the one `"usage": null` out of a chunk with at least one more member."""
    for spelled in _USUAL:
        if spelled in text:
            return text.replace(spelled, b"")
    return _NULL.sub(b"", text)


def tells_only_usage(chunk: Any) -> bool:  # noqa: ANN401 - any JSON may come from upstream
    """Whether this is the chunk that `stream_options.include_usage` asks for."""
    return isinstance(chunk, dict) and chunk.get("choices") == [] and isinstance(chunk.get("usage"), dict)
