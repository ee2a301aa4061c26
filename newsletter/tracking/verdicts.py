"""Who did it: a person, a machine, or nobody can tell. Each verdict bears the rule that gave it.

Raw events are kept, so that better rules can judge them again.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Literal

from newsletter.tracking.spool import RawEvent

Verdict = Literal["human", "machine", "unknown"]

#: Parts of user agents of proxies that open every mail or fetch every link, whoever the reader is.
PROXIES = {
    "GoogleImageProxy": "gmail-proxy",
    "YahooMailProxy": "yahoo-proxy",
    "ggpht.com": "gmail-proxy",
}


def judge(event: RawEvent) -> tuple[Verdict, str]:
    """(verdict, rule). What a person confirmed with a POST is a person's."""
    if event.method == "HEAD":
        return "machine", "head-request"
    if "prefetch" in event.purpose.lower():
        return "machine", "prefetch"
    if event.method == "POST":
        return "human", "form"
    if not event.agent:
        return "machine", "no-agent"
    for part, rule in PROXIES.items():
        if part in event.agent:
            # Gmail fetches when the mail is opened: a person did it, but the time may be cached.
            return ("unknown", rule) if event.kind == "open" else ("machine", rule)
    if event.kind == "open" and event.agent == "Mozilla/5.0":
        return "machine", "apple-privacy"
    if _is_crawler(event.agent):
        return "machine", "agent-list"
    return "human", "browser"


@lru_cache(maxsize=4096)
def _is_crawler(agent: str) -> bool:
    return bool(_detector().isCrawler(agent))


@cache
def _detector() -> Any:
    from crawlerdetect import CrawlerDetect

    return CrawlerDetect()
