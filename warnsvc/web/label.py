"""The words, signs and tones of every state: what a screen shows instead of a stored word.

Every state has a word, a sign and a tone, so that colour is never alone. The words are the keys of
the translations. It formats nothing and knows no page.
"""

from dataclasses import dataclass

from warnsvc.words import mark


@dataclass(frozen=True, slots=True)
class Label:
    """A word, its sign, and a tone: `idle`, `busy`, `good`, `late`, `bad` or `off`."""

    words: str
    sign: str = ""
    tone: str = "idle"


UNKNOWN = Label(mark("未知"), "?", "off")

STATUS = {
    "actual": Label(mark("正式"), "▲", "real"),
    "exercise": Label(mark("演练"), "◇", "drill"),
    "test": Label(mark("测试"), "◇", "drill"),
}
COLOUR = {
    "blue": Label(mark("蓝色"), "Ⅳ", "blue"),
    "yellow": Label(mark("黄色"), "Ⅲ", "yellow"),
    "orange": Label(mark("橙色"), "Ⅱ", "orange"),
    "red": Label(mark("红色"), "Ⅰ", "red"),
}
BULLETIN = {
    "draft": Label(mark("起草中"), "✎", "idle"),
    "submitted": Label(mark("待签发"), "◔", "busy"),
    "signed": Label(mark("已签发，待发布"), "◑", "busy"),
    "released": Label(mark("已发布，叫应中"), "●", "busy"),
    "lifted": Label(mark("已解除"), "■", "off"),
    "superseded": Label(mark("已被更新"), "↻", "off"),
    "expired": Label(mark("已过期"), "□", "off"),
    "closed": Label(mark("已归档"), "▣", "off"),
    "discarded": Label(mark("已作废"), "✕", "off"),
}
ESCALATION = {
    "pending": Label(mark("待叫"), "○", "idle"),
    "calling": Label(mark("呼叫中"), "◐", "busy"),
    "answered": Label(mark("已应答"), "✓", "good"),
    "exhausted": Label(mark("未叫应"), "✕", "bad"),
    "lifted": Label(mark("已解除"), "■", "off"),
    "expired": Label(mark("过期未应"), "✕", "bad"),
}
LATE = Label(mark("迟应"), "✓", "late")
"""An escalation that answered after it had been exhausted, or a person nobody waited for."""
CALLOUT = {
    "waiting": Label(mark("未轮到"), "○", "idle"),
    "calling": Label(mark("呼叫中"), "◐", "busy"),
    "answered": Label(mark("已应答"), "✓", "good"),
    "refused": Label(mark("不能到岗"), "⊘", "bad"),
    "unreachable": Label(mark("打不通"), "✕", "bad"),
    "silent": Label(mark("无人应答"), "✕", "bad"),
    "stopped": Label(mark("不再需要"), "■", "off"),
}
ATTEMPT = {
    "planned": Label(mark("待发"), "○", "idle"),
    "sending": Label(mark("发送中"), "◐", "busy"),
    "unknown": Label(mark("结果不明，查询中"), "?", "late"),
    "accepted": Label(mark("运营商已收下"), "◔", "busy"),
    "delivered": Label(mark("已送达，不等于应答"), "◕", "busy"),
    "undelivered": Label(mark("没有送达"), "✕", "bad"),
    "failed": Label(mark("发送失败"), "✕", "bad"),
    "expired": Label(mark("超时未发"), "✕", "bad"),
    "cancelled": Label(mark("已取消"), "■", "off"),
}
PURPOSE = {
    "call": mark("叫应"),
    "inform": mark("通报上级"),
    "stand_down": mark("告知不必再联系"),
    "lift": mark("解除通知"),
}
CHANNEL = {
    "sms": mark("手机短信"),
    "voice": mark("电话"),
    "webhook": mark("接口"),
    "link": mark("应答链接"),
    "hand": mark("人工记录"),
}
ERROR = {
    "bad_number": mark("号码错误"),
    "not_capable": mark("该号码收不了此类消息"),
    "opted_out": mark("对方已退订"),
    "unroutable": mark("本运营商到不了该号码"),
    "throttled": mark("发送过快，稍后再试"),
    "handset_off": mark("关机或不在服务区"),
    "no_answer": mark("响铃无人接"),
    "busy": mark("电话占线"),
    "voicemail": mark("语音信箱，没有人听到"),
    "filtered": mark("内容被拦截"),
    "expired": mark("排队超时"),
    "config": mark("通道配置有误"),
    "down": mark("通道连不上"),
    "ambiguous": mark("没有回音，可能已送达"),
    "other": mark("其他原因"),
}
RECEIPT = {
    "accepted": mark("运营商排队中"),
    "sent": mark("已交给网络"),
    "ringing": mark("响铃"),
    "picked_up": mark("有人接起"),
    "person": mark("是真人接听"),
    "played": mark("全文播完"),
    "cut_short": mark("未听完就挂断"),
    "heard": mark("全文听完"),
    "delivered": mark("已到手机"),
    "undelivered": mark("送不到"),
}
ANSWER = {
    "received": Label(mark("收到"), "✓", "good"),
    "on_post": Label(mark("已到岗"), "✓", "good"),
    "heard": Label(mark("全文听完，未按键"), "◕", "busy"),
    "refused": Label(mark("不能到岗"), "⊘", "bad"),
    "help": Label(mark("需要支援"), "！", "bad"),
    "unclear": Label(mark("看不懂，待人工判读"), "?", "late"),
}
RUNG = (
    mark("未呼叫"),
    mark("已提交"),
    mark("送达手机"),
    mark("响铃"),
    mark("未听完"),
    mark("全文听完"),
    mark("收到"),
    mark("到岗"),
    mark("已报情况"),
    mark("人员已转移"),
)
TASK = {
    "call_by_hand": Label(mark("人工打电话"), "☎", "busy"),
    "knock": Label(mark("上门叫应"), "⌂", "bad"),
    "help": Label(mark("对方求援"), "！", "bad"),
    "fix_number": Label(mark("核对号码"), "✎", "late"),
}
TASK_STATE = {
    "open": Label(mark("待认领"), "○", "bad"),
    "claimed": Label(mark("处理中"), "◐", "busy"),
    "done": Label(mark("已完成"), "✓", "good"),
    "moot": Label(mark("已不需要"), "■", "off"),
}
ALARM = {
    "exhausted": Label(mark("各级都没有应答，须人工叫应"), "✕", "bad"),
    "no_contact": Label(mark("有一层没有可叫的人"), "✕", "bad"),
    "unmatched": Label(mark("有回复待人工判读"), "?", "late"),
    "poison": Label(mark("有回执无法处理"), "?", "late"),
    "expired": Label(mark("预警过期时仍未应答"), "✕", "bad"),
    "refused": Label(mark("有人不能到岗"), "⊘", "bad"),
    "help": Label(mark("有人求援"), "！", "bad"),
    "channel": Label(mark("通道异常"), "！", "bad"),
    "spool": Label(mark("数据库未能写入，回执先存在本机"), "！", "late"),
    "late": Label(mark("该办的事没有按时办"), "！", "bad"),
    "unknown": Label(mark("结果不明的发送太多或太久"), "?", "late"),
    "clock": Label(mark("时钟不对，本系统按自己的时间继续"), "！", "bad"),
    "database": Label(mark("数据库不可用"), "！", "bad"),
    "canary": Label(mark("定时试发没有成功，通道可能坏了"), "！", "bad"),
    "filtered": Label(mark("内容被运营商拦截"), "✕", "bad"),
    "opted_out": Label(mark("有人退订了短信"), "⊘", "bad"),
    "callback": Label(mark("运营商的回执和回复被拒收"), "✕", "bad"),
    "poll": Label(mark("漏收的回复太多，没有补取完，请到运营商后台查看"), "！", "bad"),
}
OVER = Label(mark("已恢复"), "✓", "good")
"""An alarm whose cause is over by itself."""
LATE_KIND = {
    "bulletin": mark("到期的预警没有结束"),
    "escalation": mark("到时没有叫下一层"),
    "callout": mark("到时没有重呼"),
    "inbound": mark("应答和回执没有处理"),
    "lease": mark("中断的发送没有人接手"),
    "ledger": mark("台账没有入账"),
    "attempt": mark("待发的没有发"),
    "unknown": mark("结果不明的没有查询"),
    "worker": mark("没有叫应进程在运行"),
}
"""What the watchdog found late (`warnsvc.service.watch.BOUNDS`)."""
CLOCK_OF = {"machine": mark("本机时钟"), "database": mark("数据库时钟")}
GAP = {
    "no_contact": Label(mark("没有任何联系人"), "✕", "bad"),
    "empty_tier": Label(mark("这一层没有可叫的人，直接叫下一层"), "△", "late"),
    "unreachable": Label(mark("没有可用号码"), "✕", "bad"),
    "by_hand": Label(mark("须人工打电话"), "☎", "busy"),
}
LEVEL = {
    "province": mark("省级"),
    "prefecture": mark("地级"),
    "county": mark("县级"),
    "township": mark("乡级"),
    "village": mark("村级"),
    "site": mark("场所"),
    "zone": mark("危险区"),
}
KIND = {"gov": mark("地方"), "corps": mark("兵团")}
CONTACT_KIND = {"person": mark("人员"), "endpoint": mark("设备或系统")}
NUMBER_KIND = {"mobile": mark("手机号"), "landline": mark("座机"), "webhook": mark("接口")}
ROLE = {
    "duty": mark("值班"),
    "signer": mark("签发"),
    "auditor": mark("审计"),
    "admin": mark("管理"),
}
LANGUAGE = {
    "zh": mark("汉语"),
    "ug": mark("维吾尔语"),
    "kk-Arab": mark("哈萨克语"),
    "en": mark("英语"),
}
INBOUND_STATE = {
    "new": Label(mark("处理中"), "◐", "busy"),
    "applied": Label(mark("已处理"), "✓", "good"),
    "unmatched": Label(mark("对不上号"), "?", "bad"),
    "poison": Label(mark("无法处理"), "?", "bad"),
    "settled": Label(mark("已办结"), "✓", "off"),
}
VOICE = {
    "recorded": Label(mark("播放录音"), "♪", "good"),
    "spoken": Label(mark("由电话通道朗读"), "✓", "good"),
    "chinese": Label(mark("改说汉语"), "△", "late"),
    "silent": Label(mark("电话打不出去"), "✕", "bad"),
}
"""How the people of a language are called by phone."""
QUORUM = {"any": mark("一人应答即可"), "n": mark("须 {n} 人应答"), "all": mark("须全部应答")}

LABELS: dict[str, dict[str, Label]] = {
    "status": STATUS,
    "colour": COLOUR,
    "bulletin": BULLETIN,
    "escalation": ESCALATION,
    "callout": CALLOUT,
    "attempt": ATTEMPT,
    "answer": ANSWER,
    "task": TASK,
    "task_state": TASK_STATE,
    "alarm": ALARM,
    "gap": GAP,
    "inbound_state": INBOUND_STATE,
    "voice": VOICE,
}
"""Kind of state → stored word → label."""

WORDS: dict[str, dict[str, str]] = {
    "purpose": PURPOSE,
    "channel": CHANNEL,
    "error": ERROR,
    "receipt": RECEIPT,
    "level": LEVEL,
    "kind": KIND,
    "contact_kind": CONTACT_KIND,
    "number_kind": NUMBER_KIND,
    "role": ROLE,
    "language": LANGUAGE,
    "quorum": QUORUM,
}
"""Kind of word → stored word → what is shown."""


def label_of(kind: str, word: str, *, late: bool = False) -> Label:
    """Return the label of a stored word; of one that nobody knows, a sign that says so."""
    if late and word == "answered":
        return LATE
    return LABELS[kind].get(word, UNKNOWN)
