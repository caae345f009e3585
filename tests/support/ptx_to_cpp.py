"""From PTX, as NVRTC makes it of the kernels, to C++ that runs without a GPU.

Every instruction becomes one statement; one that is not known here, with all its modifiers, is an
error. A register holds bits, as many as it is declared with: each instruction says as what it takes
them. Global and local addresses are the host's; shared ones count from where a block's shared
memory begins. Only the payload of a NaN is the host's.
"""

from __future__ import annotations

import re
from pathlib import Path

TYPES = {
    **{f"{kind}{bits}": f"uint{bits}_t" for kind in "bu" for bits in (8, 16, 32, 64)},
    **{f"s{bits}": f"int{bits}_t" for bits in (8, 16, 32, 64)},
    "f32": "float", "f64": "double", "pred": "bool",
}  # fmt: skip

# What an opcode makes of a, b and c, by the kinds of its types (i: integer, b: bits, f: float,
# p: predicate, *: any), or by the types. What is wide has 64 bits; the result is cut to its type.
EXPRESSIONS = {
    "mov *": "a", "selp *": "c ? a : b",
    "cvta.to.global i": "a", "cvta.to.local i": "a", "cvta.local i": "a",
    "add i": "wide(a) + wide(b)", "sub i": "wide(a) - wide(b)", "neg i": "-wide(a)",
    "mul.lo i": "wide(a) * wide(b)", "mul.wide i": "wide(a) * wide(b)",
    "mul.hi u32": "wide(a) * wide(b) >> 32",
    "mul.hi s32": "(int64_t)a * b >> 32", "mad.lo i": "wide(a) * wide(b) + wide(c)",
    "div i": "a / b", "rem i": "a % b", "min i": "a < b ? a : b", "max i": "a > b ? a : b",
    "and b": "a & b", "or b": "a | b", "xor b": "a ^ b", "not b": "~a",
    "and p": "a & b", "or p": "a | b", "xor p": "a ^ b", "not p": "!a",
    "shl b": "b < 8 * sizeof a ? wide(a) << b : 0",
    "shr i": "b < 8 * sizeof a ? a >> b : a < 0 ? -1 : 0",
    "popc b32": "__builtin_popcount(a)", "clz b32": "a ? __builtin_clz(a) : 32",
    "bfi b": "inserted_bits(a, b, c, d)", "brev b32": "reversed_bits(a)",
    "bfind.shiftamt u32": "a ? __builtin_clz(a) : ~0u",
    "add.rn f": "a + b", "sub.rn f": "a - b", "mul.rn f": "a * b", "div.rn f": "a / b",
    "fma.rn f": "std::fma(a, b, c)", "rcp.approx.ftz f32": "reciprocal_guess(a)",
    "rcp.rn f": "1 / a", "sqrt.rn f": "std::sqrt(a)", "neg f": "-a", "abs f": "std::fabs(a)",
    "copysign f": "std::copysign(b, a)",
    "min f": "lesser(a, b)", "max f": "-lesser(-a, -b)",
    "cvt ii": "a", "cvt f64.f32": "a", "cvt.rn f32.f64": "a", "cvt.rn fi": "a",
    "cvt.rni f64.f64": "std::rint(a)", "cvt.rzi s32.f32": "cut<int32_t>(a)",
    "cvt.rzi s32.f64": "cut<int32_t>(a)", "cvt.rzi u32.f64": "cut<uint32_t>(a)",
    "cvt.rzi s64.f64": "cut<int64_t>(a)",
    "setp.eq *": "a == b", "setp.ne i": "a != b", "setp.ne b": "a != b",
    "setp.lt *": "a < b", "setp.le *": "a <= b", "setp.gt *": "a > b", "setp.ge *": "a >= b",
    "setp.ne f": "a < b || a > b",  # false where one is NaN, unlike C++'s; these are true there:
    "setp.equ f": "!(a < b || a > b)", "setp.neu f": "!(a == b)", "setp.ltu f": "!(a >= b)",
    "setp.leu f": "!(a > b)", "setp.gtu f": "!(a <= b)", "setp.geu f": "!(a < b)",
}  # fmt: skip
ATOMIC = {
    "add i": "wide(old) + wide(a)", "or b": "old | a",
    "min i": "a < old ? a : old", "max i": "a > old ? a : old",
    "cas b": "old == a ? b : old",
}  # fmt: skip

PRELUDE = r"""
#include <cassert>
#include <cstdint>
#include <limits>
#include <type_traits>

template <class T, class R> constexpr bool fits = std::is_same<T, bool>::value ||
    sizeof(R) == sizeof(T) || (sizeof(R) > sizeof(T) && std::is_integral<T>::value);
// The lower bits of a register as a value, and a value as bits of a register.
template <class T, class R> static inline T get(R bits) {
  static_assert(fits<T, R>);
  if constexpr (std::is_same<T, bool>::value) return bits != 0;
  T value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
template <class T, class R> static inline void put(R& bits, T value) {
  static_assert(fits<T, R> && std::is_same<T, bool>::value == std::is_same<R, bool>::value);
  if constexpr (std::is_integral<T>::value) bits = (R)value;  // extended by its sign, if signed
  else std::memcpy(&bits, &value, sizeof value);
}
// The memory at an address of a space of memory.
template <class T, unsigned COUNT>
static inline T* place(uint64_t space, uint64_t size, uint64_t address) {
  assert(address + COUNT * sizeof(T) <= size);
  assert(address % (COUNT * sizeof(T)) == 0);
  return (T*)(space + address);
}
template <class T> static inline uint64_t wide(T a) { return (uint64_t)a; }
static inline uint32_t reversed_bits(uint32_t a) {
  uint32_t reversed = 0;
  for (int i = 0; i < 32; i++) reversed |= (a >> i & 1) << (31 - i);
  return reversed;
}
template <class T> static inline T inserted_bits(T a, T b, uint32_t first, uint32_t count) {
  const unsigned bits = 8 * sizeof(T);
  if (first >= bits || count == 0) return b;
  const T mask = (T)((T)(count >= bits ? ~0ull : (1ull << count) - 1) << first);
  return (b & ~mask) | (T)(a << first & mask);
}
// Of NaN and a number the number; of zeros, the negative one.
template <class F> static inline F lesser(F a, F b) {
  if (a != a || b != b) return a != a ? b : a;
  return a < b || (a == b && std::signbit(a)) ? a : b;
}
// What is out of range becomes the end of the range, as on the GPU.
template <class I, class F> static inline I cut(F a) {
  if (a != a) return sizeof a == 4 ? 0 : (I)(1ull << (8 * sizeof(I) - 1));
  if (a <= (F)std::numeric_limits<I>::min()) return std::numeric_limits<I>::min();
  if (a >= (F)std::numeric_limits<I>::max()) return std::numeric_limits<I>::max();
  return (I)a;
}
"""

_ENTRY = re.compile(
    r"^\.visible \.entry (\w+)\(([^)]*)\)\s*"
    r"(?:\.(?:maxntid|minnctapersm) [\d, ]+\s*)*\{\n(.*?)^\}$",
    re.M | re.S,
)
_PARAMETER = re.compile(r"\.param \.(\w+) (?:\.ptr \.align \d+ )?(\w+)")
# Variables outside of kernels are of no use to one: it can name only what it declares.
_OUTSIDE = re.compile(r"\.(version|target|address_size) [\w.]+|\.global \.align \d+ [^;]*;")
# A label, a brace, code, or what is none of them.
_STATEMENT = re.compile(r"\s*(?:([\w$]+:)|([{}])|([^;{}:]+(?:\{[^{};]*\}[^;{}:]*)*);|(\S.*))")
_REGISTERS = re.compile(r"\.reg \.(\w+)\s+%?(\w+)(?:<(\d+)>)?")
_ARRAY = re.compile(r"\.(shared|local) \.align (\d+) \.b8\s+(\w+)\[(\d+)\]")
_SHARED = re.compile(r"^(\.shared \.align \d+ \.b8\s+\w+\[\d+\]);", re.M)
_INSTRUCTION = re.compile(
    r"(?:@(!?)(%\w+)\s+)?([a-z][\w.]*?)((?:\.(?:[bsuf]\d+|pred))*)(?:\s+(.*))?"
)
_MEMORY = re.compile(r"(ld|st)\.(?:volatile\.)?(param|global(?:\.nc)?|shared|local)(?:\.v([24]))?")
_ATOMIC = re.compile(r"(atom|red)(?:\.relaxed(?:\.gpu)?)?\.(global|shared)\.(\w+)")
_FENCES = {"membar.gl", "fence.acq_rel.gpu", "fence.sc.gpu"}
_ADDRESS = re.compile(r"\[([%\w$]+)(?:\+(-?\d+))?\]")
_SPECIAL = {"tid": "threadIdx", "ntid": "blockDim", "ctaid": "blockIdx", "nctaid": "gridDim"}


class UnknownPTXError(ValueError):
    """Something that the translation does not cover."""


def translate(ptx: str) -> str:
    """Give C++ with a function ``run_…`` for each kernel, like that of cuda_host.build."""
    text = re.sub(r"//[^\n]*", "", ptx)
    outside = _OUTSIDE.sub("", _ENTRY.sub("", text))
    # Shared memory of functions that were inlined.
    shared = _SHARED.findall(outside)
    if left := _SHARED.sub("", outside).strip():
        raise UnknownPTXError(f"outside of kernels: {left[:200]}")
    kernels = [_Kernel(*match.groups(), shared).text for match in _ENTRY.finditer(text)]
    shim = Path(__file__).parent / "cuda_shim.h"
    return "\n".join([f'#include "{shim}"', PRELUDE, *kernels])


class _Kernel:
    def __init__(self, name: str, parameters: str, body: str, shared: list[str]) -> None:
        self.shared = 0  # bytes
        self.known = {f"%{name}.x": f"{index}.x" for name, index in _SPECIAL.items()}  # operands
        self.registers: dict[str, str] = {}
        arguments = ["unsigned grid", "unsigned threads", "int reversed"]
        for parameter in filter(None, map(str.strip, parameters.split(","))):
            kind, argument = _matched(_PARAMETER, parameter)
            arguments.append(f"{TYPES[kind]} {argument}")
            self.known[argument] = argument
        for array in shared:
            self.declaration(array)
        lines = [self.statement(*match.groups()) for match in _STATEMENT.finditer(body)]
        memory = f"alignas(16) static unsigned char shared[{self.shared or 1}];"
        self.text = "\n".join([
            f'extern "C" void run_{name}({", ".join(arguments)}) {{',
            "run_grid(grid, threads, reversed != 0, [&] {", memory, *lines, "});", "}",
        ])  # fmt: skip

    def statement(self, label: str, brace: str, code: str, unknown: str) -> str:
        if unknown:
            raise UnknownPTXError(unknown)
        if not code:
            return f"{label};" if label else brace or ""
        code = " ".join(code.split())
        if code.startswith("."):
            return self.declaration(code)
        no, guard, opcode, types, operands = _matched(_INSTRUCTION, code)
        listed = re.findall(r"\{[^}]*\}|[^,\s]+", operands or "")
        try:
            translated = self.instruction(opcode, types.split(".")[1:], listed)
            return f"if ({no}{self.value(guard, 'bool')}) {translated}" if guard else translated
        except (LookupError, ValueError) as error:
            raise UnknownPTXError(f"{code} ({error!r})") from error

    def declaration(self, code: str) -> str:
        if code.startswith(".pragma "):
            return ""  # advice
        if match := _REGISTERS.fullmatch(code):
            kind, name, count = match.groups()
            names = [f"{name}{i}" for i in range(int(count))] if count else [name]
            self.registers |= {("%" if "%" in code else "") + name: name for name in names}
            bits = "bool" if kind == "pred" else f"uint{kind[1:]}_t"
            # What is read before it is written has no particular value.
            return f"{bits} {', '.join(f'{name} = ({bits})0xA5A5A5A5A5A5A5A5' for name in names)};"
        space, align, name, size = _matched(_ARRAY, code)
        if space == "local":
            self.known[name] = f"(uint64_t){name}"
            return f"alignas({align}) unsigned char {name}[{size}];"
        first = -(-self.shared // int(align)) * int(align)
        self.known[name], self.shared = f"(uint64_t){first}", first + int(size)
        return ""

    def instruction(self, opcode: str, types: list[str], operands: list[str]) -> str:
        if opcode in ("bra", "bra.uni") and len(operands) == 1:
            return f"goto {operands[0]};"
        if (opcode, operands) in (("ret", []), ("bar.sync", ["0"])):
            return "return;" if opcode == "ret" else "BLOCK_BARRIER();"
        if opcode in _FENCES and not types and not operands:
            return ""  # one thread runs all threads
        if opcode == "ld.acquire.gpu":  # what is waited for in a loop, until others have written it
            return f"wait_here(FOR_OTHERS); {self.instruction('ld.global', types, operands)}"
        if match := _MEMORY.fullmatch(opcode):
            return self.move(TYPES[_only(types)], operands, *match.groups())
        kinds = "".join({"u": "i", "s": "i"}.get(kind[0], kind[0]) for kind in types)
        if match := _ATOMIC.fullmatch(opcode):
            target, where, *values = operands if match[1] == "atom" else ("_", *operands)
            kind, expression = TYPES[_only(types)], ATOMIC[f"{match[3]} {kinds}"]
            letters = sorted(set(re.findall(r"\b[ab]\b", expression)))
            taken = [
                f", {letter} = {self.value(value, kind)}"
                for letter, value in zip(letters, values, strict=True)
            ]
            return (
                f"{{ auto* const at = {self.address(kind, match[2], '1', where)}; "
                f"const {kind} old = *at{''.join(taken)}; "
                f"*at = ({kind})({expression}); {self.put(target, kind, 'old')} }}"
            )
        target, *values = operands
        result, source = TYPES[types[0]], TYPES[types[-1]]
        if opcode == "mov" and target[0] == "{":
            parts = target.strip("{}").split(",")
            bits = int(types[0][1:]) // len(parts)
            whole = self.value(_only(values), source)
            puts = [f"{whole} >> {bits * i}" for i in range(len(parts))]
            puts = [self.put(p, f"uint{bits}_t", w) for p, w in zip(parts, puts, strict=True)]
            return f"{{ {' '.join(puts)} }}"
        keys = (f"{opcode} {'.'.join(types)}", f"{opcode} {kinds}", f"{opcode} *")
        expression = EXPRESSIONS[next((key for key in keys if key in EXPRESSIONS), keys[0])]
        if opcode.startswith("setp"):
            result = "bool"
        elif opcode == "mul.wide":
            result = {"16": "uint32_t", "32": "uint64_t"}[types[0][1:]]
        letters = sorted(set(re.findall(r"\b[abcd]\b", expression)))
        taken = []
        for letter, value in zip(letters, values, strict=True):
            special = {"selp c": "bool", "shl b": "uint32_t", "shr b": "uint32_t",
                       "bfi c": "uint32_t", "bfi d": "uint32_t"}  # fmt: skip
            kind = special.get(f"{opcode} {letter}", source)
            taken.append(f"const {kind} {letter} = {self.value(value, kind)};")
        return f"{{ {' '.join(taken)} {self.put(target, result, expression)} }}"

    def move(self, kind: str, operands: list[str], way: str, space: str, n: str | None) -> str:
        values, where = operands if way == "ld" else operands[::-1]
        names = values.strip("{}").split(",")
        if len(names) != int(n or 1) or (way, space) == ("st", "param"):
            raise ValueError(values)
        if space == "param":
            return self.put(_only(names), kind, f"get<{kind}>({self.known[where[1:-1]]})")
        moves = [f"auto* const at = {self.address(kind, space, n or '1', where)};"]
        for i, name in enumerate(names):
            store = f"at[{i}] = {self.value(name, kind)};" if way == "st" else ""
            moves.append(store or self.put(name, kind, f"at[{i}]"))
        return f"{{ {' '.join(moves)} }}"

    def address(self, kind: str, space: str, n: str, where: str) -> str:
        base, offset = _matched(_ADDRESS, where)
        memory = {"shared": "(uint64_t)shared, sizeof shared"}.get(space, "0, ~0ull")
        return f"place<{kind}, {n}>({memory}, {self.value(base)} + {offset or 0})"

    def put(self, target: str, kind: str, expression: str) -> str:
        name = target.strip()
        return "" if name == "_" else f"put<{kind}>({self.registers[name]}, {expression});"

    def value(self, operand: str, kind: str | None = None) -> str:
        """C++ of an operand, as the type that an instruction takes; None: as it is."""
        name = operand.strip()
        if match := re.fullmatch(r"0(?:f([0-9A-F]{8})|d([0-9A-F]{16}))", name):
            bits = f"(uint32_t)0x{match[1]}" if match[1] else f"(uint64_t)0x{match[2]}"
        elif re.fullmatch(r"-?\d+", name):
            bits = f"(uint64_t){int(name) % 2**64:#x}"
        else:
            bits = self.known.get(name) or self.registers[name]
        return bits if kind is None else f"get<{kind}>({bits})"


def _matched(pattern: re.Pattern[str], text: str) -> tuple[str, ...]:
    if match := pattern.fullmatch(text):
        return match.groups()
    raise UnknownPTXError(text)


def _only(values: list[str]) -> str:
    (value,) = values
    return value
