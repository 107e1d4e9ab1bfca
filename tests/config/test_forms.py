from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.config.forms import LARGEST, LONGEST, Choice, Duration, Flag, Form, Size, Text, Url, Whole
from diptych.stores import without_password

WAIT = Duration(timedelta())
SOME = Duration(timedelta(milliseconds=1))


@pytest.mark.parametrize(
    ("form", "text", "value"),
    [
        (WAIT, "10s", timedelta(seconds=10)),
        (WAIT, "500ms", timedelta(milliseconds=500)),
        (WAIT, "2m", timedelta(minutes=2)),
        (WAIT, "1.5h", timedelta(minutes=90)),
        (WAIT, "0s", timedelta()),
        (WAIT, "24h", LONGEST),
        (Size(1), "16KiB", 16 * 1024),
        (Size(1), "1MiB", 1024 * 1024),
        (Size(1), "1GiB", LARGEST),
        (Size(1), "500", 500),
        (Whole(0, 65535), "0", 0),
        (Whole(0, 65535), "65535", 65535),
        (Choice(("all", "query")), "query", "query"),
        (Flag(), "true", True),
        (Flag(), "false", False),
        (Text("a name"), "no", "no"),
    ],
)
def test_a_form_reads_what_a_person_writes(form: Form, text: str, value: object) -> None:
    assert form.read(text) == value


@pytest.mark.parametrize(
    ("form", "texts"),
    [
        (WAIT, ["", "10", "10 s", "-5s", "+5s", "5S", "1d", "25h", "1e3s", "s", "9999999999s", "٣s", "10s\n", "inf"]),
        (SOME, ["0s", "0.1ms", "0.000001ms"]),
        (Size(1), ["", "0", "-1", "1MB", "1 MiB", "1mib", "1.5MiB", "2GiB", "010", "1_000", "99999999999999"]),
        (Size(1024), ["1023", "1"]),
        (Whole(1, 10), ["", "0", "11", "-1", "1.0", "1e1", "0x1", "01", "true", "٣", "1" * 5000]),
        (Flag(), ["", "True", "yes", "1", "on"]),
        (Choice(("all", "query")), ["", "All", "quer", "all "]),
        (Text("a name"), ["", "  ", "a\nb", "\0", "\x1b[31m"]),
    ],
)
def test_a_form_refuses_what_is_not_plain_and_says_what_it_expected(form: Form, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(ValueError, match=r"^(a|one of) ") as caught:
            form.read(text)
        assert str(caught.value) == form.expected


@given(st.timedeltas(timedelta(), LONGEST))
def test_a_duration_that_is_written_reads_as_itself(value: timedelta) -> None:
    assert WAIT.read(WAIT.write(value)) == value


@given(st.integers(1, LARGEST))
def test_a_size_that_is_written_reads_as_itself(size: int) -> None:
    assert Size(1).read(Size(1).write(size)) == size


def test_values_are_written_in_their_largest_whole_unit() -> None:
    assert [WAIT.write(timedelta(seconds=n)) for n in (0, 0.25, 90, 120, 7200)] == ["0s", "250ms", "90s", "2m", "2h"]
    assert [Size(1).write(n) for n in (500, 1536 * 1024, 1 << 30)] == ["500", "1536KiB", "1GiB"]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///shop.db", "sqlite:///shop.db"),
        ("sqlite:////tmp/a:b@c.db", "sqlite:////tmp/a:b@c.db"),
        ("memory://", "memory://"),
        ("postgresql://ann@host/db", "postgresql://ann@host/db"),
        ("postgresql://ann:secret@host:5432/db", "postgresql://ann:***@host:5432/db"),
        ("postgresql://ann:se/cr?e#t@host/db", "postgresql://ann:***@host/db"),
        ("postgresql://ann:secr@et@host/db", "postgresql://ann:***@host/db"),
        ("redis://:secret@host", "redis://:***@host"),
        ("postgresql://host/db?user=ann&password=secret", "postgresql://host/db?user=ann&password=***"),
        ("postgresql://host/db?PassWord=secret&x=1", "postgresql://host/db?PassWord=***&x=1"),
        ("s3://bucket?api_key=secret", "s3://bucket?api_key=***"),
        ("http://[nonsense:secret@x", "http://[nonsense:***@x"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert without_password(url) == shown
    assert Url("a URL").write(url) == shown
    assert Url("a URL").read(url) == url
