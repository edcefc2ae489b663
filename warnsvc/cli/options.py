"""Options that several commands share, and how nouns are made."""

from pathlib import Path
from typing import Annotated

import typer

from warnsvc.words import mark

AsJson = Annotated[bool, typer.Option("--json", help=mark("输出 JSON，给程序读。"))]
DryRun = Annotated[bool, typer.Option("--dry-run", help=mark("只检查，不写入。"))]
FromFile = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help=mark("文件。"), metavar="FILE")
]
ToFile = Annotated[
    Path,
    typer.Argument(dir_okay=False, help=mark("写到哪个文件；- 表示标准输出。"), metavar="FILE"),
]
PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help=mark("从标准输入读密码，一行；用于脚本。"))
]
BulletinId = Annotated[int, typer.Argument(min=1, help=mark("预警的号。"), metavar="ID")]

TO_STDOUT = Path("-")


def noun(app: typer.Typer, name: str, told: str) -> typer.Typer:
    """Add a noun to the tree and return it, for its verbs."""
    group = typer.Typer(help=told, no_args_is_help=True)
    app.add_typer(group, name=name)
    return group
