"""Answers that browsers may keep: bytes with an ETag."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from fastapi import Request, Response

from histocerb.web.cache import ByteCache

_CACHE_BYTES = 64 << 20
_KEEP = "private, max-age=86400, immutable"
"""For addresses that carry the stamp of what they lead to: that never changes."""
_ASK_AGAIN = "private, no-cache"
"""For all others: tomorrow another result or slide may stand behind the same address."""


class Kept:
    """Bytes that were computed once, under the address and stamp they belong to."""

    def __init__(self) -> None:
        self._bytes: ByteCache[str, bytes] = ByteCache(_CACHE_BYTES, len)

    def answer(self, request: Request, stamp: str, media_type: str, compute: Callable[[], bytes]) -> Response:
        """The bytes, or 304 where the browser has them; with the stamp in the address it need not ask again.

        Args:
            request: its address and query say what is wanted; `v` is the stamp that it carries.
            stamp: of the result or slide; changes when the bytes may.
            media_type: of the bytes.
            compute: makes them.
        """
        key = f"{stamp} {request.url.path}?{request.url.query}"
        tag = f'"{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}"'
        is_stamped = request.query_params.get("v") == stamp
        headers = {"ETag": tag, "Cache-Control": _KEEP if is_stamped else _ASK_AGAIN}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(self._bytes.get(key, compute), media_type=media_type, headers=headers)
