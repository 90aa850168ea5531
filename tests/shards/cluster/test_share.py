"""Files and records that machines share, in a folder and in a bucket."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eventabs.errors import StorageError
from eventabs.shards.cluster.share import ConflictError, Share, open_share


def test_a_record_that_is_not_there_has_no_content(share: Share) -> None:
    assert share.read("claims/0") is None


def test_a_record_is_what_was_written_last(share: Share) -> None:
    version = share.write("claims/0", b"one", version=None)
    assert share.read("claims/0") == (b"one", version)
    later = share.write("claims/0", b"two", version=version)
    assert share.read("claims/0") == (b"two", later)


def test_a_record_is_made_once(share: Share) -> None:
    share.write("claims/0", b"one", version=None)
    with pytest.raises(ConflictError):
        share.write("claims/0", b"two", version=None)


def test_a_version_is_replaced_once(share: Share) -> None:
    version = share.write("claims/0", b"one", version=None)
    share.write("claims/0", b"two", version=version)
    with pytest.raises(ConflictError):
        share.write("claims/0", b"three", version=version)
    found = share.read("claims/0")
    assert found is not None
    assert found[0] == b"two"


def test_of_many_who_swap_at_once_one_wins(share: Share) -> None:
    version: str | None = None
    for round_ in range(10):

        def swap(writer: int, version: str | None = version, round_: int = round_) -> str | None:
            try:
                return share.write("claims/0", f"{round_} {writer}".encode(), version=version)
            except ConflictError:
                return None

        with ThreadPoolExecutor(8) as pool:
            (won,) = filter(None, pool.map(swap, range(8)))
        found = share.read("claims/0")
        assert found is not None
        assert found[1] == won
        version = won


def test_a_record_can_be_read_while_it_is_swapped(share: Share) -> None:
    version = share.write("claims/0", b"0", version=None)
    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(share.read, "claims/0") for _reader in range(100)]
        for number in range(1, 30):
            version = share.write("claims/0", str(number).encode(), version=version)
    assert all(read.result() for read in reads)


def test_a_file_comes_back_as_it_was(share: Share, tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(range(256)) * 9000)
    share.upload(tmp_path / "one", "copies/0/one")
    share.download("copies/0/one", tmp_path / "two")
    assert (tmp_path / "two").read_bytes() == (tmp_path / "one").read_bytes()
    share.remove("copies/0/one")
    share.remove("copies/0/one")
    with pytest.raises(FileNotFoundError):
        share.download("copies/0/one", tmp_path / "three")


def test_a_share_that_refuses_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="cannot be written"):
        open_share(str(tmp_path / "file" / "inside"))


def test_a_bucket_that_is_not_there_is_one_line(share: Share) -> None:
    if share.address.startswith("/"):
        pytest.skip("folders are made")
    with pytest.raises(StorageError, match="nowhere"):
        open_share("s3://nowhere/x").write("claims/0", b"1", version=None)
