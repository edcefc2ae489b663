"""The words of what carriers cannot send: refusals beside a text, notes below it.

    Refusal   no carrier of a channel can send what is written, and here is what to change
    Note      who cannot and why, and who sends it instead; it is nobody's fault at the form

It judges nothing; `warnsvc.service.sendable` does.
"""

from collections.abc import Iterable

from channels.base import Obstacle
from warnsvc.service.sendable import NO_REPLY, Form, Hindrance, Note
from warnsvc.web.show import Show
from warnsvc.words import mark

SENDABLE_REFUSALS: dict[str, str] = {
    "unsendable_sms_too_long": mark(
        "没有一个短信通道能发这么长：连同固定用语最多 {limit} 个字，现在 {given} 个。请删短。"
    ),
    "unsendable_sms_field_too_long": mark(
        "没有一个短信通道能发：审定的模板里这段话最多 {limit} 个字，现在 {given} 个。请删短。"
    ),
    "unsendable_sms_link": mark(
        "没有一个短信通道能发：里面有链接或电话号码，会被运营商拦下。请去掉。"
    ),
    "unsendable_sms_alphabet": mark(
        "没有一个短信通道写得出：有 {given} 个字符不在通道的字符集里。请改写；"
        "汉语以外的可以清空这一栏，这些人会收到汉语。"
    ),
    "unsendable_sms_no_template": mark(
        "没有一个短信通道有这种语言的审定模板。请清空这一栏，这些人会收到汉语；"
        "或者请管理员补模板。"
    ),
    "unsendable_voice_too_long": mark(
        "没有一个电话通道能念这么长：连同固定用语最多 {limit} 个字，现在 {given} 个。请删短。"
    ),
    "unsendable_voice_field_too_long": mark(
        "没有一个电话通道能念：审定的模板里这段话最多 {limit} 个字，现在 {given} 个。请删短。"
    ),
    "unsendable_voice_link": mark(
        "没有一个电话通道能念：里面有链接或电话号码，审定的模板不许有。请去掉。"
    ),
    "unsendable_voice_alphabet": mark(
        "没有一个电话通道念得出：有 {given} 个字符不在通道的字符集里。请改写；"
        "汉语以外的可以清空这一栏，这些人会听到汉语。"
    ),
    "unsendable_voice_no_template": mark(
        "没有一个电话通道有这种语言的审定模板。请清空这一栏，这些人会听到汉语；"
        "或者请管理员补模板。"
    ),
}
"""Codes of `sendable.text_refusals`: channel and obstacle. The others cannot be mended by writing.
"""

_WHY: dict[str, str] = {
    Obstacle.TOO_LONG: mark("太长（最多 {limit} 个字，现在 {given} 个）"),
    Obstacle.FIELD_TOO_LONG: mark("“{field}”太长（最多 {limit} 个字，现在 {given} 个）"),
    Obstacle.NO_TEMPLATE: mark("没有审定的模板"),
    Obstacle.LINK: mark("“{field}”里有链接或电话号码"),
    Obstacle.ALPHABET: mark("“{field}”里有 {given} 个字符它写不出"),
    Obstacle.NO_VOICE: mark("不会说这种语言，也没有录音"),
    NO_REPLY: mark("收不到回复"),
}
_NO_PLACE_FOR_NAMES = mark("没有能写村名的审定模板")

_FIELD: dict[str, str] = {
    "issuer": mark("发布单位"),
    "hazard": mark("灾种"),
    "colour": mark("预警颜色"),
    "text": mark("正文"),
    "number": mark("预警编号"),
    "released": mark("发布时间"),
    "listed": mark("村名"),
    "kind": mark("预警或演练"),
    "message": mark("全文"),
}
_FORM: dict[Form, str] = {
    Form(purpose="call"): mark("叫应"),
    Form(purpose="call", names=True): mark("叫上级（列村名）"),
    Form(purpose="inform", names=True): mark("通报上级"),
    Form(purpose="stand_down", names=True): mark("告知不必再联系"),
    Form(purpose="lift"): mark("解除通知"),
}


def note_sentences(notes: Iterable[Note], show: Show) -> dict[str, list[str]]:
    """Return sentences by language, those of the text itself first."""
    said: dict[str, list[str]] = {}
    for note in notes:
        said.setdefault(note.language, []).append(_sentence(note, show))
    return said


def _sentence(note: Note, show: Show) -> str:
    words, comma = show.words, show.words("、")
    what = {
        "language": show.word("language", note.language),
        "channel": show.word("channel", note.channel),
        "forms": comma.join(words(_FORM[form]) for form in note.forms),
        "why": words("；").join(_hindrance(one, show) for one in note.hindered),
    }
    if note.next:
        return words(
            "{language}{channel}的{forms}：{why}。改由 {next} 发送。", next=note.next, **what
        )
    return words("{language}{channel}的{forms}：没有通道能发。{why}。", **what)


def _hindrance(hindrance: Hindrance, show: Show) -> str:
    words = show.words
    missing = hindrance.why == Obstacle.NO_TEMPLATE and hindrance.field
    why = _NO_PLACE_FOR_NAMES if missing else _WHY[hindrance.why]
    field = words(_FIELD.get(hindrance.field, _FIELD["message"]))
    said = words(why, field=field, limit=hindrance.limit, given=hindrance.given)
    return words("{carrier} {why}", carrier=hindrance.carrier, why=said)
