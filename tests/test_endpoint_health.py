"""Whether an endpoint lives, from what its attempts came to: no sockets, no clock."""

from __future__ import annotations

import pytest

from judgebench.backends.addresses import Addresses
from judgebench.backends.chat_completions import Fault
from judgebench.backends.endpoint_health import BARRED, FAILING, FRESH, GIVEN_UP, UNPROVEN, Health
from judgebench.errors import BackendError

LOST = Fault(kind="http", detail="500 Internal Server Error", again=True)
NOBODY = Fault(kind="http", detail="connection refused", again=True, fatal_until="reached")
BAD_KEY = Fault(kind="http", detail="401 wrong key", again=False, fatal_until="answered", barred=True)


def health(urls: int = 1) -> Health:
    addresses = Addresses([f"http://host-{number}/v1" for number in range(urls)])
    return Health(addresses, 32, model="some-model", key="the key in SOME_KEY")


def fails(of: Health, fault: Fault, times: int = 1, *, first: bool = True) -> None:
    for _ in range(times):
        of.failed(of.addresses.all[0], 0.0, 1.0, fault, first=first)


def answers(of: Health) -> None:
    of.answered(of.addresses.all[0], 0.0, 1.0)


def test_the_first_call_goes_alone_and_a_reply_lets_the_others_go() -> None:
    found = health()
    assert found.limit == 1
    answers(found)
    assert found.limit == 32


def test_few_calls_go_while_nothing_was_answered_and_one_alone_after_many_failures() -> None:
    found = health()
    found.alone = False
    fails(found, LOST)
    assert found.limit == UNPROVEN
    fails(found, LOST, FAILING)
    assert found.limit == 1
    answers(found)
    assert found.limit > UNPROVEN


def test_death_needs_calls_given_up_and_as_many_fresh_failures_beside_them() -> None:
    found = health()
    answers(found)
    fails(found, LOST, 3 * FRESH, first=False)
    for _ in range(GIVEN_UP + 1):  # repeats of few calls: what a server fails on item by item
        found.given_up(LOST)
    assert not found.hopeless
    assert not found.closed
    fails(found, LOST, FRESH)
    assert found.closed
    with pytest.raises(BackendError, match=r"http://host-0/v1 has failed 40 times in a row.*run it again to go on"):
        found.given_up(LOST)
    with pytest.raises(BackendError, match="has failed"):
        found.refuse_hopeless()


def test_an_answer_forgets_all_failures_before_it() -> None:
    found = health()
    fails(found, LOST, FRESH)
    for _ in range(GIVEN_UP - 1):
        found.given_up(LOST)
    answers(found)
    fails(found, LOST, FRESH)
    found.given_up(LOST)
    found.refuse_hopeless()


def test_a_key_refused_before_any_answer_is_fatal_and_later_only_after_many() -> None:
    with pytest.raises(BackendError, match="http://host-0/v1 refuses the key in SOME_KEY: 401 wrong key"):
        fails(health(), BAD_KEY)
    found = health()
    answers(found)
    fails(found, BAD_KEY, BARRED - 1)
    with pytest.raises(BackendError, match="refuses the key"):
        fails(found, BAD_KEY)


def test_nobody_listening_is_fatal_until_somebody_was_reached_and_not_while_another_address_is_left() -> None:
    with pytest.raises(BackendError, match="nobody answers at http://host-0/v1"):
        fails(health(), NOBODY)
    found = health()
    fails(found, LOST)
    fails(found, NOBODY, 3)
    two = health(urls=2)
    assert two.failed(two.addresses.all[0], 0.0, 1.0, NOBODY, first=True)
    with pytest.raises(BackendError, match="nobody answers at http://host-0/v1 and http://host-1/v1"):
        two.failed(two.addresses.all[1], 0.0, 1.0, NOBODY, first=True)


def test_a_limit_of_the_rate_is_no_failure() -> None:
    found = health()
    answers(found)
    fails(found, Fault(kind="refused", detail="429", again=True), 3 * FRESH)
    assert not found.closed
    found.given_up(Fault(kind="refused", detail="429", again=True))
    found.refuse_hopeless()
