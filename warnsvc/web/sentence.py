"""What a refusal's code means in words, and what a page says after an act.

Every code that the core, the services or the web can refuse with has a sentence here (a test looks
for the codes in the source). A sentence says what is wrong and what to do about it.
"""

from warnsvc.core.refusal import Refusal
from warnsvc.web.label import BULLETIN, ROLE, UNKNOWN
from warnsvc.web.recording_word import RECORDING_REFUSALS
from warnsvc.web.sendable_word import SENDABLE_REFUSALS
from warnsvc.words import Translate, mark

REFUSALS: dict[str, str] = {
    # the bulletin
    "status_missing": mark("请选择：这是正式预警，还是演练？"),
    "hazard_missing": mark("请选择灾种。"),
    "colour_missing": mark("请选择预警颜色。"),
    "regions_missing": mark("请至少选择一个区域。"),
    "region_unknown": mark("没有这些区域：{codes}。请重新选择。"),
    "time_missing": mark("请填写时间。"),
    "time_malformed": mark("时间要写成 2026-07-05 14:30 的样子。"),
    "expires_before_onset": mark("结束时间要晚于开始时间。"),
    "expires_in_the_past": mark("结束时间已经过去，请改晚一些。"),
    "valid_too_long": mark("有效期不能超过 {hours} 小时。时间更长的请以后续发。"),
    "text_missing": mark("请写汉语正文。"),
    "text_too_long": mark("正文最多 {most} 个字，请删短。"),
    "drill_mark_missing": mark("演练的正文必须以“{mark}”开头，并以“{mark}”结尾。"),
    "drill_says_not_a_drill": mark("演练的正文里不能写“不是演练”。"),
    "live_says_drill": mark("正式预警的正文里不能出现“{mark}”。要演练，请在第一项选择“演练”。"),
    "wrong_state": mark("这条预警现在是“{state}”，不能这样做。请刷新页面，看看别人是否已经处理。"),
    "signer_is_author": mark("这条预警是您自己写的，须由另一人签发。"),
    "changed_while_reading": mark("您阅读时，内容被改过。请重读一遍再签发。"),
    "signature_void": mark("签发之后内容变了，签发无效。请退回重签。"),
    "phrase_differs": mark("确认文字不对。请照着输入：{phrase}"),
    "reason_missing": mark("请写明原因。"),
    "reason_too_long": mark("原因最多 {most} 个字。"),
    "bulletin_unknown": mark("没有第 {id} 号预警。"),
    "no_carrier": mark("没有可用的发送通道，不能发布。请先配置通道。"),
    "carrier_simulated": mark("现在接的是模拟通道，不能发正式预警。"),
    # people and their answers
    "callout_unknown": mark("没有这个叫应。"),
    "escalation_unknown": mark("没有这个叫应单。"),
    "answer_kind_unknown": mark("请选择对方怎么说。"),
    "happens_in_the_future": mark("应答时间不能在将来。"),
    "happened_before_release": mark("应答时间不能早于发布时间。"),
    "note_too_long": mark("备注最多 {most} 个字。"),
    # tasks, alarms, replies
    "task_unknown": mark("没有这个任务。"),
    "task_claimed": mark("{name}正在处理这个任务。"),
    "task_ended": mark("这个任务已经结束。"),
    "result_missing": mark("请写明结果。"),
    "result_too_long": mark("结果最多 {most} 个字。"),
    "inbound_unknown": mark("没有这条回复，或者已经办结。"),
    # officers and logins
    "login_wrong": mark("用户名或密码不对。"),
    "login_locked": mark(
        "密码错的次数太多，账号已锁定，约 {minutes} 分钟后再试。急用请找管理员重置密码。"
    ),
    "login_disabled": mark("这个账号已停用，请找管理员。"),
    "logins_too_many": mark("登录的人太多，请过几秒再试。"),
    "login_malformed": mark("用户名只能用小写字母、数字、点、横线，最多 {most} 个字符。"),
    "login_taken": mark("这个用户名已经有人用了。"),
    "name_missing": mark("请填写姓名。"),
    "name_too_long": mark("最多 {most} 个字。"),
    "roles_missing": mark("请至少选择一种职责。"),
    "password_too_short": mark("密码至少 {least} 个字符。"),
    "password_too_long": mark("密码最多 {most} 个字符。"),
    "password_too_plain": mark("密码太容易猜。请不要用用户名，也不要只用几个相同的字符。"),
    "passwords_differ": mark("两次输入的新密码不一样。"),
    "old_password_wrong": mark("现在的密码不对。"),
    "no_such_officer": mark("没有这个账号。"),
    "cannot_disable_yourself": mark("不能停用自己的账号。"),
    "last_administrator": mark("这是最后一位管理员，不能去掉。请先指定另一位。"),
    "role_missing": mark("这一步要由“{roles}”人员来做，您没有这项职责。需要的话，请找管理员。"),
    "came_from_elsewhere": mark(
        "这个操作没有通过安全检查：页面可能放得太久，或请求来自别的网站。请返回，刷新后再试。"
    ),
    # directory
    "file_missing": mark("请选择要导入的文件。"),
    "import_kind_missing": mark("请选择导入的是区域还是联系人。"),
    "contact_unknown": mark("没有这个联系人。"),
    "region_not_found": mark("没有这个区域。"),
    "number_unknown": mark("没有这个号码。"),
    "number_malformed": mark("这个号码不能拨打，请检查位数和区号。"),
    "web_address_malformed": mark("接口地址要以 https:// 开头，写明主机，不带空格和口令。"),
    "endpoint_has_no_secret": mark("没有可查看的密钥：没有接口通道，或这个联系人没有接口地址。"),
    **RECORDING_REFUSALS,
    **SENDABLE_REFUSALS,
    # carriers
    "carrier_unknown": mark("没有名为 {name} 的通道。"),
    "carrier_name_malformed": mark(
        "名称要以小写字母开头，只用小写字母、数字、横线，最多 40 个字符。"
    ),
    "carrier_name_taken": mark("已经有通道用这个名称。"),
    "carrier_of_settings": mark("{name} 写在配置文件里，请在文件里改，然后重启服务。"),
    "carrier_misconfigured": mark("这样装载不了：{why}"),
    "adapter_unknown": mark("没有这种通道。"),
    "parameter_missing": mark("请填写这一项。"),
    "parameter_malformed": mark("这一项写得不对：数字只写数字，文字不要太长。"),
    "parameter_unknown": mark("这种通道没有 {name} 这个参数。"),
    "parameter_is_secret": mark("{name} 是密钥，请只写它的文件路径。"),
    "secret_file_forbidden": mark("不能用这个文件：要写完整路径，而且不能是本系统自己的文件。"),
    "secret_file_unreadable": mark("服务读不到这个文件，或者文件是空的。请检查路径和权限。"),
    "test_no_phone": mark("请写一个能拨的号码，如 13800138000，国外的以 + 和国家码开头。"),
    "test_no_endpoint": mark("请写以 https:// 开头的地址。"),
    "tests_too_many": mark("一分钟最多 {most} 条测试，请稍等。"),
    "test_too_long": mark("测试的文字有 {given} 个字，这个通道最多发 {most} 个。"),
    "test_no_template": mark("这个通道只发审过的模板，还没有给测试设模板。请让管理员补上。"),
    "test_field_too_long": mark("模板里 {name} 这一项最多 {most} 个字，现在有 {given} 个。"),
    "test_link": mark("测试的文字里有链接或电话号码，这个通道会拦下。请检查本系统的名称。"),
    "test_alphabet": mark("测试的文字里有 {given} 个字符这个通道写不出。请检查本系统的名称。"),
    "test_no_voice": mark("这个通道不会说这种语言。请换成汉语页面再试。"),
}
"""Code → sentence with its parameters in braces."""

SAID: dict[str, str] = {
    "drafted": mark("草稿已保存。"),
    "submitted": mark("已送签，等另一位签发。"),
    "signed": mark("已签发，可以发布。"),
    "sent_back": mark("已退回起草人。"),
    "discarded": mark("草稿已作废，记录保留。"),
    "released": mark("已发布，正在叫应。"),
    "lifted": mark("已解除，正在通知叫过的人。"),
    "recording_added": mark("录音已保存，请听一遍。"),
    "recording_removed": mark("录音已去掉。"),
    "answered": mark("应答已记录。"),
    "answered_late": mark("应答已记录，记为迟应。"),
    "claimed": mark("任务已认领，别人会看到由您处理。"),
    "finished": mark("任务已完成。"),
    "acknowledged": mark("告警已确认。"),
    "settled": mark("回复已办结。"),
    "receipts_settled": mark("回执已办结。"),
    "password_changed": mark("密码已修改，其他登录已退出。"),
    "session_ended": mark("那个登录已退出。"),
    "sessions_ended": mark("登录已全部退出。"),
    "officer_added": mark("账号已添加。"),
    "officer_changed": mark("账号已修改。"),
    "password_reset": mark("密码已重置，该账号的登录已全部退出。"),
    "logged_out": mark("您已退出登录。"),
    "number_changed": mark("号码已修改，下一次叫应起生效。"),
    "carrier_added": mark("通道已保存，重启服务后生效。现在就可以发一条测试。"),
    "carrier_enabled": mark("通道已启用，重启服务后生效。"),
    "carrier_disabled": mark("通道已停用，重启服务后生效。"),
    "carrier_removed": mark("通道已移除，重启服务后生效。"),
}
"""What an act says on the page that follows it."""

UNKNOWN_REFUSAL = mark("这样不行（{code}）。请返回，刷新后再试。")


def sentence(refusal: Refusal, words: Translate) -> str:
    """Return the sentence of a refusal in the reader's language."""
    found = REFUSALS.get(refusal.code)
    if found is None:
        return words(UNKNOWN_REFUSAL, code=refusal.code)
    params: dict[str, object] = dict(refusal.params)
    if "state" in params:
        params["state"] = words(BULLETIN.get(str(params["state"]), UNKNOWN).words)
    if "roles" in params:
        params["roles"] = _roles(str(params["roles"]), words)
    return words(found, **params)


def said_sentence(code: str, words: Translate) -> str:
    """Return what a page says after an act; nothing for a code that is none."""
    found = SAID.get(code)
    return "" if found is None else words(found)


def _roles(listed: str, words: Translate) -> str:
    separator = words("、")
    return separator.join(words(ROLE[role]) for role in listed.split(",") if role in ROLE)
