"""What other systems' exports look like: by which columns each is known, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class System:
    """Another system's export: how it is known, and what its columns mean."""

    name: str
    needs: tuple[frozenset[str], ...]  #: columns that only its exports have together, by age
    columns: Mapping[str, str]
    statuses: Mapping[str, str] = field(default_factory=dict)
    default_status: Callable[[frozenset[str]], str] = lambda _: ""
    #: a cell of the column of segments, e.g. `"Tag one","Tag two"`
    separator: str = ","


def _of_mailchimp(columns: frozenset[str]) -> str:
    """Mailchimp exports one file a state, without a column that says which."""
    if "clean_time" in columns:
        return "bounced"
    return "left" if "unsub_time" in columns else "subscribed"


SYSTEMS: tuple[System, ...] = (
    System(
        "mailchimp",
        (frozenset({"email_address", "member_rating", "euid"}),),
        {
            "email_address": "email", "first_name": "first_name", "last_name": "last_name",
            "confirm_time": "consent_at", "tags": "segments", "unsub_time": "left_at",
            "clean_time": "left_at", "optin_time": "created_at",
        },
        default_status=_of_mailchimp,
    ),
    System(
        "substack",
        (frozenset({"email", "active_subscription", "email_disabled"}),),
        {"email": "email", "name": "name", "email_disabled": "status", "created_at": "consent_at"},
        {"true": "left", "false": "subscribed", "yes": "left", "no": "subscribed"},
    ),
    System(
        "ghost",
        (frozenset({"email", "subscribed_to_emails", "complimentary_plan"}),),
        {
            "email": "email", "name": "name", "subscribed_to_emails": "status",
            "created_at": "consent_at", "labels": "segments", "deleted_at": "left_at",
        },
        {"true": "subscribed", "false": "left", "yes": "subscribed", "no": "left"},
    ),
    System(
        "listmonk",
        (frozenset({"uuid", "email", "attributes", "status"}),),
        {
            "email": "email", "name": "name", "status": "status", "attributes": "attributes",
            "created_at": "consent_at", "lists": "segments",
        },
        {"enabled": "subscribed", "disabled": "left", "blocklisted": "complained"},
    ),
    System(
        "buttondown",
        (
            frozenset({"email", "metadata", "tags", "referrer_url"}),
            frozenset({"email_address", "metadata", "tags", "type"}),
        ),
        {
            "email": "email", "email_address": "email", "subscriber_type": "status", "type": "status",
            "creation_date": "consent_at", "tags": "segments", "metadata": "attributes",
            "unsubscription_date": "left_at",
        },
        {
            "regular": "subscribed", "premium": "subscribed", "gifted": "subscribed",
            "trialed": "subscribed", "paid": "subscribed", "churning": "subscribed",
            "churned": "subscribed", "past_due": "subscribed", "paused": "subscribed",
            "unactivated": "pending", "unpaid": "pending", "unsubscribed": "left",
            "removed": "left", "undeliverable": "bounced", "complained": "complained",
            "blocked": "complained", "spammy": "complained",
        },
    ),
    System(
        "beehiiv",
        (frozenset({"email", "status", "subscription_tier", "utm_channel"}),),
        {
            "email": "email", "name": "name", "first_name": "first_name",
            "last_name": "last_name", "status": "status", "created_at": "consent_at",
            "subscribe_date": "consent_at", "tags": "segments",
        },
        {
            "active": "subscribed", "pending": "pending", "validating": "pending",
            "needs_attention": "pending", "inactive": "left", "invalid": "bounced",
        },
    ),
)  # fmt: skip
