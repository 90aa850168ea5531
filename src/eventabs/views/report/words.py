"""The words of the report's script, in the language of the page."""

from collections.abc import Collection

from eventabs.language import gettext as _
from eventabs.views.console import one_line


def weekdays() -> list[str]:
    """Return the names of the days from Monday, short."""
    return [_("Mon"), _("Tue"), _("Wed"), _("Thu"), _("Fri"), _("Sat"), _("Sun")]


def times_of(timezone: str, offsets: Collection[str]) -> str:
    """Say of which zone the times of behaviors and events are: the one of the settings, or what the export has."""
    offset = next(iter(offsets), "") if len(offsets) <= 1 else None
    if zone := timezone or offset:
        return _("times: {zone}").format(zone=one_line(zone))
    if offset is None:
        return _("times: as in the export, each with its own offset from UTC")
    return _("times: as in the export, which names no zone")


def script_words(zone: str) -> dict[str, object]:
    """Return the words by the names that the script has for them; `zone` is that of the calls' times."""
    return {
        "states": [_("done"), _("failed"), _("still to do")],
        "weekdays": weekdays(),
        "sources": [_("model"), _("built-in rules"), _("your rule")],
        "titles": {"events": _("Events"), "behaviors": _("Behaviors")},
        "statuses": {
            "sent": _("in flight"),
            "answered": _("answered, not read yet"),
            "read": _("answered"),
            "failed": _("no answer"),
            "lost": _("lost in flight"),
        },
        **_of_filters(),
        **_of_a_user(),
        **_of_tables(),
        **_of_calls(zone),
    }


def _of_filters() -> dict[str, str]:
    return {
        "allOne": _("1 user"),
        "all": _("{count} users"),
        "found": _("{found} of {count} users"),
        "none": _("No user matches. Remove a filter, or search for something else."),
        "searching": _("searching: {percent} %"),
        "type": _("type"),
        "category": _("category"),
        "place": _("place"),
        "transition": _("transition"),
        "path": _("path"),
        "state": _("state"),
        "q": _("text"),
        "remove": _("Remove the filter {name}: {value}"),
        "clear": _("Clear all"),
        "missing": _("This page has no user {user}."),
        "missingCall": _("This page has no call {call}."),
    }


def _of_a_user() -> dict[str, str]:
    return {
        "previousUser": _("Previous user"),
        "nextUser": _("Next user"),
        "userOf": _("{place} of {count}"),
        "opened": _("shown first: no user has more types of events"),
        "noEvents": _("No events."),
        "firstDays": _("{count} days are drawn; the lists have all."),
        "noBehaviors": _("No behaviors."),
        "behaviorCount": _("{count} behaviors"),
        "behaviorOne": _("1 behavior"),
        "eventCount": _("{count} events"),
        "eventOne": _("1 event"),
        "uncovered": _("{count} in no event"),
        "inNoEvent": _("in no event"),
        "inEvent": _("in: {event}"),
        "covers": _("covers {count} behaviors"),
        "coversOne": _("covers 1 behavior"),
        "ungrounded": _("matches no behavior"),
        "outside": _("outside the vocabulary"),
        "noTime": _("no time"),
        "pause": _("{count} days without anything"),
        "pauseOne": _("1 day without anything"),
        "calls": _("calls"),
        "more": _("Show {count} more"),
        "timeline": _("Timeline of {user}: {events} on {days} days, listed below"),
    }


def _of_tables() -> dict[str, str]:
    return {
        "id": _("user"),
        "profile": _("profile"),
        "reason": _("reason"),
        "behaviors": _("behaviors"),
        "events": _("events"),
        "open": _("in no event"),
        "types": _("types"),
        "first": _("first behavior"),
        "last": _("last behavior"),
        "goal": _("reached {goal}"),
        "yes": _("yes"),
        "start": _("start"),
        "end": _("end"),
        "summary": _("summary"),
        "covered": _("behaviors"),
        "grounded": _("matches behaviors"),
        "source": _("source"),
        "rows": _("{first}–{last} of {count}"),
        "noRows": _("Nothing to list."),
        "previous": _("Previous page"),
        "next": _("Next page"),
        "download": _("Download CSV"),
        "sortBy": _("Sort by {column}"),
    }


def _of_calls(zone: str) -> dict[str, str]:
    return {
        "call": _("call"),
        "sent": _("sent ({zone})").format(zone=zone),
        "status": _("status"),
        "finish": _("finish reason"),
        "attempt": _("attempt"),
        "users": _("users"),
        "usable": _("usable"),
        "prompt": _("tokens in"),
        "cached": _("cached"),
        "completion": _("tokens out"),
        "reasoning": _("reasoning"),
        "tier": _("tier"),
        "cost": _("cost"),
        "time": _("seconds"),
        "textsElsewhere": _("The texts of this call are not in the page; the ledger has them."),
        "role:system": _("Instructions"),
        "role:user": _("Prompt"),
        "reply": _("Reply"),
        "thoughts": _("Reasoning"),
        "error": _("Error"),
        "emptyReply": _("The reply was empty."),
        "usersOfCall": _("Users in the prompt"),
        "unread": _("not read"),
        "previousCall": _("Previous call"),
        "nextCall": _("Next call"),
        "callTitle": _("Call {number}"),
        "characters": _("{count} characters"),
    }
