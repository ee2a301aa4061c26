"""python -m bench [compose|inline|outbox|send …] [--json] [--profile]"""

from __future__ import annotations

import argparse
import json
import os

from rich.console import Console

from bench import audience, compose, inline, outbox, send
from bench.figures import machine

BENCHMARKS = {
    one.__name__.rpartition(".")[2]: one.run for one in (compose, inline, outbox, send, audience)
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help="compose, inline, outbox; send")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead")
    parser.add_argument(
        "--profile", action="store_true", help="compose, send: where the time goes, too"
    )
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHMARKS):
        parser.error(f"no benchmark {min(unknown)}; there are: {', '.join(BENCHMARKS)}")
    # The sample's own settings, whatever the caller's environment says of another publication.
    for name in [name for name in os.environ if name.startswith("NEWSLETTER_")]:
        del os.environ[name]

    console = Console(highlight=False)
    if not options.json:
        console.print(", ".join(f"{key} {value}" for key, value in machine().items()), "\n")
    results = []
    for name in options.names or [name for name in BENCHMARKS if name not in ("send", "audience")]:
        result = BENCHMARKS[name](profile=options.profile)
        result.keep()
        results.append(result.as_dict())
        if not options.json:
            result.show(console)
    if options.json:
        print(json.dumps(results, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
