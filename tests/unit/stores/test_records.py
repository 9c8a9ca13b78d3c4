"""Where versions start; the contract of `Records` is in tests/integration/stores."""

from penstock.stores.records import first_version


def test_versions_start_anywhere_and_have_room_to_rise():
    drawn = {first_version() for _ in range(100)}
    assert len(drawn) == 100
    assert all(0 <= version < 2**52 for version in drawn)
