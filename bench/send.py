"""Sending: by SMTP against Postfix's own load generator at the same sink, by SendGrid's API to a local
sink, with and without DKIM, and planning for a million.

`python -m bench send`; BENCH_MESSAGES sets the number of recipients (100,000), BENCH_ROUNDS how often (3),
BENCH_PLANNED how many are planned for (1,000,000), BENCH_CONNECTIONS how many there are (10).
"""

from __future__ import annotations

import cProfile
import hashlib
import io
import json
import os
import pstats
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import people
from bench.figures import Figure, Result, Target
from bench.sample import ISSUE, ROOT, in_new_process, interleaved, workspace_folder

MESSAGES = int(os.environ.get("BENCH_MESSAGES", "100000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
MILLION = int(os.environ.get("BENCH_PLANNED", "1000000"))
FEW = min(10_000, MILLION)
CONNECTIONS = int(os.environ.get("BENCH_CONNECTIONS", "10"))
SIZES = {"40 kB": 40_960, "5 kB": 5_120}
_PLACES = {"click": 12, "act": 4, "manage": 3, "view": 1, "open": 1, "reason": 1}  # 22 in the body


def run(*, profile: bool = False) -> Result:
    """A figure that is missed brings the profile's top ten lines; `profile` brings them all."""
    figures: list[Figure] = []
    targets: list[Target] = []
    profiles: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as folder, _smtp_sink() as port:
        template = Path(folder) / "template"
        _prepare(template, MESSAGES)
        for label, size in SIZES.items():
            ours, per, one = interleaved(
                lambda s=size: _ours(template, s, port),
                lambda s=size: _source(s, port, ()),
                lambda s=size: _source(s, port, ("-d",)),
                rounds=ROUNDS,
            )
            rates = [each["rate"] for each in ours]
            named = Figure(
                f"{label}: × smtp-source -s 10",
                "×",
                [a / b for a, b in zip(rates, per, strict=True)],
            )
            cpu = Figure(f"{label}: CPU a message", "ms", [each["cpu_ms"] for each in ours])
            memory = Figure(f"{label}: resident, most", "MB", [each["mb"] for each in ours])
            figures += [
                Figure(f"{label}: ours", "messages/s", rates),
                Figure(f"{label}: smtp-source -s 10", "messages/s", per),
                Figure(f"{label}: smtp-source -s 10 -d, connections kept", "messages/s", one),
                named,
                Figure(
                    f"{label}: × smtp-source -s 10 -d",
                    "×",
                    [a / b for a, b in zip(rates, one, strict=True)],
                ),
                cpu,
                memory,
            ]
            wanted = [Target(named, 1.0, at_most=False), Target(cpu, 0.15), Target(memory, 120)]
            targets += wanted
            if profile or not all(one.met for one in wanted[:2]):
                profiles[label] = str(_ours(template, size, port, profile=True)["profile"])
        signed, more = _signed(template, port)
        figures += signed
        targets += more
        if profile or not more[0].met:
            profiles["RSA-2048 DKIM"] = _signing_profile(template, port)
        api = Figure(
            "SendGrid: recipients a second of CPU",
            "1/s",
            [_sendgrid(template)["per_cpu"] for _ in range(ROUNDS)],
        )
        figures.append(api)
        targets.append(Target(api, 50_000, at_most=False))
        if profile or not targets[-1].met:
            profiles["SendGrid"] = str(_sendgrid(template, profile=True)["profile"])
        few, many, planned = _memory(port)
        plan = Figure(f"plan for {MILLION:,}", "s", [planned])
        least = Figure(f"5 kB to {FEW:,}: resident, most", "MB", [few])
        most = Figure(f"5 kB to {MILLION:,}: resident, most", "MB", [many])
        figures += [plan, least, most]
        targets += [Target(plan, 10), Target(most, 120)]
    return Result(
        name="send",
        title=f"{MESSAGES:,} recipients, durable ledger, {CONNECTIONS} connections",
        figures=figures,
        targets=targets,
        notes=[
            f"At most {2 * CONNECTIONS} messages are handed out at a time; 22 slots in each body.",
            "Both sides send to the same smtp-sink, in turn; the sink takes one of the cores.",
            "smtp-source opens a connection for each message unless it is told -d.",
        ],
        profiles=profiles,
    )


def _prepare(folder: Path, number: int) -> None:
    """A workspace with an approved plan for so many."""
    from newsletter import Workspace, init

    init(folder)
    source = people.write(folder / "people.csv", number)
    with Workspace(folder, actor="bench") as workspace:
        workspace.import_people(source)
        source.unlink()
        workspace.approve(ISSUE, plan=workspace.plan(ISSUE, transport="smtp").hash)


@contextmanager
def _copy(template: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="newsletter-bench-") as folder:
        yield Path(shutil.copytree(template, Path(folder) / "copy"))


@contextmanager
def _smtp_sink() -> Iterator[int]:
    """Postfix's smtp-sink on a free port."""
    program = shutil.which("smtp-sink", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise SystemExit("this benchmark needs Postfix's smtp-sink (Debian: apt install postfix)")
    port = _free_port()
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    with subprocess.Popen([program, *user, f"127.0.0.1:{port}", "1000"]) as process:
        try:
            _listening(port)
            yield port
        finally:
            process.terminate()


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listening(port: int) -> None:
    import socket

    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"nothing listens at port {port}")


def _source(size: int, port: int, options: tuple[str, ...]) -> float:
    """Messages a second of Postfix's own load generator."""
    program = shutil.which("smtp-source", path=f"{os.environ['PATH']}:/usr/sbin") or "smtp-source"
    begun = time.perf_counter()
    subprocess.run(
        [
            *(program, "-s", str(CONNECTIONS), *options, "-l", str(size), "-m", str(MESSAGES)),
            *("-f", "bounce@example.com", "-t", "reader@example.com", f"127.0.0.1:{port}"),
        ],
        check=True,
    )
    return MESSAGES / (time.perf_counter() - begun)


def _ours(template: Path, size: int, port: int, **more: Any) -> dict[str, Any]:
    with _copy(template) as folder:
        given = {"size": size, "url": f"smtp://127.0.0.1:{port}", **more}
        figures: dict[str, Any] = in_new_process("bench.send", str(folder), given=given)
        return figures


def _signing_profile(template: Path, port: int) -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = _pem(rsa.generate_private_key(65537, 2048))
    return str(_ours(template, SIZES["40 kB"], port, key=key, profile=True)["profile"])


def _signed(template: Path, port: int) -> tuple[list[Figure], list[Target]]:
    """What DKIM adds, beside what the bare operations cost in this run."""
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    size = SIZES["40 kB"]
    keys = {
        "RSA-2048": rsa.generate_private_key(65537, 2048),
        "Ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    runs: dict[str, list[dict[str, float]]] = {"none": [], **{name: [] for name in keys}}
    for _ in range(ROUNDS):
        runs["none"].append(_ours(template, size, port))
        for name, key in keys.items():
            runs[name].append(_ours(template, size, port, key=_pem(key)))
    bare = [_bare_rsa(keys["RSA-2048"], size) for _ in range(ROUNDS)]
    added = [
        with_["cpu_ms"] - without["cpu_ms"]
        for with_, without in zip(runs["RSA-2048"], runs["none"], strict=True)
    ]
    rsa_ratio = Figure(
        "RSA-2048 DKIM: × a bare signature and hash",
        "×",
        [a / b for a, b in zip(added, bare, strict=True)],
    )
    ed_ratio = Figure(
        "Ed25519 DKIM: × the rate without",
        "×",
        [
            with_["rate"] / without["rate"]
            for with_, without in zip(runs["Ed25519"], runs["none"], strict=True)
        ],
    )
    figures = [
        Figure("RSA-2048 DKIM: CPU added a message", "ms", added),
        Figure("bare RSA-2048 signature and SHA-256 of 40 kB", "ms", bare),
        rsa_ratio,
        ed_ratio,
    ]
    return figures, [Target(rsa_ratio, 1.3), Target(ed_ratio, 0.8, at_most=False)]


def _pem(key: Any) -> str:
    from cryptography.hazmat.primitives import serialization

    raw: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return raw.decode()


def _bare_rsa(key: Any, size: int) -> float:
    """Milliseconds of CPU for one signature and one hash."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    body, head = b"x" * size, b"y" * 900
    begun = time.process_time()
    for _ in range(2000):
        hashlib.sha256(body).digest()
        key.sign(head, padding.PKCS1v15(), hashes.SHA256())
    return (time.process_time() - begun) / 2000 * 1000


def _sendgrid(template: Path, **more: Any) -> dict[str, Any]:
    """Prepared, recorded and handed to a local HTTP sink."""
    port = _free_port()
    with subprocess.Popen([sys.executable, "-m", "bench.http_sink", str(port)], cwd=ROOT) as sink:
        try:
            _listening(port)
            with _copy(template) as folder:
                given = {"size": SIZES["40 kB"], "host": f"http://127.0.0.1:{port}", **more}
                figures: dict[str, Any] = in_new_process("bench.send", str(folder), given=given)
                return figures
        finally:
            sink.terminate()


def _memory(port: int) -> tuple[float, float, float]:
    """MB for sending to few and to a million; and seconds for the plan of a million, the import not
    counted."""
    found = []
    for number in (FEW, MILLION):
        with workspace_folder() as folder:
            plan = in_new_process("bench.send", str(folder), given={"plan": number})
            given = {"size": SIZES["5 kB"], "url": f"smtp://127.0.0.1:{port}"}
            sent = in_new_process("bench.send", str(folder), given=given)
            found.append((sent["mb"], plan["plan_s"]))
    return found[0][0], found[1][0], found[1][1]


# -- in a new process -------------------------------------------------------------------------------


def _main(folder: str) -> dict[str, Any]:
    given = json.load(sys.stdin)
    if "plan" in given:
        return _plan(Path(folder), given["plan"])
    from newsletter import Workspace
    from newsletter.cli.live import few_collections

    for name, value in _settings(Path(folder), given).items():
        os.environ[f"NEWSLETTER_{name}"] = value
    with Workspace(folder, actor="bench") as workspace:
        _resize(workspace, given["size"], "sendgrid" if "host" in given else "smtp")
        workspace.load_events()
        if given.get("profile"):
            with _profiled() as report, few_collections():
                workspace.start(ISSUE)
            return {"profile": report.getvalue()}
        before = resource.getrusage(resource.RUSAGE_SELF)
        begun = time.perf_counter()
        with few_collections():
            status = workspace.start(ISSUE)
        taken = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_SELF)
        accepted = status["states"]["accepted"]
        if accepted != sum(status["states"].values()) or not workspace.audit(ISSUE)["ok"]:
            raise SystemExit(f"not everybody was sent to: {status['states']}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "rate": accepted / taken,
        "cpu_ms": cpu / accepted * 1000,
        "per_cpu": accepted / cpu,
        "mb": _resident(),
    }


def _resident() -> float:
    """MB, the most of this process. `ru_maxrss` would count what its parent had when it was made."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    raise SystemExit("this system tells no resident size")


@contextmanager
def _profiled() -> Iterator[io.StringIO]:
    """cProfile's top ten lines of every thread together, once they have ended."""
    profiles = [cProfile.Profile(time.thread_time)]
    run_thread = threading.Thread.run

    def run(thread: threading.Thread) -> None:
        profiles.append(cProfile.Profile(time.thread_time))
        profiles[-1].runcall(run_thread, thread)

    report = io.StringIO()
    threading.Thread.run = run  # type: ignore[method-assign]
    profiles[0].enable()
    try:
        yield report
    finally:
        profiles[0].disable()
        threading.Thread.run = run_thread  # type: ignore[method-assign]
    stats = pstats.Stats(*profiles, stream=io.StringIO()).strip_dirs()
    total = sum(own for _, _, own, _, _ in stats.stats.values()) or 1.0  # type: ignore[attr-defined]
    lines = sorted(stats.stats.items(), key=lambda item: -item[1][2])[:10]  # type: ignore[attr-defined]
    for (file, line, name), (_, calls, own, _, _) in lines:
        where = f"{file}:{line} {name}" if line else name
        report.write(f"{own / total:7.1%}  {calls:>9,} calls  {where}\n")


def _settings(folder: Path, given: dict[str, Any]) -> dict[str, str]:
    if "host" in given:
        return {
            "TRANSPORTS__SENDGRID__HOST": given["host"],
            "TRANSPORTS__SENDGRID__API_KEY": "SG.x",
        }
    settings = {
        "TRANSPORTS__SMTP__URL": given["url"],
        "TRANSPORTS__SMTP__CONNECTIONS": str(CONNECTIONS),
    }
    if "key" in given:
        path = folder / "dkim.pem"
        path.touch(0o600)
        path.write_text(given["key"])
        key = {"domain": "signal-brief.example", "selector": "s", "key_file": "dkim.pem"}
        settings["TRANSPORTS__SMTP__DKIM"] = json.dumps([key])
    return settings


def _resize(workspace: Any, size: int, transport: str) -> None:
    """Editions of just this size with 22 slots in the body, and this way out."""
    import sqlalchemy as sa

    from newsletter.db.schema import edition, mailing

    with workspace.database.write() as connection:
        connection.execute(mailing.update().values(transport=transport))
        if transport == "smtp":
            for row in connection.execute(sa.select(edition.c.id, edition.c.nonce)).all():
                connection.execute(
                    edition.update()
                    .where(edition.c.id == row.id)
                    .values(message=_message(row.nonce, size))
                )
        connection.execute(mailing.update().values(plan=_hash(connection, mailing, sa)))


def _hash(connection: Any, mailing: Any, sa: Any) -> str:
    from newsletter.delivery.plan import plan_hash

    return plan_hash(connection, connection.scalar(sa.select(mailing.c.id)))


def _message(nonce: str, size: int) -> bytes:
    """A mail of `size` bytes."""
    from newsletter.editions import Envelope
    from newsletter.editions.mime import skeleton
    from newsletter.editions.slots import marker

    headers = Envelope("Bench", "desk@signal-brief.example", None, "Bench", "http://127.0.0.1:8000")

    def made(filler: int) -> bytes:
        lines = [
            f'<a href="http://127.0.0.1:8000/x/1/{marker(nonce, name, "html")}">read</a>'
            for name, times in _PLACES.items()
            for _ in range(times)
        ]
        lines += ["The quick brown fox jumps over the lazy dog by the river."] * filler
        return skeleton(
            headers,
            nonce=nonce,
            subject="Bench",
            language="en",
            html="\n".join(lines),
            text="Bench",
        )

    least, line = len(made(0)), len(made(1)) - len(made(0))
    return made(max(0, (size - least) // line))


def _plan(folder: Path, number: int) -> dict[str, float]:
    from newsletter import Workspace
    from newsletter.db.schema import subscriber

    now = datetime.now(UTC)
    with Workspace(folder, actor="bench") as workspace:
        with workspace.database.write() as connection:
            batch: list[dict[str, Any]] = []
            for n, row in enumerate(people.rows(number)):
                fields = {
                    k: row[k] for k in ("role", "department", "seniority", "company", "country")
                }
                key = row["email"].replace("reader", f"r{n // 1_000_000}")
                batch.append(
                    {
                        "address": key,
                        "address_key": key,
                        "domain": key.partition("@")[2],
                        "name": row["name"],
                        "status": "subscribed",
                        "fields": fields,
                        "created_at": now,
                        "updated_at": now,
                    }
                )
                if len(batch) == 20_000 or n == number - 1:
                    connection.execute(subscriber.insert(), batch)
                    batch = []
        begun = time.perf_counter()
        plan = workspace.plan(ISSUE, transport="smtp")
        taken = time.perf_counter() - begun
        workspace.approve(ISSUE, plan=plan.hash)
        if plan.deliveries != number:
            raise SystemExit(f"{plan.deliveries} of {number} were planned")
    return {"plan_s": taken}


if __name__ == "__main__":
    print(json.dumps(_main(*sys.argv[1:])))
