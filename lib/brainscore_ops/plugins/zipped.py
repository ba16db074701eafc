"""The members of a zip file that nobody trusts.

``zipfile`` reads the central directory; everything that it believes is checked here against the file itself: where the
directory stands, each member's local header, that members do not overlap, and what really comes out of them. Nothing is
ever written anywhere.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT = 0xFFFF
_DIRECTORY_BYTES_A_MEMBER = 1024
_CHUNK = 1 << 18
_READABLE = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_ENCRYPTED = 0x2041  # encrypted, strongly encrypted, encrypted directory
_HAS_DESCRIPTOR = 0x08
_UTF8 = 0x800
_UNKNOWN_SIZE = 0xFFFFFFFF


class DamagedError(Exception):
    """What was read is no sound zip file; the message says why, in words that follow on "found"."""


class TooManyMembersError(Exception):
    """The archive has more members than are looked at; the message says how many."""


class TooLargeError(Exception):
    """A member holds more than is taken."""


@dataclass(frozen=True)
class Member:
    """One entry of an archive, folder or file, as its directory describes it."""

    name: str
    """As it stands in the archive."""
    info: zipfile.ZipInfo

    @property
    def mode(self) -> int:
        """The kind of file on Unix (``stat.S_IFMT``); 0 where the archive says nothing."""
        return stat.S_IFMT(self.info.external_attr >> 16)

    @property
    def is_folder(self) -> bool:
        return self.name.endswith(("/", "\\"))

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def is_special(self) -> bool:
        """A device, socket or pipe, or something that is a folder by its kind and a file by its name."""
        expected = stat.S_IFDIR if self.is_folder else stat.S_IFREG
        return self.mode not in (0, stat.S_IFLNK, expected)

    @property
    def is_encrypted(self) -> bool:
        return bool(self.info.flag_bits & _ENCRYPTED)

    @property
    def is_readable(self) -> bool:
        """Whether it is packed by one of the two methods that every program writes: stored or deflated."""
        return self.info.compress_type in _READABLE


def list_members(file: IO[bytes], most: int) -> list[Member]:
    """The members of an archive, in the order of its directory.

    :param most: how many are looked at
    :raises DamagedError: the file is no sound zip file
    :raises TooManyMembersError: it has more than ``most`` members
    """
    start, size, count = _directory(file)
    if count > most or size > (most + 1) * _DIRECTORY_BYTES_A_MEMBER:
        raise TooManyMembersError(f"{count}" if count > most else f"a directory of {size} bytes")
    try:
        infos = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, EOFError, OverflowError) as error:
        raise DamagedError(f"a directory that cannot be read ({error})") from error
    if len(infos) != count:
        raise DamagedError(f"{len(infos)} members where {count} are announced")
    members = [Member(_name(info), info) for info in infos]
    _check_local_headers(file, members, start)
    return members


def inflate(file: IO[bytes], member: Member, most: int) -> bytes:
    """A member's content, never more than ``most`` bytes, whatever the archive says about its size.

    :raises TooLargeError: there is more
    :raises DamagedError: it cannot be unpacked, or is not what the archive announces
    """
    info = member.info
    file.seek(_data_start(file, info))
    left = info.compress_size
    pieces: list[bytes] = []
    size = 0
    unpacker = zlib.decompressobj(-15) if info.compress_type == zipfile.ZIP_DEFLATED else None
    while left or (unpacker and unpacker.unconsumed_tail):
        if unpacker and unpacker.unconsumed_tail:
            packed = unpacker.unconsumed_tail
        else:
            packed = file.read(min(_CHUNK, left))
            left -= len(packed)
            if not packed:
                raise DamagedError("that the file ends in the middle of it")
        try:
            piece = unpacker.decompress(packed, most - size + 1) if unpacker else packed
        except zlib.error as error:
            raise DamagedError(f"content that cannot be unpacked ({error})") from error
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise TooLargeError
        if unpacker and unpacker.eof and (left or unpacker.unused_data):
            raise DamagedError("more bytes after its end")
    if unpacker and not unpacker.eof:
        raise DamagedError("that its content breaks off")
    content = b"".join(pieces)
    if size != info.file_size or zlib.crc32(content) != info.CRC:
        raise DamagedError("other content than its checksum and size announce")
    return content


def _directory(file: IO[bytes]) -> tuple[int, int, int]:
    """Where the central directory starts, its size, and how many members it announces."""
    length = file.seek(0, 2)
    tail_start = max(0, length - _MAX_COMMENT - _END.size)
    file.seek(tail_start)
    tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        raise DamagedError("no directory at its end: the upload broke off, or it is no zip file")
    _, disk, first_disk, _, count, size, start, comment = _END.unpack_from(tail, at)
    if at + _END.size + comment != len(tail):
        raise DamagedError("something behind its end")
    end = tail_start + at
    locator = file.seek(end - _LOCATOR.size) if end >= _LOCATOR.size + _END64.size else None
    if locator is not None and (found := file.read(_LOCATOR.size))[:4] == b"PK\x06\x07":
        _, _, end, disks = _LOCATOR.unpack(found)
        if end != locator - _END64.size or disks > 1:
            raise DamagedError("a directory in parts")
        file.seek(end)
        signature, _, _, _, disk, first_disk, _, count, size, start = _END64.unpack(file.read(_END64.size))
        if signature != b"PK\x06\x06":
            raise DamagedError("no directory where it is announced")
    if disk or first_disk:
        raise DamagedError("one part of an archive in several parts")
    if start + size != end:
        raise DamagedError("a directory that is not where it is announced, or something before the archive")
    return start, size, count


def _name(info: zipfile.ZipInfo) -> str:
    """A member's whole name. zipfile cuts it at a NUL, and takes UTF-8 without its flag (as macOS writes it) for cp437."""
    if info.flag_bits & _UTF8:
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeDecodeError:
        return info.orig_filename


def _check_local_headers(file: IO[bytes], members: Iterable[Member], directory: int) -> None:
    """Every member stands once in the file, and says there of itself what the directory says of it."""
    ordered = sorted((member.info for member in members), key=lambda info: info.header_offset)
    ends = [0, *(_data_start(file, info) + info.compress_size for info in ordered)]
    starts = [*(info.header_offset for info in ordered), directory]
    if starts[0] > 0 and ordered:
        raise DamagedError("something before its first member")
    if any(end > start for end, start in zip(ends, starts, strict=True)):
        raise DamagedError("members that overlap")


def _data_start(file: IO[bytes], info: zipfile.ZipInfo) -> int:
    file.seek(info.header_offset)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
        raise DamagedError("no member where the directory announces one")
    _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack(header)
    name = info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437")
    announced = (info.CRC, info.compress_size, info.file_size)
    sizes_agree = (
        flags & _HAS_DESCRIPTOR
        or (crc, packed, unpacked) == announced
        or (crc == info.CRC and _UNKNOWN_SIZE in (packed, unpacked))
    )
    if file.read(name_length) != name or method != info.compress_type or not sizes_agree:
        raise DamagedError("a member that the directory describes otherwise than the member itself")
    start: int = info.header_offset + _LOCAL.size + name_length + extra_length
    return start
