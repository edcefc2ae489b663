"""What a newcomer installs: locks, containers, secrets, and a wheel that runs on its own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

from scripts.sum_results import summed

ROOT = Path(__file__).resolve().parent.parent

START_SECONDS_MAX = 90
"""A demo that is not up by then is broken; on two shared cores it takes a few seconds."""

STOP_SECONDS_MAX = 20


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pinned(lock: str) -> set[str]:
    return {
        line.partition("==")[0] for line in text(lock).splitlines() if re.match(r"[a-z].*==", line)
    }


LOCKS = ("requirements.lock", "requirements-build.lock", "requirements-dev.lock")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_versions_and_hashes_and_names_no_address(lock: str) -> None:
    blocks = re.split(r"^(?=[a-z])", text(lock), flags=re.MULTILINE)[1:]

    assert "://" not in text(lock)
    assert not re.search("^--", text(lock), re.MULTILINE)
    assert all("==" in block.splitlines()[0] for block in blocks)
    assert all("--hash=sha256:" in block for block in blocks)


def test_every_dependency_is_pinned_where_it_is_needed() -> None:
    project = tomllib.loads(text("pyproject.toml"))

    def names(requirements: list[str]) -> set[str]:
        return {re.match(r"[a-z0-9-]+", each).group() for each in requirements}  # type: ignore[union-attr]

    assert names(project["project"]["dependencies"]) <= pinned("requirements.lock")
    assert names(project["dependency-groups"]["build"]) <= pinned("requirements-build.lock")
    for group in project["dependency-groups"].values():
        assert names(group) <= pinned("requirements-dev.lock")


def test_the_development_lock_agrees_with_what_runs() -> None:
    def versions(lock: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9-]+==[^ ]+", text(lock), re.MULTILINE))

    assert versions("requirements.lock") <= versions("requirements-dev.lock")
    assert versions("requirements-build.lock") <= versions("requirements-dev.lock")


def test_every_make_target_with_words_is_phony_and_the_readme_names_the_main_ones() -> None:
    makefile = text("Makefile")
    told = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    phony = set(" ".join(re.findall(r"^\.PHONY: ((?:.*\\\n)*.*)", makefile, re.MULTILINE)).split())

    assert told <= phony
    assert {"demo", "test", "check", "bench", "test-browser", "test-all"} <= told
    assert all(f"make {target}" in text("README.md") for target in ("demo", "test", "bench"))


def test_every_suite_of_ours_is_among_all_of_them() -> None:
    makefile = text("Makefile")
    everything = re.search(r"^test-all: (.*?) *##", makefile, re.MULTILINE)
    suites = set(re.findall(r"^(test[a-z-]*):", makefile, re.MULTILINE)) - {"test-all"}

    assert everything
    assert suites <= set(everything[1].split())
    assert suites <= set(re.findall(r"^suite ([a-z-]+)", text(".ci/run"), re.MULTILINE))


def test_the_suite_of_carriers_runs_what_the_quick_one_leaves_out() -> None:
    told = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "test-carriers"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "debian.sh 'A real Kannel' kannel kannel-extras" in told
    assert "-m 'carriers or not (" in told
    assert told.rstrip().endswith("tests/carriers tests/channels")


def test_ci_calls_the_readmes_test_command_first() -> None:
    suites = re.findall(r"^suite ([a-z-]+)", text(".ci/run"), re.MULTILINE)

    assert suites[0] == "test"
    assert {"check", "test-wheel", "test-browser"} <= set(suites)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_results_of_several_suites_add_up(tmp_path: Path) -> None:
    head = '<testsuites><testsuite name="pytest" '
    (tmp_path / "a.xml").write_text(
        f'{head} tests="5" failures="1" errors="1" skipped="1"/></testsuites>'
    )
    (tmp_path / "b.xml").write_text(
        f'{head} tests="2" failures="0" errors="0" skipped="0"/></testsuites>'
    )

    assert summed(tmp_path) == {"tests": 7, "failures": 1, "errors": 1, "skipped": 1}


def test_compose_has_no_password_of_its_own_and_checks_health() -> None:
    compose = text("docker-compose.yml")
    listed = compose.partition("\nservices:\n")[2].partition("\nvolumes:\n")[0]
    services = re.split(r"^  (?=\w+:$)", listed, flags=re.MULTILINE)
    by_name = {each.partition(":")[0]: each for each in services}

    assert not re.search(r"PASSWORD: ", compose)
    assert compose.count("_FILE: /run/secrets/") == 3
    assert "pg_isready" in by_name["database"]
    assert "8080/healthz" in by_name["web"]
    assert "8081/healthz" in by_name["worker"]
    assert "service_completed_successfully" in by_name["web"]
    for volume in ("database", "spool"):
        assert re.search(rf"^  {volume}:$", compose.partition("\nvolumes:\n")[2], re.MULTILINE)
    for secret in ("database_password", "secret_key"):
        assert f"file: ./secrets/{secret}" in compose


def test_compose_runs_one_web_and_two_workers_and_keeps_the_spool() -> None:
    compose = text("docker-compose.yml")
    web = compose.partition("\n  web:\n")[2].partition("\n\n  #")[0]
    worker = compose.partition("\n  worker:\n")[2].partition("\nvolumes:\n")[0]

    assert 'command: ["serve", "--no-engine"]' in web
    assert "spool:/var/lib/warnsvc" in web
    assert "replicas:" not in web
    assert 'command: ["worker"]' in worker
    assert "replicas: 2" in worker
    assert "WARNSVC_HEALTH_PORT: 8081" in worker


def test_compose_sets_only_settings_that_exist() -> None:
    from warnsvc.settings import Settings

    used = re.findall(r"WARNSVC_[A-Z_]+(?=: )", text("docker-compose.yml"))
    used += re.findall(r"WARNSVC_[A-Z_]+(?==)", text("Dockerfile"))
    known = {f"WARNSVC_{name.upper()}" for name in Settings.model_fields} | {"WARNSVC_CONFIG"}

    assert used
    assert set(used) <= known


def test_the_image_runs_as_an_ordinary_user_and_checks_its_health() -> None:
    stages = text("Dockerfile").split("\nFROM ")

    assert len(stages) == 3
    assert "\nUSER 10001" in stages[-1]
    assert "HEALTHCHECK" in stages[-1]
    assert "/healthz" in stages[-1]
    assert text("Dockerfile").count("--require-hashes") == 2


def test_the_image_gets_only_what_it_is_made_of() -> None:
    ignored = [line for line in text(".dockerignore").splitlines() if not line.startswith("#")]

    assert ignored[0] == "*"
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", text("Dockerfile"), re.MULTILINE)
    for name in " ".join(copied).split():
        assert f"!{name}" in ignored, f"{name} is copied, but .dockerignore keeps it out"


def test_make_secrets_makes_each_once_behind_a_closed_folder(tmp_path: Path) -> None:
    (tmp_path / "scripts").mkdir()
    script = shutil.copy(ROOT / "scripts" / "secrets.sh", tmp_path / "scripts")

    subprocess.run([script], check=True, capture_output=True)
    first = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    subprocess.run([script], check=True, capture_output=True)
    second = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}

    assert first == second
    assert set(first) == {"database_password", "secret_key"}
    assert all(re.fullmatch("[0-9a-f]{64}", secret) for secret in first.values())
    assert len(set(first.values())) == 2
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700


def test_a_python_that_only_seems_to_be_there_is_passed_over(tmp_path: Path) -> None:
    broken, old = tmp_path / "python3.13", tmp_path / "python3.12"
    broken.write_text("#!/bin/sh\necho 'no such version' >&2\nexit 127\n")
    old.write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "python3.11").symlink_to(sys.executable)
    for path in (broken, old):
        path.chmod(0o755)

    found = subprocess.run(
        [ROOT / "scripts" / "find_python.sh"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert found.stdout.strip() == str(tmp_path / "python3.11")


def test_without_a_python_the_message_says_what_is_needed(tmp_path: Path) -> None:
    found = subprocess.run(
        [shutil.which("sh") or "/bin/sh", ROOT / "scripts" / "find_python.sh"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert found.returncode == 1
    assert "3.11" in found.stderr
    assert "PYTHON=" in found.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("warnsvc-*.whl")
    return built


def pip(*arguments: str, python: str = sys.executable) -> None:
    command = [python, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_the_wheel_holds_words_pages_and_migrations_and_nothing_private(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()

    def tracked(folder: str) -> set[str]:
        listed = subprocess.run(
            ["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return set(listed.stdout.split("\n")) - {""}

    assert {f"warnsvc/{name}" for name in tracked("templates")} <= set(names)
    for folder in ("warnsvc", "channels", "contacts"):
        assert tracked(folder) <= set(names)
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"warnsvc", "channels", "contacts", next(t for t in tops if "dist-info" in t)}
    assert not [name for name in names if name.endswith((".sqlite3", ".key", ".pyc", ".env"))]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it says it needs, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip("install", "--require-hashes", "-r", "requirements.lock", python=python)
    pip("install", "--no-deps", str(wheel), python=python)
    pip("check", python=python)
    return folder / "bin" / "warnsvc"


@pytest.fixture
def demo(installed: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    port, phones_port = free_port(), free_port()
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen(
        [installed, "demo"],
        cwd=tmp_path,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "WARNSVC_PORT": str(port),
            "WARNSVC_PHONES_PORT": str(phones_port),
        },
        stdout=log,
        stderr=log,
    )
    try:
        wait_until_up(process, port, tmp_path / "log")
        yield process, port
    finally:
        process.kill()
        process.wait()
        log.close()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_up(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Ask until it answers. A real process is started here, so this is the one place that waits."""
    end = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < end and process.poll() is None:
        try:
            if get(port, "/healthz")[0] == 200:
                return
        except (OSError, HTTPException):
            time.sleep(0.2)
    pytest.fail(f"the demo did not come up:\n{log.read_text(errors='replace')}")


def get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        if location := response.getheader("Location"):
            return get(port, location)
        return response.status, response.read().decode()
    finally:
        connection.close()


@pytest.mark.slow
def test_the_wheel_runs_the_demo_with_pages_and_styles_from_any_folder(
    demo: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = demo

    status, page = get(port, "/")
    sheets = re.findall(r'<link[^>]+href="([^"]+\.css[^"]*)"', page)

    assert status == 200
    assert "<form" in page
    assert sheets
    assert all(get(port, sheet)[0] == 200 for sheet in sheets)
    process.send_signal(signal.SIGTERM)
    assert process.wait(STOP_SECONDS_MAX) == 0
