"""Files in a bucket that speaks S3's protocol: a hospital's own object store, or a cloud's."""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import cached_property
from typing import IO, TYPE_CHECKING, cast

from app.errors import NotFound, Unavailable
from app.ports import FileStore, Pieces

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from types_boto3_s3 import S3Client

PIECE_BYTES = 256 * 1024
# Held in memory while it is sent; a file may have 10,000 of them, so it may be 80 GB large.
PART_BYTES = 8 * 1024 * 1024
# An organisation's id or nobody's, and a file's: what else lies in the bucket is not ours to touch.
OURS = re.compile(r"([0-9a-f-]{36}|nobody)/[0-9a-f-]{36}")
MISSING = frozenset({"NoSuchKey", "404"})
BEHIND_THE_END = "InvalidRange"


class S3Files(FileStore):
    """A bucket. S3 shows an object when it is whole, which is what the port asks for."""

    def __init__(
        self, *, bucket: str, endpoint_url: str, region: str, access_key: str, secret_key: str
    ) -> None:
        self._bucket = bucket
        self._endpoint_url = endpoint_url
        self._region = region
        self._access_key = access_key
        self._secret_key = secret_key

    @cached_property
    def client(self) -> "S3Client":
        """The library's client, made when first needed: it takes 30 MB, and most processes never
        touch a file."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self._endpoint_url or None,
            region_name=self._region,
            aws_access_key_id=self._access_key or None,
            aws_secret_access_key=self._secret_key or None,
            config=Config(
                connect_timeout=2, read_timeout=20, retries={"mode": "standard", "max_attempts": 3}
            ),
        )

    def put(self, key: str, content: Iterable[bytes]) -> None:
        """Send in parts when it is large; the parts of what fails are taken back."""
        from boto3.s3.transfer import TransferConfig

        in_parts = TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, use_threads=False
        )
        with translated():
            reader = cast("IO[bytes]", _Reader(content))
            self.client.upload_fileobj(reader, self._bucket, key, Config=in_parts)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> Pieces:
        """Ask for a range and hand on its pieces as they come."""
        if length == 0:
            return _pieces(iter(()))
        last = "" if length is None else start + length - 1
        with translated():
            body = self._body(key, f"bytes={start}-{last}")
        return _pieces(body.iter_chunks(PIECE_BYTES) if body else iter(()))

    def _body(self, key: str, wanted: str) -> "StreamingBody | None":
        try:
            return self.client.get_object(Bucket=self._bucket, Key=key, Range=wanted)["Body"]
        except self.client.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") == BEHIND_THE_END:
                return None
            raise

    def delete(self, key: str) -> None:
        """Remove the object. S3 itself says nothing when there is none; some others answer 404."""
        with suppress(NotFound), translated():
            self.client.delete_object(Bucket=self._bucket, Key=key)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """List, a thousand at a time."""
        with translated():
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=prefix
            )
            for page in pages:
                for found in page.get("Contents", []):
                    yield found["Key"]

    def forget_unfinished(self, *, before: datetime) -> None:
        """Take back the parts of our old uploads that never ended."""
        with translated():
            pages = self.client.get_paginator("list_multipart_uploads").paginate(
                Bucket=self._bucket
            )
            for page in pages:
                for upload in page.get("Uploads", []):
                    if upload["Initiated"] < before and OURS.fullmatch(upload["Key"]):
                        self.client.abort_multipart_upload(
                            Bucket=self._bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                        )


class _Reader:
    """A stream as as much of a file as boto3 asks for: it reads, from the front."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = iter(content)
        self._held = bytearray()

    def read(self, size: int = sys.maxsize) -> bytes:
        """Return up to `size` bytes; fewer only at the end. Without a size boto3 asks for the rest
        of what is smaller than a part."""
        while len(self._held) < size:
            piece = next(self._content, None)
            if piece is None:
                break
            self._held += piece
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken


def _pieces(body: Iterator[bytes]) -> Pieces:
    with translated():
        yield from body


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words what the object store, or the way to it, refused."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in MISSING:
            raise NotFound("There is no such file.", code="stored_file_missing") from error
        raise _unavailable() from error
    except (BotoCoreError, Boto3Error) as error:
        raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable("The file store does not answer.", code="storage_unavailable")
