"""Tasks: what a human must do, most urgent first; claimed, then finished with a result."""

from aiohttp import web

from warnsvc.core.refusal import Refusal
from warnsvc.service.officer import Role, get_officer
from warnsvc.service.task import claim, finish
from warnsvc.web.query.desk import open_tasks
from warnsvc.web.query.task import done_tasks
from warnsvc.web.visit import Visit, get, post, see_other

REFUSED_STATUS = 422
TASKS_MAX = 200
"""Open tasks on the page: more than a desk can do in an hour."""


def routes() -> list[web.RouteDef]:
    """Return the routes of this module."""
    return [
        get("/tasks", show_tasks),
        post("/tasks/{id}/claim", do_claim, Role.DUTY),
        post("/tasks/{id}/finish", do_finish, Role.DUTY),
    ]


async def show_tasks(visit: Visit) -> web.StreamResponse:
    """Show what must be done."""
    return await _page(visit)


async def do_claim(visit: Visit) -> web.StreamResponse:
    """Take a task, so that nobody else calls the same person."""
    number = visit.number()
    try:
        await claim(visit.ctx, officer=visit.officer.id, task_id=number)
    except Refusal as refusal:
        return await _page(visit, refusal=await _with_name(visit, refusal), task_id=number)
    return see_other(f"/tasks?said=claimed#task-{number}")


async def do_finish(visit: Visit) -> web.StreamResponse:
    """End a task with what came of it."""
    number = visit.number()
    result = visit.form.text("choice") or ""
    note = visit.form.text("result").strip()
    try:
        await finish(
            visit.ctx,
            officer=visit.officer.id,
            task_id=number,
            result="：".join(part for part in (result, note) if part),
        )
    except Refusal as refusal:
        return await _page(visit, refusal=refusal, task_id=number)
    return see_other("/tasks?said=finished")


async def _with_name(visit: Visit, refusal: Refusal) -> Refusal:
    """Say who has it."""
    holder = refusal.params.get("officer")
    if refusal.code != "task_claimed" or not isinstance(holder, int):
        return refusal
    officer = await get_officer(visit.ctx, holder)
    return Refusal(refusal.code, name=officer.name)


async def _page(
    visit: Visit, *, refusal: Refusal | None = None, task_id: int = 0
) -> web.StreamResponse:
    async with visit.ctx.store.view() as view:
        tasks = await open_tasks(view, limit=TASKS_MAX)
        done = await done_tasks(view)
    return await visit.render(
        "tasks.html",
        status=200 if refusal is None else REFUSED_STATUS,
        tasks=tasks,
        done=done,
        refusal=refusal,
        refused_task=task_id,
        typed=visit.form,
    )
