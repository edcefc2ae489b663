"""Says before anybody sends whether a gateway can: its alphabet, and links where it blocks them.

`check` and `send` both ask `obstacle`, so what is refused in the form and what is refused at night
are the same. How long a text may be is the port's to say.
"""

from collections.abc import Callable, Iterator

from channels.base import Obstacle, Unsendable, Words
from channels.gateway_profile import Profile
from channels.gateway_send_rules import names_of
from channels.gateway_template import names_in
from channels.sendable import has_link

TEXT_NAME = "text"
FIELDS = ("text", "issuer", "listed")
"""What a message is made of: the first is the officer's, and only he can mend it at once."""
WHOLE = "message"


def obstacle(profile: Profile, words: Words) -> Unsendable | None:
    """Return why this gateway cannot carry a text, or None."""
    if not profile.limits.links_allowed and has_link(words.text):
        return Unsendable(obstacle=Obstacle.LINK, field=_where(words, has_link))
    for charset in _charsets(profile):

        def lacks(text: str, charset: str = charset) -> int:
            return sum(not _written(character, charset) for character in text)

        if not _written(words.text, charset):
            return Unsendable(
                obstacle=Obstacle.ALPHABET, field=_where(words, lacks), given=lacks(words.text)
            )
    return None


def _charsets(profile: Profile) -> Iterator[str]:
    """Yield the charsets in which the text travels as it is; in hex it needs none."""
    if TEXT_NAME in names_of(profile.send):
        yield profile.send.charset
    if profile.batch is not None:
        names = names_of(profile.batch.send) | names_in(profile.batch.message)
        if TEXT_NAME in names:
            yield profile.batch.send.charset


def _where(words: Words, found_in: Callable[[str], object]) -> str:
    """Return the value that holds it, the officer's own first."""
    held = (name for name in FIELDS if found_in(str(words.fields.get(name, ""))))
    return next(held, WHOLE)


def _written(text: str, charset: str) -> bool:
    try:
        text.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
