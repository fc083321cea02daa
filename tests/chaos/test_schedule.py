"""Which faults come, and when."""

from __future__ import annotations

from collections import Counter
from itertools import islice, product

import pytest
from chaos.outages import OUTAGES
from chaos.schedule import DECK, EVERYBODY, LASTS_S, NETWORK, SHIFTS_S, Menu, Round, schedule

MENU = Menu(
    ("ingest", "trainer", "inference"), ("rabbitmq", "seaweedfs"), disks=("ingest",), clocks=("ingest", "trainer")
)


def rounds(seed: int, count: int = 200, menu: Menu = MENU) -> list[Round]:
    return list(islice(schedule(seed, menu), count))


def test_the_same_seed_gives_the_same_faults_and_another_seed_gives_others() -> None:
    assert rounds(7) == rounds(7)
    assert rounds(7) != rounds(8)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_more_than_two_come_at_once_and_they_are_of_two_kinds_at_two_places(seed: int) -> None:
    for each in rounds(seed):
        assert 1 <= len(each.faults) <= 2
        assert len({fault.kind for fault in each.faults}) == len(each.faults)
        places = Counter(name for fault in each.faults for name in {fault.target, fault.server} if name)
        assert max(places.values()) == 1


def test_every_kind_comes_as_often_as_the_deck_says() -> None:
    decks = Counter(fault.kind for each in rounds(5, 400) for fault in each.faults)
    dealt = sum(decks.values()) / sum(DECK.values())
    for kind, times in DECK.items():
        assert decks[kind] == pytest.approx(times * dealt, rel=0.25, abs=2)


def test_everything_is_killed_and_paused_and_everybody_is_cut_off_from_each_server() -> None:
    faults = [fault for each in rounds(11, 300) for fault in each.faults]
    programs = {*MENU.services, *MENU.servers}
    assert {fault.target for fault in faults if fault.kind == "kill"} == programs
    assert {fault.target for fault in faults if fault.kind == "pause"} == programs
    cut = {(fault.target, fault.server) for fault in faults if fault.kind in NETWORK}
    assert cut == {(who, server) for who in (*MENU.services, EVERYBODY) for server in MENU.servers}


def test_clocks_are_shifted_in_both_directions_by_what_a_store_takes_and_by_what_it_refuses() -> None:
    shifts = [fault.shift_s for each in rounds(3) for fault in each.faults if fault.kind == "clock"]
    assert set(shifts) == set(SHIFTS_S)
    assert {(shift > 0, abs(shift) < 15 * 60) for shift in shifts} == set(product((True, False), repeat=2))


def test_a_fault_lasts_as_long_as_its_kind_may() -> None:
    for fault in (fault for each in rounds(9) for fault in each.faults):
        least, most = LASTS_S[fault.kind]
        assert least <= fault.lasts_s <= most


def test_what_this_machine_can_not_do_does_not_come() -> None:
    bare = Menu(MENU.services, MENU.servers)
    kinds = {fault.kind for each in rounds(1, menu=bare) for fault in each.faults}
    assert kinds == set(DECK) - {"full-disk", "clock"}


def test_a_fault_is_said_in_words() -> None:
    said = {str(fault) for each in rounds(2, 300) for fault in each.faults}
    assert {"trainer killed", "rabbitmq killed"} <= said
    assert any(line.startswith("trainer started again with its clock wrong by -60 min for ") for line in said)
    assert any(line.startswith("black-hole between everybody and seaweedfs for ") for line in said)


def test_outages_come_in_the_order_in_which_they_are_due_and_leave_time_for_the_end() -> None:
    parts = [outage.at for outage in OUTAGES]
    assert parts == sorted(parts)
    assert max(parts) < 0.9
