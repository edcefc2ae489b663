"""The words of the ledger: what each act means, why it happened, and who did it.

Every act that the source writes has a word here (a test looks for them). An act that nobody knows
any more is shown as it was written.
"""

from collections.abc import Mapping
from typing import Any

from warnsvc.web.label import Label
from warnsvc.words import Translate, mark

ACTS: dict[str, Label] = {
    "bulletin.drafted": Label(mark("起草预警"), "✎", "idle"),
    "bulletin.edited": Label(mark("修改预警"), "✎", "idle"),
    "bulletin.submitted": Label(mark("送签"), "◔", "busy"),
    "bulletin.signed": Label(mark("签发"), "◑", "busy"),
    "bulletin.sent_back": Label(mark("退回修改"), "↩", "late"),
    "bulletin.discarded": Label(mark("作废"), "✕", "off"),
    "bulletin.recording_added": Label(mark("添加录音"), "♪", "idle"),
    "bulletin.recording_removed": Label(mark("去掉录音"), "♪", "late"),
    "bulletin.released": Label(mark("发布"), "▲", "busy"),
    "bulletin.lifted": Label(mark("解除"), "■", "off"),
    "bulletin.expired": Label(mark("到期"), "□", "off"),
    "escalation.tier_opened": Label(mark("开始叫这一层"), "◐", "busy"),
    "escalation.tier_empty": Label(mark("这一层没有人，跳过"), "△", "bad"),
    "escalation.answered": Label(mark("已应答"), "✓", "good"),
    "escalation.answered_late": Label(mark("较早一层迟应"), "✓", "late"),
    "escalation.exhausted": Label(mark("各层都没有应答，转人工"), "✕", "bad"),
    "escalation.lifted": Label(mark("随预警解除"), "■", "off"),
    "escalation.expired": Label(mark("到期仍未应答"), "✕", "bad"),
    "callout.started": Label(mark("开始叫人"), "◐", "busy"),
    "callout.started_again": Label(mark("再次开始叫人"), "◐", "busy"),
    "callout.answered": Label(mark("本人应答"), "✓", "good"),
    "callout.refused": Label(mark("本人说不能到岗"), "⊘", "bad"),
    "callout.unreachable": Label(mark("打不通"), "✕", "bad"),
    "attempt.outcomes": Label(mark("发送结果入账"), "◔", "idle"),
    "attempt.receipts": Label(mark("回执入账"), "◔", "idle"),
    "attempt.expired": Label(mark("超时未发"), "✕", "late"),
    "attempt.leases_ended": Label(mark("发送中断，改为查询"), "?", "late"),
    "attempt.rerouted": Label(mark("换下一个通道再发"), "↷", "late"),
    "attempt.recalled": Label(mark("请通道取消还没打出的电话"), "■", "off"),
    "attempt.unknown_settled": Label(mark("查清结果不明的发送"), "◔", "idle"),
    "inbound.poison": Label(mark("回执无法处理，转人工"), "?", "late"),
    "inbound.settled": Label(mark("办结回复"), "✓", "off"),
    "task.claimed": Label(mark("认领任务"), "◐", "busy"),
    "task.done": Label(mark("完成任务"), "✓", "good"),
    "alarm.raised": Label(mark("发出告警"), "！", "bad"),
    "alarm.ended": Label(mark("告警恢复"), "✓", "good"),
    "alarm.acknowledged": Label(mark("确认告警"), "✓", "off"),
    "number.revealed": Label(mark("查看号码"), "◉", "late"),
    "number.changed": Label(mark("修改号码"), "✎", "idle"),
    "contact.opted_out": Label(mark("联系人退订短信"), "⊘", "late"),
    "secret.revealed": Label(mark("查看接口密钥"), "◉", "late"),
    "directory.imported": Label(mark("导入名录"), "✎", "idle"),
    "directory.exported": Label(mark("导出号码写全的名录"), "◉", "late"),
    "carrier.added": Label(mark("添加通道"), "✎", "idle"),
    "carrier.enabled": Label(mark("启用通道"), "✓", "idle"),
    "carrier.disabled": Label(mark("停用通道"), "■", "off"),
    "carrier.removed": Label(mark("移除通道"), "✕", "late"),
    "circuit.changed": Label(mark("通道熔断或恢复"), "◐", "late"),
    "carrier.tested": Label(mark("发送测试"), "◔", "idle"),
    "carrier.tests_deleted": Label(mark("删除到期的测试记录"), "✕", "off"),
    "officer.added": Label(mark("添加账号"), "✎", "idle"),
    "officer.enabled": Label(mark("启用账号"), "✓", "idle"),
    "officer.disabled": Label(mark("停用账号"), "✕", "off"),
    "officer.roles_changed": Label(mark("修改职责"), "✎", "idle"),
    "officer.password_reset": Label(mark("重置密码"), "✎", "late"),
    "officer.password_changed": Label(mark("修改密码"), "✎", "idle"),
    "officer.logged_in": Label(mark("登录"), "→", "off"),
    "officer.logged_out": Label(mark("退出登录"), "←", "off"),
    "officer.login_failed": Label(mark("登录失败"), "✕", "late"),
    "officer.locked": Label(mark("账号锁定"), "✕", "bad"),
    "officer.sessions_ended": Label(mark("结束登录"), "←", "off"),
}

WHY: dict[str, str] = {
    "released": mark("预警发布"),
    "text_changed": mark("正文改了"),
    "window": mark("上一层到时没有应答"),
    "hopeless": mark("上一层已不可能应答"),
    "empty": mark("没有可叫的人"),
    "quorum": mark("应答人数已够"),
    "late": mark("迟应"),
    "in_time": mark("按时"),
    "no_address": mark("没有可用号码"),
    "reply": mark("本人回复"),
    "carrier": mark("运营商告知"),
    "blocked": mark("运营商都不肯发，号码可能没错"),
    "away": mark("关机或不在服务区"),
    "lifted": mark("预警解除"),
    "expired": mark("预警到期"),
    "overdue": mark("过了有效时间，已不需要"),
    "no_tier": mark("没有任何联系人"),
    "no_receipt": mark("规定时间内没有送达回执"),
    "unroutable": mark("通道送不到"),
    "filtered": mark("通道不收这段文字"),
    "config": mark("通道账号或设置有误"),
    "down": mark("通道连不上"),
    "throttled": mark("通道限速"),
    "other": mark("通道拒收"),
    "ambiguous": mark("通道没有回音"),
    "callee_limit": mark("通道对这个号码的次数已满"),
}


def act_label(act: str, words: Translate) -> Label:
    """Return the word, sign and tone of an act."""
    found = ACTS.get(act)
    return (
        Label(act, "·", "idle")
        if found is None
        else Label(words(found.words), found.sign, found.tone)
    )


def why_words(why: str, words: Translate) -> str:
    """Return the reason in words; a reason that an officer typed is shown as he typed it."""
    if why.startswith("tier ") and why[5:].isdigit():
        return words("第 {n} 层", n=int(why[5:]))
    found = WHY.get(why)
    return why if found is None else words(found)


def actor_words(actor: str, names: Mapping[str, str], words: Translate) -> str:
    """Return who did it: `officer:3` by name, `contact:12` by name, or the system."""
    if actor in names:
        return names[actor]
    if actor in {"", "system"}:
        return words("系统")
    kind, _, rest = actor.partition(":")
    if kind == "carrier":
        return words("运营商 {name}", name=rest)
    return actor


def actors_in(lines: list[dict[str, Any]]) -> tuple[list[int], list[int]]:
    """Return the ids of officers and of contacts that act in these lines."""
    officers: set[int] = set()
    contacts: set[int] = set()
    for line in lines:
        kind, _, rest = str(line.get("actor", "")).partition(":")
        if rest.isdigit():
            {"officer": officers, "contact": contacts}.get(kind, set()).add(int(rest))
    return sorted(officers), sorted(contacts)
