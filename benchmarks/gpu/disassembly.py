"""Estimate the speed of the CUDA kernels from their machine code, without a GPU.

``python -m benchmarks.gpu.disassembly`` compiles programs with NVRTC, disassembles them with
NVIDIA's ``nvdisasm`` and prints two tables. If umapcore is not installed, set
``PYTHONPATH=.:backends``.

*Kernels.* Registers. Stack bytes. Stores to and loads from the stack (local memory), and how many
of them are marked as spills; the others are for indexed arrays. Shared memory in bytes, including
the 1024 that the system takes from compute capability 9.0 on. Instructions, including subroutines
and without padding.

*Loops.* Natural loops of the control flow, numbered by address within their kernel. Cycles are
those of one pass by a single warp, along the path with most instructions from the loop's first
block back to it. The path calls a subroutine only if there is no other path. ``own`` is for the
path that enters no inner loop; if there is none, the blocks of inner loops are left out. The other
figures are for a path that may pass once through each loop directly inside, but not through
deeper ones. ``waits`` lists how many of ``cycles`` are spent waiting for results, by the
instruction that produces them. ``block`` is the longest basic block outside inner loops, repeated
several times. It can be compared where a loop has alternatives; the path takes only one of them.

Cycles come from a model of in-order issue. Since Volta, an instruction word holds what the
scheduler needs: after how many cycles the next instruction may be issued, which of six barriers an
instruction of variable latency sets, and for which barriers an instruction waits. The model reads
these bits, and takes the latencies from :data:`LATENCIES`. A path is repeated several times, and
only the last passes count, so that waits from one pass to the next are included.

The model ignores: other warps, which hide waits; divergence within a warp; bank conflicts, cache
misses and memory queues; how often a branch is taken; the cost of refilling after a taken branch;
misses of the instruction cache. Compare its figures; do not trust a single one.

``--against`` matches kernels by name and loops by number. If the number of a kernel's loops has
changed, the loops of the earlier run have separate rows.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from bisect import bisect_left
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError
from importlib.metadata import files as files_of
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import table
from umapcore_cupy.host import compile as compilation
from umapcore_cupy.host.programs import PROGRAMS, defines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WHEEL = "nvidia-cuda-nvdisasm"
DEFAULT_PROGRAMS = ("layout", "epochs", "density")
DEFAULT_ARCHITECTURES = (80, 90, 120)

#: Cycles until the result of an instruction that sets a barrier is ready. All are estimates, of the
#: magnitude that micro-benchmarks report: Jia et al. (2018, arXiv:1804.06826) on V100, Abdelkhalik
#: et al. (2022, arXiv:2208.11174) on A100, Luo et al. (2025, arXiv:2501.12084) on H100.
LATENCIES = {
    "LDG": 260, "LD": 260,  # hit in L2
    "ATOMG": 300, "ATOM": 300,
    "LDL": 33,  # hit in L1
    "LDS": 29, "ATOMS": 60,
    "LDC": 27, "LDCU": 27, "ULDC": 27,
    "MUFU": 23, "FCHK": 20,
    "I2F": 14, "F2I": 14, "F2F": 14, "I2I": 14, "FRND": 14,
    "POPC": 14, "FLO": 14, "BREV": 14,
    "S2R": 25, "S2UR": 25, "R2UR": 12,
    "SHFL": 23, "REDUX": 20, "VOTE": 12,
    # About 50 on cards with few double-precision units.
    "DADD": 16, "DMUL": 16, "DFMA": 16, "DSETP": 16,
    "BAR": 20,  # all other warps have arrived already
}  # fmt: skip
OTHER_LATENCY = 20
#: Cycles until an instruction that sets a read barrier has read its operands.
OPERANDS_READ = 12

_JUMPS = {"BRA", "CALL", "EXIT", "RET"}
NO_BARRIER = 7
PASSES = 8

_INSTRUCTION = re.compile(
    r"/\*(?P<address>[0-9a-f]{4,})\*/\s+(?:@(?P<predicate>!?\w+)\s+)?"
    r"(?P<opcode>[A-Z][\w.]*)\s*(?P<operands>[^;\n]*?)\s*;"
    r"\s*/\* 0x[0-9a-f]{16} \*/\s*/\* 0x(?P<upper>[0-9a-f]{16}) \*/"
    r"|^(?P<label>[.$][\w$]+):",
    re.MULTILINE,
)
_SECTION = re.compile(r"^\t\.section\t\.(text|nv\.shared)\.(\w+),", re.MULTILINE)
_INFO = re.compile(
    r"EIATTR_(REGCOUNT|FRAME_SIZE|MIN_STACK_SIZE)\n[^/]*(?:/\*\w+\*/.*\n[^/]*){2}"
    r"/\*\w+\*/\s+\.word\s+index@\((\S+)\)\n\s*/\*\w+\*/\s+\.word\s+(0x[0-9a-f]+)"
)
_TARGET = re.compile(r"`\(([.$][\w$]+)\)")


@dataclass(frozen=True)
class Instruction:
    """One instruction and the bits that its scheduler reads.

    Attributes
    ----------
    address, opcode, operands
        As disassembled; the opcode includes its modifiers.
    conditional
        Whether it has a predicate.
    stall
        Cycles until the next instruction may be issued.
    write_barrier, read_barrier
        Barriers that it sets until its result is ready, and until its operands are read; 7 for
        none.
    waits
        Barriers that must be free before it is issued, one bit each.
    """

    address: int
    opcode: str
    operands: str
    conditional: bool
    stall: int
    write_barrier: int
    read_barrier: int
    waits: int

    @property
    def name(self) -> str:
        """The opcode without modifiers."""
        return self.opcode.partition(".")[0]

    @property
    def target(self) -> str:
        """Label of the instruction that it may jump to; empty for none."""
        found = _TARGET.search(self.operands) if self.name in {"BRA", "CALL"} else None
        return found[1] if found else ""

    @property
    def calls(self) -> bool:
        """Whether it calls a subroutine; a call to another label is a far jump."""
        return self.name == "CALL" and self.target.startswith("$")

    @property
    def latency(self) -> int:
        """Cycles until its result is ready, if it sets a barrier."""
        return LATENCIES.get(self.name, OTHER_LATENCY)


@dataclass(frozen=True)
class Loop:
    """A loop, as it is reported; see the module docstring.

    Attributes
    ----------
    number
        Number within its kernel, by address, from 1.
    inside
        Number of the loop around it, 0 for none.
    first, last
        Addresses of the first and last instruction of all its blocks.
    instructions, cycles
        Counts for one pass, with the loops directly inside.
    own_instructions, own_cycles
        Counts for one pass without inner loops.
    block_instructions, block_cycles
        Counts for the longest block outside inner loops.
    waits
        Part of ``cycles`` spent waiting, by the opcode of the awaited instruction.
    """

    number: int
    inside: int
    first: int
    last: int
    instructions: int
    cycles: float
    own_instructions: int
    own_cycles: float
    block_instructions: int
    block_cycles: float
    waits: dict[str, float]


class Code:
    """Instructions of one kernel, and its control flow.

    Parameters
    ----------
    text
        The kernel's section, as printed by ``nvdisasm -hex``.
    """

    def __init__(self, text: str) -> None:
        self.instructions: list[Instruction] = []
        self.labels: dict[str, int] = {}
        for match in _INSTRUCTION.finditer(text):
            if label := match["label"]:
                self.labels[label] = len(self.instructions)
            else:
                self.instructions.append(_instruction(match))

    @cached_property
    def blocks(self) -> list[range]:
        """Basic blocks, as ranges of instruction numbers."""
        starts = {0, *self.labels.values()}
        for number, instruction in enumerate(self.instructions):
            if instruction.name in _JUMPS:
                starts.add(number + 1)
        bounds = sorted(starts | {len(self.instructions)})
        return [range(*pair) for pair in pairwise(bounds)]

    @cached_property
    def successors(self) -> list[list[int]]:
        """Blocks that may follow each block; after a call, the next instruction follows."""
        found = []
        for number, block in enumerate(self.blocks):
            last = self.instructions[block[-1]]
            following = [number + 1] if number + 1 < len(self.blocks) else []
            # A predicate may come before the opcode or among the operands.
            always = not last.conditional and not last.operands.startswith(("P", "!P", "UP", "!UP"))
            # Branches of warps whose threads diverge are left out.
            rare = {"DIV", "CONV"} & set(last.opcode.split("."))
            if last.name in _JUMPS and always and not last.calls and not rare:
                following = []
            # The point of reconvergence needs no edge: BSYNC comes right before it.
            if last.target and not last.calls and not rare:
                following.append(self._block_at(last.target))
            found.append(following)
        return found

    @cached_property
    def predecessors(self) -> dict[int, list[int]]:
        """Reachable blocks that may come directly before each block."""
        found: dict[int, list[int]] = {block: [] for block in self.order}
        for block in self.order:
            for following in self.successors[block]:
                found[following].append(block)
        return found

    @cached_property
    def entries(self) -> set[int]:
        """First blocks of the kernel and of its subroutines."""
        called = {i.target for i in self.instructions if i.calls}
        return {0, *map(self._block_at, called)}

    @cached_property
    def order(self) -> list[int]:
        """Reachable blocks, each before those that follow it, except in loops."""
        seen: set[int] = set()
        finished: list[int] = []
        for entry in sorted(self.entries):
            stack = [(entry, iter(self.successors[entry]))]
            seen.add(entry)
            while stack:
                block, following = stack[-1]
                if (unseen := next((one for one in following if one not in seen), None)) is None:
                    finished.append(block)
                    stack.pop()
                else:
                    seen.add(unseen)
                    stack.append((unseen, iter(self.successors[unseen])))
        return finished[::-1]

    @cached_property
    def dominators(self) -> dict[int, set[int]]:
        """Blocks that are on every path to a block, including the block itself."""
        found = {block: {block} if block in self.entries else {*self.order} for block in self.order}
        changed = True
        while changed:
            changed = False
            for block in set(self.order) - self.entries:
                new = {block} | set.intersection(*(found[one] for one in self.predecessors[block]))
                changed |= new != found[block]
                found[block] = new
        return found

    @cached_property
    def bodies(self) -> dict[int, set[int]]:
        """Blocks of each loop, keyed by its first block, in the order of addresses."""
        found: dict[int, set[int]] = {}
        for block in self.order:
            for header in set(self.successors[block]) & self.dominators[block]:
                body = found.setdefault(header, {header})
                left = [block]
                while left:
                    if (one := left.pop()) not in body:
                        body.add(one)
                        left += self.predecessors[one]
        return dict(sorted(found.items()))

    def loops(self) -> list[Loop]:
        """Describe all loops."""
        headers = [*self.bodies]
        found = []
        for number, (header, body) in enumerate(self.bodies.items(), 1):
            inner = [other for other in self.bodies.values() if other < body]
            deeper = [one for one in inner if any(one < other for other in inner)]
            whole, own = (self._path(header, set().union(*avoid)) for avoid in (deeper, inner))
            around = [one for one in headers if body < self.bodies[one]]
            nearest = min(around, key=lambda one: len(self.bodies[one]), default=None)
            cycles, waits = steady_cycles(whole)
            longest = max(body.difference(*inner), key=lambda one: len(self.blocks[one]))
            block = [self.instructions[one] for one in self.blocks[longest]]
            found.append(
                Loop(
                    number=number,
                    inside=0 if nearest is None else headers.index(nearest) + 1,
                    first=self.instructions[self.blocks[min(body)][0]].address,
                    last=self.instructions[self.blocks[max(body)][-1]].address,
                    instructions=len(whole),
                    cycles=cycles,
                    own_instructions=len(own),
                    own_cycles=steady_cycles(own)[0],
                    block_instructions=len(block),
                    block_cycles=steady_cycles(block)[0],
                    waits=waits,
                )
            )
        return found

    def _block_at(self, label: str) -> int:
        return bisect_left(self.blocks, self.labels[label], key=lambda block: block.start)

    def _path(self, header: int, avoided: set[int]) -> list[Instruction]:
        """Return the longest path through a loop, without the avoided blocks."""
        place = {block: number for number, block in enumerate(self.order)}
        best: dict[int, tuple[int, list[int]]] = {}
        for block in reversed(self.order):
            if block not in self.bodies[header]:
                continue
            ahead = [
                (0, []) if following == header else best[following]
                for following in self.successors[block]
                if following == header or (following in best and place[following] > place[block])
            ]
            if ahead:
                length, path = max(ahead, key=lambda one: one[0])
                last = self.instructions[self.blocks[block][-1]]
                penalty = len(self.instructions) if block in avoided or last.calls else 0
                best[block] = (length + len(self.blocks[block]) - penalty, [block, *path])
        kept = [block for block in best[header][1] if block not in avoided]
        return [self.instructions[number] for block in kept for number in self.blocks[block]]


def control(upper: int) -> dict[str, int]:
    """Read the scheduling fields from the upper 64 of an instruction's 128 bits."""
    bits = upper >> 41
    return {
        "stall": bits & 15,
        # Bit 4 would let another warp go first.
        "write_barrier": bits >> 5 & 7,
        "read_barrier": bits >> 8 & 7,
        "waits": bits >> 11 & 63,
    }


def _instruction(match: re.Match[str]) -> Instruction:
    return Instruction(
        address=int(match["address"], 16),
        opcode=match["opcode"],
        operands=match["operands"],
        conditional=match["predicate"] is not None,
        **control(int(match["upper"], 16)),
    )


def steady_cycles(path: Sequence[Instruction]) -> tuple[float, dict[str, float]]:
    """Compute the cycles of one pass, and how many are spent waiting, by opcode."""
    now = 0
    free: dict[int, tuple[int, str]] = {}  # when each barrier becomes free, and who set it
    begun, waited = 0, Counter[str]()
    for number in range(PASSES):
        if number == PASSES // 2:
            begun, waited = now, Counter()
        for instruction in path:
            awaited = [free[b] for b in free if instruction.waits >> b & 1]
            until, whose = max(awaited, default=(0, ""))
            if until > now:
                waited[whose] += until - now
                now = until
            for barrier, latency in (
                (instruction.write_barrier, instruction.latency),
                (instruction.read_barrier, OPERANDS_READ),
            ):
                if barrier != NO_BARRIER:
                    then = (now + latency, instruction.name)
                    free[barrier] = max(free.get(barrier, then), then)
            now += max(1, instruction.stall)
            if instruction.name == "BAR":
                waited["BAR"] += instruction.latency
                now += instruction.latency
    passes = PASSES - PASSES // 2
    waits = {name: cycles / passes for name, cycles in waited.most_common()}
    return (now - begun) / passes, waits


def kernels(text: str) -> Iterator[dict[str, Any]]:
    """Describe every kernel in the output of ``nvdisasm -hex``."""
    info: dict[str, dict[str, int]] = {}
    for attribute, kernel, value in _INFO.findall(text):
        info.setdefault(kernel, {})[attribute] = int(value, 16)
    sections = _sections(text)
    for kernel, section in sections["text"].items():
        code = Code(section)
        names = Counter(i.name for i in code.instructions)
        sizes = re.findall(r"\.zero\s+(\d+)", sections["nv.shared"].get(kernel, ""))
        of_kernel = info[kernel]
        yield {
            "kernel": kernel,
            "registers": of_kernel["REGCOUNT"],
            "stack_bytes": max(of_kernel.get("FRAME_SIZE", 0), of_kernel.get("MIN_STACK_SIZE", 0)),
            "local_stores": names["STL"],
            "local_loads": names["LDL"],
            "spills": sum("SpillRefill" in i.operands for i in code.instructions),
            "shared_bytes": sum(map(int, sizes)),
            "instructions": len(code.instructions) - names["NOP"],
            "loops": [asdict(loop) for loop in code.loops()],
        }


def _sections(text: str) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {"text": {}, "nv.shared": {}}
    for match in _SECTION.finditer(text):
        found[match[1]][match[2]] = text[match.start() :].partition("\n//-----")[0]
    return found


def find_nvdisasm() -> Path | None:
    """Return the path of ``nvdisasm``, from NVIDIA's wheel or else from PATH."""
    try:
        for file in files_of(WHEEL) or []:
            if file.name in {"nvdisasm", "nvdisasm.exe"}:
                return Path(str(file.locate()))
    except PackageNotFoundError:
        pass
    on_path = shutil.which("nvdisasm")
    return Path(on_path) if on_path else None


def nvdisasm_version(nvdisasm: Path) -> str:
    """Return the version of nvdisasm, such as ``'13.0.85'``."""
    said = subprocess.run([nvdisasm, "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"\bV(\d[\d.]*)", said.stdout)
    return found[1] if found else "unknown"


def disassemble(nvdisasm: Path, cubin: bytes) -> str:
    """Return a cubin's sections as text."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "program.cubin"
        path.write_bytes(cubin)
        done = subprocess.run([nvdisasm, "-hex", path], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or f"nvdisasm ended with {done.returncode}")
    return done.stdout


def judge(nvdisasm: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Compile, disassemble and describe the chosen programs."""
    found = []
    for program in options.programs:
        for architecture in options.architectures:
            cubin = compilation.compile_program(
                PROGRAMS[program],
                defines(program, options.dimensions),
                architecture,
                folder=options.folder,
            )
            text = disassemble(nvdisasm, cubin)
            about = {"program": program, "architecture": architecture}
            found += [about | kernel for kernel in kernels(text)]
    return {
        "versions": {
            "nvrtc": ".".join(map(str, compilation.nvrtc_version())),
            "nvdisasm": nvdisasm_version(nvdisasm),
        },
        "dimensions": options.dimensions,
        "kernels": found,
    }


def tables(result: dict[str, Any], before: dict[str, Any] | None = None) -> str:
    """Format a result as tables, with the figures of an earlier result where they differ."""
    versions = result["versions"]
    old = {_key(kernel): kernel for kernel in before["kernels"]} if before else {}
    parts = [
        f"NVRTC {versions['nvrtc']}, nvdisasm {versions['nvdisasm']}, "
        f"{result['dimensions']} dimensions; static cycles of one warp alone."
    ]
    if before:
        earlier = before["versions"]
        parts[0] += (
            f" Before → after; before: NVRTC {earlier['nvrtc']}, nvdisasm {earlier['nvdisasm']}, "
            f"{before['dimensions']} dimensions."
        )
    of_kernels, of_loops = [], []
    for kernel in result["kernels"]:
        name = (kernel["program"], kernel["kernel"], f"sm_{kernel['architecture']}")
        was = old.get(_key(kernel), {} if before else kernel)
        of_kernels.append((*name, *(_change(was, kernel, column) for column in _KERNEL_COLUMNS)))
        loops, loops_before = kernel["loops"], was.get("loops", [])
        if len(loops) == len(loops_before):
            pairs = [(*pair, "") for pair in zip(loops_before, loops, strict=True)]
        else:
            pairs = [(loop, loop, "before: ") for loop in loops_before]
            pairs += [(loop, loop, "") for loop in loops]
        for loop_before, loop, when in pairs:
            number = f"{loop['number']} in {loop['inside']}" if loop["inside"] else loop["number"]
            of_loops.append(
                (
                    *name[1:], f"{when}{number}", f"{loop['first']:04x}-{loop['last']:04x}",
                    *(_change(loop_before, loop, column) for column in _LOOP_COLUMNS),
                    ", ".join(f"{one} {cycles:.0f}" for one, cycles in loop["waits"].items()),
                )
            )  # fmt: skip
    parts += [
        table(("program", "kernel", "for", *map(_words, _KERNEL_COLUMNS)), of_kernels),
        table(
            ("kernel", "for", "loop", "addresses", *map(_words, _LOOP_COLUMNS), "waits"), of_loops
        ),
    ]
    return "\n\n".join(parts) + "\n"


_KERNEL_COLUMNS = (
    "registers", "stack_bytes", "local_stores", "local_loads", "spills", "shared_bytes",
    "instructions",
)  # fmt: skip
_LOOP_COLUMNS = (
    "block_instructions", "block_cycles", "own_instructions", "own_cycles", "instructions",
    "cycles",
)  # fmt: skip


def _key(kernel: dict[str, Any]) -> tuple[str, str, int]:
    return kernel["program"], kernel["kernel"], kernel["architecture"]


def _words(column: str) -> str:
    return column.replace("_", " ")


def _change(before: dict[str, Any], after: dict[str, Any], column: str) -> str:
    new = f"{after[column]:.0f}"
    old = f"{before[column]:.0f}" if column in before else "none"
    return new if old == new else f"{old} → {new}"


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu.disassembly", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=DEFAULT_PROGRAMS)
    parser.add_argument(
        "--architectures", nargs="+", type=int, default=DEFAULT_ARCHITECTURES, metavar="90"
    )
    parser.add_argument("--dimensions", type=int, default=2)
    parser.add_argument(
        "--folder", type=Path, default=compilation.KERNELS, help="folder of other sources"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument(
        "--against", type=Path, metavar="FILE", help="JSON of an earlier run to compare with"
    )
    options = parser.parse_args(arguments)
    if options.dimensions < 1:
        parser.error(f"argument --dimensions: {options.dimensions} is not allowed: at least 1")
    if options.against is not None and not options.against.is_file():
        parser.error(f"argument --against: {options.against} does not exist")
    return options


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; return 1 without a disassembler or for unknown architectures, else 0."""
    options = parse(arguments)
    before = json.loads(options.against.read_text(encoding="utf-8")) if options.against else None
    if (nvdisasm := find_nvdisasm()) is None:
        print(f"nvdisasm is missing: pip install {WHEEL}, or put it on the path", file=sys.stderr)
        return 1
    if unknown := {*options.architectures} - {*compilation.known_architectures()}:
        print(f"this NVRTC does not know {', '.join(map(str, unknown))}", file=sys.stderr)
        return 1
    result = judge(nvdisasm, options)
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(tables(result, before), end="")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
