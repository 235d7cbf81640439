"""Which backups stay: held against a slow model that says the rules one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ocd.lifecycle.rotation_policy import Keep, Kept, reasons_to_keep

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FAR = NOW + timedelta(days=400)


def taken(*ages_in_days: float, verified: bool = True) -> list[Kept]:
    return [
        Kept(number, NOW - timedelta(days=age), verified, FAR)
        for number, age in enumerate(ages_in_days, start=1)
    ]


def model(backups, keep, leaned_on, is_held):
    """For each backup, ask in words whether it stays."""

    def newer(one):
        return [other for other in backups if (other.taken_at, other.id) > (one.taken_at, one.id)]

    def is_chosen(one, name_of, count):
        if one.expires_at <= NOW:
            return False
        same = [
            other
            for other in backups
            if other.expires_at > NOW and name_of(other.taken_at) == name_of(one.taken_at)
        ]
        best = max(same, key=lambda other: (other.is_verified, other.taken_at, other.id))
        later = {
            name_of(other.taken_at)
            for other in backups
            if other.expires_at > NOW and name_of(other.taken_at) > name_of(one.taken_at)
        }
        return best is one and len(later) < count

    def stays(one):
        return (
            is_held
            or one.id in leaned_on
            or (one.is_verified and not any(other.is_verified for other in newer(one)))
            or (
                one.expires_at > NOW
                and sum(other.expires_at > NOW for other in newer(one)) < keep.last
            )
            or is_chosen(one, lambda at: at.date(), keep.daily)
            or is_chosen(one, lambda at: at.isocalendar()[:2], keep.weekly)
            or is_chosen(one, lambda at: (at.year, at.month), keep.monthly)
        )

    return {one.id for one in backups if stays(one)}


AGES = st.integers(0, 500 * 24).map(lambda hours: timedelta(hours=hours))
BACKUPS = st.lists(st.tuples(AGES, st.booleans(), st.integers(-100, 400)), max_size=40).map(
    lambda found: [
        Kept(number, NOW - age, is_verified, NOW + timedelta(days=life))
        for number, (age, is_verified, life) in enumerate(found, start=1)
    ]
)
KEEP = st.builds(Keep, st.integers(1, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))


@given(BACKUPS, KEEP, st.sets(st.integers(1, 40), max_size=3), st.booleans())
def test_it_keeps_what_the_model_keeps(backups, keep, leaned_on, is_held):
    found = reasons_to_keep(backups, keep, now=NOW, leaned_on=leaned_on, is_held=is_held)

    known = {one.id for one in backups}
    assert set(found) == model(backups, keep, leaned_on & known, is_held)
    assert all(found.values())


def test_a_year_of_nights_leaves_the_usual_ladder():
    backups = taken(*range(400))

    found = reasons_to_keep(backups, Keep(7, 14, 8, 12), now=NOW)

    count = {
        reason: sum(reason in why for why in found.values())
        for reason in ("last", "daily", "weekly", "monthly")
    }
    assert count == {"last": 7, "daily": 14, "weekly": 8, "monthly": 12}
    assert len(found) < 14 + 8 + 12


@pytest.mark.parametrize(
    ("backups", "leaned_on", "is_held"),
    [
        ([Kept(1, NOW - timedelta(days=300), True, NOW - timedelta(days=1))], (), False),
        ([Kept(1, NOW - timedelta(days=300), False, NOW - timedelta(days=1))], (1,), False),
        ([Kept(1, NOW - timedelta(days=300), False, NOW - timedelta(days=1))], (), True),
    ],
    ids=["newest verified", "leaned on", "held"],
)
def test_what_must_not_go_stays_whatever_its_age(backups, leaned_on, is_held):
    found = reasons_to_keep(
        backups, Keep(1, 0, 0, 0), now=NOW, leaned_on=leaned_on, is_held=is_held
    )

    assert set(found) == {1}


def test_an_expired_backup_goes_though_rotation_has_room():
    backups = [Kept(1, NOW - timedelta(days=500), False, NOW)]

    assert reasons_to_keep(backups, Keep(7, 14, 8, 12), now=NOW) == {}


def test_of_a_day_the_verified_backup_stays():
    verified, newer = (
        Kept(1, NOW - timedelta(days=9, hours=3), True, FAR),
        Kept(2, NOW - timedelta(days=9), False, FAR),
    )
    newest = Kept(3, NOW, True, FAR)

    found = reasons_to_keep([verified, newer, newest], Keep(1, 5, 0, 0), now=NOW)

    assert set(found) == {1, 3}
