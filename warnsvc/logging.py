"""Logs: a constant message and fields, on stderr, as JSON or for a terminal.

    log = get_logger()
    log.info("answer recorded", bulletin=12, callout=90_143, rung=3)

Whatever is logged, by us or by a library, goes through one chain at the end: phone numbers lose
their middle digits, tokens their signature, and fields whose name says that they are secret their
value. It never writes a file; the supervisor (systemd, docker) keeps the stream.
"""

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

DEPTH_MAX = 6
"""How deep nested fields are looked through; what lies deeper is replaced as a whole."""

REDACTED = "[redacted]"

_SECRET_NAMES = re.compile(
    r"passw|secret|token|authorization|cookie|csrf|api_?key|signature|dsn|database_url",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"""
      \+\d{1,3}(?:[ -]?\d){6,13}                                    # +E.164, also spaced
    | (?<!\d)(?:(?:00)?86[ -]?|0)?1[3-9]\d(?:[ -]?\d{4}){2}(?!\d)   # a Chinese mobile
    | (?<!\d)\(?0\d{2,3}\)?[ -]\d{7,8}(?!\d)                        # area code and landline
    """,
    re.VERBOSE | re.ASCII,
)
_OUR_TOKEN = re.compile(r"(?<![0-9A-Za-z])([0-9a-z]{1,13}\.)[0-9A-Za-z_-]{22}(?![0-9A-Za-z_-])")
_FOREIGN_DIGITS = {
    start + digit: str(digit)
    for start in (0xFF10, 0x0660, 0x06F0)  # full-width, Arabic, Persian
    for digit in range(10)
} | {ord("＋"): "+"}
_HIDDEN_DIGITS = 4
"""As Chinese letters and bills do it: 138****8000."""


def configure_logging(
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    style: Literal["auto", "console", "json"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send every log line of the process, ours and the libraries', through one chain."""
    stream = stream if stream is not None else sys.stderr
    as_json = style == "json" or (style == "auto" and not stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                hide_private_fields,
                _renderer(as_json=as_json, colours=stream.isatty()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())


def get_logger(name: str = "warnsvc") -> structlog.stdlib.BoundLogger:
    """Return a logger. Say constant messages; put what varies into fields."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def hide_private_fields(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Mask numbers and tokens, and drop secrets, in every field. The last step before the line."""
    return {name: _hidden(name, value, depth=0) for name, value in event.items()}


def mask_numbers(text: str) -> str:
    """Return the text with parts of every phone number and of every token hidden."""
    folded = text.translate(_FOREIGN_DIGITS)  # the same length, so places stay places
    for match in reversed(list(_PHONE.finditer(folded))):
        text = text[: match.start()] + mask_number(match.group()) + text[match.end() :]
    return _OUR_TOKEN.sub(rf"\1{REDACTED}", text)


def mask_number(number: str) -> str:
    """Return a phone number with the four digits before its last four hidden."""
    places = [place for place, character in enumerate(number) if character.isdigit()]
    hidden = set(places[-2 * _HIDDEN_DIGITS : -_HIDDEN_DIGITS])
    return "".join("*" if place in hidden else each for place, each in enumerate(number))


def _hidden(name: str, value: Any, *, depth: int) -> Any:
    """Return a field's value as it may be written down."""
    if _SECRET_NAMES.search(name):
        return REDACTED
    match value:
        case None | bool() | float():
            return value
        case int():
            masked = mask_numbers(str(value))
            return value if masked == str(value) else masked
        case str():
            return mask_numbers(value)
        case _ if depth >= DEPTH_MAX:
            return "…"
        case Mapping():
            return {
                str(key): _hidden(str(key), each, depth=depth + 1) for key, each in value.items()
            }
        case list() | tuple() | set() | frozenset():
            return [_hidden("", each, depth=depth + 1) for each in value]
        case _:
            return mask_numbers(str(value))


def _renderer(*, as_json: bool, colours: bool) -> Processor:
    if as_json:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=colours, timestamp_key="at")
