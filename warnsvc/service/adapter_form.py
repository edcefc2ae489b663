"""Adapters as a form or a command offers them: their parameters, from their own signatures.

    signature of an adapter ──► name, type, default, needed or not, secret or not, a help sentence

A parameter that cannot be written as one value (an object, a table) is left out unless there is a
text for it. It builds nothing and knows no carrier.
"""

import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin

from channels.registry import ADAPTERS, Adapter
from warnsvc.words import mark

PLACED_BY_US = frozenset({"name", "clock", "limits", "capabilities", "socket_factory"})
"""Parameters that nobody types."""
WRITTEN_AS_TEXT = frozenset({"per_callee"})
"""Parameters that are objects, and that the registry reads from a text."""
EITHER: Mapping[str, Mapping[str, str]] = {
    "twilio-sms": {"sender": "messaging_service_sid", "messaging_service_sid": "sender"}
}
"""Adapter → two parameters, each with the other: exactly one is needed, though none by itself."""
_SECRET = re.compile(r"secret|token|password|access_key(?!_id)|api_key(?!_s?id)|passwd")
CANARY_TO, CANARY_MINUTES = "canary_to", "canary_minutes"

HELP: Mapping[str, str] = {
    "base_url": mark("运营商接口的地址，以 http:// 或 https:// 开头。"),
    "account": mark("运营商给的账号。"),
    "user": mark("运营商给的账号。"),
    "account_sid": mark("Twilio 的 Account SID，以 AC 开头。"),
    "api_key_sid": mark("Twilio 的 API Key SID，以 SK 开头；可不用。"),
    "api_key_secret": mark("存放 API Key 密钥的文件的路径。"),
    "access_key_id": mark("阿里云的 AccessKey ID；密钥写在文件里。"),
    "sender": mark("发送号码或接入号，收信人看到的就是它。"),
    "messaging_service_sid": mark("Twilio 的 Messaging Service SID，以 MG 开头；可代替发送号码。"),
    "sign_name": mark("备案过的短信签名。"),
    "templates_file": mark("写着审过的模板的文件的路径。"),
    "profile": mark("网关的类型（如 kannel），或自己写的网关配置文件的路径。"),
    "values": mark("网关配置里用到的其他值，如 apId=123 addSerial=01。"),
    "per_second": mark("每秒最多几条（短信按拆分后的条数）、几个呼叫或几个请求。"),
    "sender_per_second": mark("同一发送号码每秒最多几条；0 表示不限。"),
    "batch_max": mark("一次请求最多带几条；0 表示按网关类型，1 表示一条一发。"),
    "lines": mark("最多同时几路通话。"),
    "per_callee": mark("同一号码的频次，如 1/60 5/3600 20/86400!：次数/秒数，! 表示运营商会拒绝。"),
    "countries": mark("能发到哪些国家：国家码，空格或逗号分开；* 表示都能。"),
    "inbound_countries": mark("能收到哪些国家的回复：国家码，空格或逗号分开；* 表示都能。"),
    "replies": mark("开通了上行短信，收得到回复。"),
    "links_allowed": mark("短信里可以有链接。"),
    "allow_from": mark("运营商从哪些 IP 地址回调，空格或逗号分开；不写表示不查。"),
    "allow_private": mark("允许发往内网地址；只在测试时打开。"),
    "repeats": mark("正文念几遍。"),
    "play_times": mark("正文念几遍。"),
    "ring_seconds": mark("最多响铃几秒。"),
    "key_seconds": mark("念完后等按键几秒。"),
    "time_limit_seconds": mark("一通电话最长几秒。"),
    "machine_detection": mark(
        "怎样识别语音信箱；不写表示不识别，这时没按键的电话都不算听完，蓝色、黄色预警要接着叫。"
    ),
    "settle_seconds": mark("发出几秒后才去查结果不明的短信。"),
    "shared_secret": mark("所有接口仍用通道的同一个密钥，像以前那样；否则各有各的。"),
    CANARY_TO: mark("定时试发的测试号码（如 +8613…）或 https 地址；不写就不试发。"),
    CANARY_MINUTES: mark("每隔几分钟试发一次；0 表示不试发。"),
    "secret": mark("存放密钥的文件的路径；密钥本身不进数据库。"),
    "previous_secret": mark("更换密钥期间，存放旧密钥的文件的路径。"),
}
"""Parameter → what it is, in Chinese; translated where it is shown."""


class ParameterType(StrEnum):
    """What is typed into a field."""

    TEXT = "text"
    """Anything."""
    NUMBER = "number"
    """With a point."""
    WHOLE = "whole"
    """Without one."""
    YES_NO = "yes_no"
    """A box to tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """What an adapter needs to know, as a form asks for it."""

    name: str
    type: ParameterType
    required: bool
    default: str = ""
    """As it would be written; empty for none."""
    choices: tuple[str, ...] = ()
    """The values there are, when only some are allowed."""
    secret: bool = False
    """Given as the path of a file that holds it."""
    either: str = ""
    """The parameter that may stand in its place: one of the two is needed."""
    help: str = ""
    """A Chinese sentence that is translated where it is shown; may be empty."""

    def read(self, typed: str | int | float | bool) -> str | int | float | bool:
        """Return the value that was typed. Raises ValueError."""
        if self.choices and str(typed) not in self.choices:
            raise ValueError("none of the choices")
        match self.type:
            case ParameterType.YES_NO:
                return _yes_no(typed)
            case ParameterType.WHOLE:
                return int(str(typed).strip())
            case ParameterType.NUMBER:
                return float(str(typed).strip())
            case _:
                return str(typed).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterForm:
    """An adapter, as a form offers it."""

    name: str
    kind: str
    parameters: tuple[Parameter, ...]

    def parameter(self, name: str) -> Parameter | None:
        """Return one of its parameters."""
        return next((each for each in self.parameters if each.name == name), None)


def adapters() -> list[AdapterForm]:
    """Return every adapter with its parameters, by name."""
    return [form_of(name, adapter) for name, adapter in sorted(ADAPTERS.items())]


def form_of(name: str, adapter: Adapter) -> AdapterForm:
    """Return one adapter's form: what it needs, what it may have, its secrets, its canary."""
    signature = inspect.signature(adapter.build)
    found = [p for each in signature.parameters.values() for p in _parameters(each)]
    found = [replace(p, either=EITHER.get(name, {}).get(p.name, "")) for p in found]
    found.sort(key=lambda p: (not p.required, not p.either, p.secret))
    return AdapterForm(name=name, kind=adapter.kind.value, parameters=(*found, *CANARY))


def _parameters(given: inspect.Parameter) -> list[Parameter]:
    required = given.default is inspect.Parameter.empty
    if given.name in PLACED_BY_US or given.kind is inspect.Parameter.VAR_KEYWORD:
        return []
    if given.name == "secrets":  # two of them while one is being replaced
        return [_secret("secret", required=required), _secret("previous_secret", required=False)]
    if _SECRET.search(given.name) and given.annotation is not bool:  # not a question about one
        return [_secret(given.name, required=required)]
    read = _type_of(given)
    if read is None:
        return []
    kind, choices = read
    return [
        Parameter(
            name=given.name,
            type=kind,
            required=required,
            default="" if required else _written(given.default),
            choices=choices,
            help=HELP.get(given.name, ""),
        )
    ]


def _secret(name: str, *, required: bool) -> Parameter:
    help_ = HELP.get(name, HELP["secret"])
    return Parameter(name=name, type=ParameterType.TEXT, required=required, secret=True, help=help_)


CANARY = (
    Parameter(name=CANARY_TO, type=ParameterType.TEXT, required=False, help=HELP[CANARY_TO]),
    Parameter(
        name=CANARY_MINUTES,
        type=ParameterType.WHOLE,
        required=False,
        default="60",
        help=HELP[CANARY_MINUTES],
    ),
)
"""What every carrier has beside its adapter's own."""


def _type_of(given: inspect.Parameter) -> tuple[ParameterType, tuple[str, ...]] | None:
    """Return what is typed for an annotation, and the choices; None: it cannot be typed."""
    if given.name in WRITTEN_AS_TEXT:
        return ParameterType.TEXT, ()
    for each in _alternatives(given.annotation):
        if get_origin(each) is Literal:
            return ParameterType.TEXT, tuple(str(value) for value in get_args(each))
        if isinstance(each, type):
            if issubclass(each, StrEnum):
                return ParameterType.TEXT, tuple(member.value for member in each)
            if each in _TYPES:
                return _TYPES[each], ()
    return None


_TYPES: Mapping[Any, ParameterType] = {
    bool: ParameterType.YES_NO,
    int: ParameterType.WHOLE,
    float: ParameterType.NUMBER,
    str: ParameterType.TEXT,
}


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (Union, types.UnionType):
        return get_args(annotation)
    return (annotation,)


def _written(default: Any) -> str:
    match default:
        case None | ():
            return ""
        case bool():
            return "true" if default else "false"
        case StrEnum():
            return default.value
        case str() | int() | float():
            return str(default)
        case _:
            return ""


_YES = frozenset({"true", "yes", "on", "1", "是"})
_NO = frozenset({"false", "no", "off", "0", "", "否"})


def _yes_no(typed: str | int | float | bool) -> bool:
    word = str(typed).strip().casefold()
    if word not in _YES | _NO:
        raise ValueError("neither yes nor no")
    return word in _YES
