"""What a driver may refuse about a cubin: an ELF file that is not whole."""

from __future__ import annotations

import struct

# Of the header of the file, of a program and of a section, as elf.h has them, for 64 bits.
_HEADER = struct.Struct("<16s2HI3QI6H")
_PROGRAM = struct.Struct("<2I6Q")
_SECTION = struct.Struct("<2I4Q2I2Q")
_NO_BITS = 8  # a section that takes no room in the file


def problem(cubin: bytes) -> str | None:
    """Say what is wrong with the headers of an ELF file, and with what they point to."""
    if cubin[:4] != b"\x7fELF" or len(cubin) < _HEADER.size:
        return "no ELF file"
    header = _HEADER.unpack_from(cubin)
    programs, sections = header[5], header[6]
    program_size, n_programs, section_size, n_sections, names = header[9:14]
    if n_programs and program_size != _PROGRAM.size:
        return f"program headers of {program_size} bytes"
    if n_sections and (section_size != _SECTION.size or names >= n_sections):
        return f"section headers of {section_size} bytes, the names in number {names}"
    ends = {
        "the program headers": programs + n_programs * program_size,
        "the section headers": sections + n_sections * section_size,
    }
    for what, end in ends.items():
        if end > len(cubin):
            return f"{what} end at {end}, the file at {len(cubin)}"
    for i in range(n_programs):
        _, _, offset, _, _, in_file, in_memory, _ = _PROGRAM.unpack_from(
            cubin, programs + i * program_size
        )
        if offset + in_file > len(cubin) or in_file > in_memory:
            return f"program {i}: {in_file} of {in_memory} bytes from {offset} on"
    for i in range(n_sections):
        _, kind, _, _, offset, size, *_ = _SECTION.unpack_from(cubin, sections + i * section_size)
        if kind != _NO_BITS and offset + size > len(cubin):
            return f"section {i}: {size} bytes from {offset} on"
    return None


def smallest() -> bytes:
    """Give an ELF file of one program header and nothing else."""
    header = _HEADER.pack(
        b"\x7fELF\x02\x01\x01".ljust(16, b"\0"), 2, 190, 1, 0, 64, 0, 0, 64, 56, 1, 64, 0, 0
    )
    return header + _PROGRAM.pack(1, 0, 0, 0, 0, 0, 0, 0)
