"""What adapters share to say that a text cannot be sent: links in it, and what `send` makes of it.

It knows no carrier and asks nobody.
"""

import re
import unicodedata
from functools import lru_cache

from channels.base import SendRequest, Unsendable, Words
from channels.errors import ErrorClass, PermanentFailure
from channels.segment import CACHED_TEXTS_MAX

_LINK = re.compile(
    r"https?://|www\.|(?<![A-Za-z0-9@.-])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*"
    r"\.(?:com|cn|net|org|gov|edu|info|top|xyz|cc|vip|link|site|club|ly|gl)(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"(?<!\d)(?:(?:\+|00)?86[- ]?)?(?:1[3-9]\d[- ]?\d{4}[- ]?\d{4}|0\d{2,3}[- ]?\d{7,8}"
    r"|[48]00[- ]?\d{3}[- ]?\d{4}|[48]00[- ]?\d{4}[- ]?\d{3})(?!\d)"
)


def words_of(request: SendRequest) -> Words:
    """Return what `check` would be asked about a text that is being sent."""
    return Words(
        text=request.text,
        language=request.language,
        form=request.form,
        fields=request.fields,
        recorded=bool(request.audio_url),
    )


def refusal(found: Unsendable) -> PermanentFailure:
    """Return what `send` makes of what `check` found. Another carrier may be able to."""
    return PermanentFailure(
        f"cannot be sent here: {found.obstacle.value} {found.field}".rstrip(),
        code=found.obstacle.value,
        error_class=ErrorClass.UNROUTABLE,
    )


@lru_cache(maxsize=CACHED_TEXTS_MAX)
def has_link(text: str) -> bool:
    """Return whether a text holds a web address or a phone number, full-width ones too.

    Emergency numbers and service numbers of up to six digits (119, 95598) are none.
    """
    plain = unicodedata.normalize("NFKC", text)
    return bool(_LINK.search(plain) or _PHONE.search(plain))
