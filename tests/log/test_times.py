import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.log import Append, NewEvent, last_before
from diptych.stores.memory import MemoryStore


@given(st.lists(st.integers(0, 12), max_size=20), st.integers(-1, 13))
async def test_the_last_position_before_a_time_is_found_by_halving(moments: list[int], wanted: int) -> None:
    times = sorted(moments)
    clock = iter(times)
    async with MemoryStore(lambda: next(clock)).log() as log:
        for number in range(len(times)):
            event = NewEvent("Ticked", 1, bytes(16), (), b"{}")
            await log.append(Append(str(number), b"", "clock-1", [event], None, b'{"command_id":"c"}'))

        assert await last_before(log, wanted) == sum(time < wanted for time in times)


@pytest.mark.parametrize("wanted", [0, 10**18])
async def test_an_empty_log_has_no_time(wanted: int) -> None:
    async with MemoryStore(lambda: 0).log() as log:
        assert await last_before(log, wanted) == 0
