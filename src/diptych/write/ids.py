"""UUIDs of version 7 (RFC 9562): ordered by time, so that an index of them grows at its end."""


def uuid7(milliseconds: int, randomness: bytes) -> bytes:
    """The 16 bytes of a UUIDv7 of this time (since 1970 UTC) with 10 random bytes."""
    value = (milliseconds & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(randomness, "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return value.to_bytes(16, "big")
