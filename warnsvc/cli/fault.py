"""What every error means to whoever typed the command, and what to do about it.

An error that stands in no row here is a fault of the program and keeps its traceback.
"""

import errno
from collections.abc import Callable

from typer.exceptions import TyperException

from channels.registry import ChannelMisconfigured
from warnsvc.app import PartEnded
from warnsvc.cli.ui import Ui
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.demo.phones import PhonesFault
from warnsvc.demo.run import PortTaken
from warnsvc.resource import ForeignPackage, ResourceMissing
from warnsvc.secret import SettingsFault
from warnsvc.store.migrate import WrongSchema
from warnsvc.store.open import UnknownDatabase
from warnsvc.store.port import StoreBusy, StoreFault
from warnsvc.web.sentence import sentence
from warnsvc.words import mark

USAGE = 2
FAILED = 1

_TOLD: tuple[tuple[type[Exception], str, str], ...] = (
    (
        SettingsFault,
        mark("设置有误，没有启动："),
        mark("每项设置的意思见 docs/SETTINGS.md；warnsvc doctor 会逐项检查。"),
    ),
    (
        WrongSchema,
        mark("数据库的版本和程序不一致："),
        mark("新库请运行 warnsvc db init；旧库先备份，再运行 warnsvc db upgrade。"),
    ),
    (
        StoreBusy,
        mark("数据库正被占用："),
        mark(
            "SQLite 的库只属于一个进程：请先停下它，或在控制台操作。PostgreSQL 太忙：请稍后再试。"
        ),
    ),
    (
        StoreFault,
        mark("数据库出错："),
        mark("请检查数据库地址、密码和磁盘空间，再试一次；warnsvc doctor 会逐项检查。"),
    ),
    (
        UnknownDatabase,
        mark("数据库地址看不懂："),
        mark("写成 sqlite:////绝对路径 或 postgresql://用户@主机/库名。"),
    ),
    (
        ChannelMisconfigured,
        mark("通道配置有误："),
        mark("请改 [[carriers]] 里的这一项，再运行 warnsvc doctor。"),
    ),
    (
        ForeignPackage,
        mark("有别的软件装了同名的包："),
        mark("请把 warnsvc 装进单独的虚拟环境。"),
    ),
    (ResourceMissing, mark("安装不完整："), mark("请重新安装 warnsvc。")),
    (
        PhonesFault,
        mark("模拟电话没有运行："),
        mark("请看上面的日志；换一个端口可用 --phones-port。"),
    ),
    (
        PartEnded,
        mark("有一个部件自己停了，服务随之停止："),
        mark("请看上面的日志，再重新启动。"),
    ),
)
"""Error → what is wrong, what to do. The first row that fits counts, so the narrow come first."""


def tell(ui: Ui, fault: Exception) -> int:
    """Say what is wrong and return the code. Raises the error again when nobody expected it."""
    match fault:
        case PortTaken():
            ui.complain(
                ui.words("端口 {port} 已被别的程序占用。", port=fault.port),
                ui.words("换一个：{option} {other}", option=fault.option, other=fault.port + 10),
            )
        case Refusals():
            for refusal in fault.refusals:
                ui.complain(sentence(refusal, ui.words))
        case Refusal():
            ui.complain(sentence(fault, ui.words))
        case ExceptionGroup() if len(fault.exceptions) == 1:
            return tell(ui, fault.exceptions[0])
        case OSError():
            return _tell_system(ui, fault)
        case _:
            _tell_known(ui, fault)
    return FAILED


def _tell_known(ui: Ui, fault: Exception) -> None:
    for kind, what, advice in _TOLD:
        if isinstance(fault, kind):
            ui.complain(f"{ui.words(what)} {fault}", ui.words(advice))
            return
    raise fault


def _tell_system(ui: Ui, fault: OSError) -> int:
    """A file or a port that is not to be had."""
    if fault.errno == errno.EADDRINUSE:
        ui.complain(
            ui.words("端口已被别的程序占用：{detail}", detail=fault.strerror or fault),
            ui.words("请改 WARNSVC_PORT，或停下占用它的程序。"),
        )
    elif fault.filename is not None:
        ui.complain(
            ui.words("文件读写不了：{path}：{why}", path=fault.filename, why=fault.strerror),
            ui.words("请检查路径和权限。"),
        )
    else:
        raise fault
    return FAILED


def _wrong_name(fault: TyperException) -> str:
    return str(getattr(fault, "option_name", "")) or _hint(fault)


def _hint(fault: TyperException) -> str:
    param = getattr(fault, "param", None)
    return param.get_error_hint().strip("'\"") if param is not None else ""


_USAGE: dict[str, tuple[str, Callable[[TyperException], str]]] = {
    "NoSuchOption": (mark("没有这个选项：{name}"), _wrong_name),
    "MissingParameter": (mark("缺少：{name}"), _hint),
    "BadParameter": (mark("{name} 的值不对：{detail}"), _hint),
    "BadOptionUsage": (mark("选项用得不对：{name}。{detail}"), _wrong_name),
}
"""Class of the parser's error → sentence, and what it is about."""


def tell_usage(ui: Ui, fault: TyperException) -> int:
    """Say what was typed wrongly, and where help is."""
    name = type(fault).__name__
    if name == "NoArgsIsHelpError":
        ui.out.print(fault.format_message(), markup=False)
        return USAGE
    context = getattr(fault, "ctx", None)
    path = context.command_path if context is not None else "warnsvc"
    if name in _USAGE:
        told, about = _USAGE[name]
        complaint = ui.words(told, name=about(fault), detail=fault.message)
    else:
        complaint = ui.words("命令写得不对：{detail}", detail=fault.format_message())
    ui.complain(complaint, ui.words("用法：{command}", command=f"{path} --help"))
    return USAGE
