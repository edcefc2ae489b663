"""Who sits in front of the screens of a browser story, and what must be true of every screen.

Each person has a browser context of his own. Every request that would leave this machine is stopped
and remembered, and so is every error on a console. When a story fails, what everybody saw is kept
as a picture and the demo's words are printed.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Route
from playwright.async_api import Error as PlaywrightError

from tests.story.demo import PATIENCE_MS, ROOT, Demo, log_in

PICTURES = ROOT / "build" / "browser"
DESK_SIZE = (1280, 900)
PHONE_SIZE = (390, 844)
REFUSALS = ("status of 409", "status of 422")
"""What a refusal looks like to a browser: it is told on the page, and is no fault."""


@dataclass  # Without slots, because Playwright hangs a mark on whoever handles a route.
class Audience:
    """Everybody who looks at one demo."""

    demo: Demo
    browser: Browser
    faults: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Addresses outside this machine that a page asked for."""
    _contexts: dict[str, BrowserContext] = field(default_factory=dict)

    async def seat(
        self, name: str, *, size: tuple[int, int] = DESK_SIZE, like: Page | None = None
    ) -> Page:
        """Give somebody a browser of his own; `like`: with the login of that page."""
        context = await self.browser.new_context(
            locale="zh-CN",
            timezone_id="America/New_York",  # the desk's own clock is never to be trusted
            viewport={"width": size[0], "height": size[1]},
            storage_state=await like.context.storage_state() if like else None,
        )
        context.set_default_timeout(PATIENCE_MS)
        await context.route(lambda url: not self._is_ours(url), self._stop)
        context.on("console", lambda said: self._heard(name, said))
        context.on("weberror", lambda fault: self.faults.append(f"{name}: {fault.error}"))
        self._contexts[name] = context
        return await context.new_page()

    async def officer(self, login: str) -> Page:
        """Seat an officer and let him log in."""
        page = await self.seat(login)
        await log_in(page, self.demo, login)
        return page

    async def beside(self, page: Page) -> Page:
        """Open a second window of the same person."""
        return await page.context.new_page()

    def page(self, name: str) -> Page:
        """Return the first window of somebody who is seated."""
        return self._contexts[name].pages[0]

    def _is_ours(self, url: str) -> bool:
        parts = urlsplit(url)
        return parts.hostname == "127.0.0.1" and parts.port in {
            self.demo.port,
            self.demo.phones_port,
        }

    async def _stop(self, route: Route) -> None:
        self.strangers.append(route.request.url)
        await route.abort()

    def _heard(self, name: str, said: ConsoleMessage) -> None:
        if said.type == "error" and not any(words in said.text for words in REFUSALS):
            self.faults.append(f"{name}: {said.text}")

    async def keep_pictures(self) -> None:
        """Keep what everybody sees, and say where it is."""
        print(f"The demo said:\n{self.demo.log}")
        PICTURES.mkdir(parents=True, exist_ok=True)
        for name, context in self._contexts.items():
            for number, page in enumerate(context.pages, start=1):
                path = PICTURES / f"{name}-{number}.png"
                try:
                    await page.screenshot(path=path, full_page=True)
                except PlaywrightError as fault:  # The story's own failure is what counts.
                    print(f"{page.url}: no picture: {fault.message}")
                else:
                    print(f"{page.url}: {path}")

    async def leave(self) -> None:
        for context in self._contexts.values():
            await context.close()


@asynccontextmanager
async def audience(demo: Demo, browser: Browser) -> AsyncIterator[Audience]:
    """Seat people, and hold every screen they saw to what must always be true."""
    people = Audience(demo, browser)
    try:
        yield people
        assert people.faults == []
        assert people.strangers == []
        assert not demo.complaints
    except BaseException:
        await people.keep_pictures()
        raise
    finally:
        await people.leave()


async def everybody_can_use(page: Page) -> None:
    """Assert that axe finds nothing wrong with this page as it stands."""
    found = await Axe().run(page)
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"


async def fits(page: Page) -> None:
    """Assert that nobody has to scroll sideways."""
    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert page.viewport_size is not None
    assert wide <= page.viewport_size["width"], f"{page.url} is {wide} px wide"
