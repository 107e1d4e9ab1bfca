"""Object storage, for snapshots: a folder, or a bucket of S3 and what speaks its language."""

from diptych.stores.objects.store import ObjectStore

__all__ = ["ObjectStore"]
