"""Facts on their way from the thread that asked the upstream to the one that answers the client."""

from mirror.plugin.facts import ProjectFacts
from mirror.plugin.handover import Handover

DEMO, OTHER = ProjectFacts("demo"), ProjectFacts("other")


def test_what_was_read_is_given_once_for_the_text_that_is_stored() -> None:
    """Anything else that is stored now, by whomever, means other facts; and memory is for the pages."""
    handover = Handover()
    handover.give('{"demo":1}', DEMO)
    assert handover.take('{"demo":2}') is None
    assert handover.take('{"demo":1}') is DEMO
    assert handover.take('{"demo":1}') is None


def test_what_nobody_takes_makes_room() -> None:
    """Clients give up; what was read for them must not stay for ever."""
    handover = Handover(most=10)
    handover.give("demo..", DEMO)
    handover.give("other.", OTHER)
    assert handover.take("demo..") is None
    assert handover.take("other.") is OTHER
    handover.give("more than there is room for", DEMO)
    assert handover.take("more than there is room for") is None
