"""The words, signs and tones of carriers: adapters, circuits, tests, and what can be wrong.

Every state has a word, a sign and a tone, so that colour is never alone. An adapter that has no
name here is shown as the settings spell it. It formats nothing and knows no page.
"""

from warnsvc.web.label import Label
from warnsvc.words import mark

ADAPTER: dict[str, str] = {
    "aliyun-sms": mark("阿里云短信"),
    "aliyun-voice": mark("阿里云语音"),
    "http-gateway": mark("短信网关"),
    "simulated-sms": mark("模拟短信通道"),
    "simulated-voice": mark("模拟电话通道"),
    "twilio-sms": mark("Twilio 短信"),
    "twilio-voice": mark("Twilio 电话"),
    "webhook": mark("签名接口（Webhook）"),
}
"""Adapter → what it is."""

PROFILE: dict[str, str] = {
    "kannel": mark("Kannel"),
    "mas": mark("中国移动云 MAS"),
    "json": mark("通用 JSON"),
}
"""Profile of the gateway → what stands behind it. A profile of one's own is shown by its path."""

STANDING: dict[str, Label] = {
    "closed": Label(mark("正常"), "✓", "good"),
    "half_open": Label(mark("半开"), "◐", "busy"),
    "open": Label(mark("熔断"), "✕", "bad"),
    "shaky": Label(mark("不稳"), "！", "late"),
    "unused": Label(mark("未用过"), "○", "idle"),
    "disabled": Label(mark("已停用"), "■", "off"),
    "not_running": Label(mark("待重启"), "↻", "late"),
    "broken": Label(mark("装载不了"), "✕", "bad"),
}
"""How a carrier stands, in a word."""

TEST: dict[str, Label] = {
    "sending": Label(mark("正在发送"), "◐", "busy"),
    "accepted": Label(mark("通道已收下"), "◔", "busy"),
    "delivered": Label(mark("已送达"), "✓", "good"),
    "undelivered": Label(mark("没有送达"), "✕", "bad"),
    "failed": Label(mark("发送失败"), "✕", "bad"),
    "unknown": Label(mark("结果不明"), "?", "late"),
}
"""What became of a test."""

PURPOSE: dict[str, str] = {"by_hand": mark("人工测试"), "canary": mark("定时试发")}
"""Why a test was sent."""

SOURCE: dict[str, str] = {
    "settings": mark("配置文件"),
    "added": mark("在本页或命令行添加"),
}
"""Where a carrier comes from."""

PARAMETER: dict[str, str] = {
    "base_url": mark("服务地址"),
    "account": mark("账号"),
    "sender": mark("发送号"),
    "account_sid": mark("账号 SID"),
    "api_key_sid": mark("API 密钥的 SID"),
    "api_key_secret": mark("API 密钥"),
    "messaging_service_sid": mark("消息服务 SID"),
    "access_key_id": mark("访问密钥的 ID"),
    "sign_name": mark("短信签名"),
    "templates_file": mark("模板对照表的文件"),
    "profile": mark("网关类型"),
    "user": mark("用户名"),
    "values": mark("网关的其他参数"),
    "allow_from": mark("只收这些网段的回执"),
    "secret": mark("密钥"),
    "previous_secret": mark("旧密钥（轮换期间）"),
    "per_second": mark("每秒最多发多少"),
    "sender_per_second": mark("每个发送号每秒最多发多少"),
    "batch_max": mark("一次请求最多带几条"),
    "lines": mark("同时通话数"),
    "per_callee": mark("对同一号码的限制"),
    "countries": mark("送到哪些国家（国际区号）"),
    "inbound_countries": mark("哪些国家的回复收得到（国际区号）"),
    "links_allowed": mark("可以带链接"),
    "allow_private": mark("允许内网地址和不加密的 http"),
    "replies": mark("收得到回复短信"),
    "settle_seconds": mark("等多少秒再查询结果"),
    "play_times": mark("播放几遍"),
    "repeats": mark("重复几遍"),
    "key_seconds": mark("等按键多少秒"),
    "ring_seconds": mark("响铃多少秒"),
    "time_limit_seconds": mark("一通电话最多多少秒"),
    "machine_detection": mark("识别语音信箱"),
    "shared_secret": mark("所有接口共用一个密钥"),
    "canary_to": mark("试发号码"),
    "canary_minutes": mark("每隔多少分钟试发一次"),
}
"""Parameter of an adapter → its label in a form. One that is not here is shown as it is spelled."""

CARRIER_LABELS: dict[str, dict[str, Label]] = {"standing": STANDING, "test": TEST}
"""Kind of state → stored word → label, beside those of `warnsvc.web.label`."""

CARRIER_WORDS: dict[str, dict[str, str]] = {
    "adapter": ADAPTER,
    "profile": PROFILE,
    "test_purpose": PURPOSE,
    "source": SOURCE,
    "parameter": PARAMETER,
}
"""Kind of word → stored word → what is shown."""
