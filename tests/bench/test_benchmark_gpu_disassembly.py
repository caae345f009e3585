"""The judgement of machine code: a text made by hand, and the real thing where its tools are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.gpu import disassembly
from benchmarks.gpu.disassembly import Code, control, kernels, steady_cycles
from tests.support.nvrtc import needs_nvrtc

if TYPE_CHECKING:
    from pathlib import Path

needs_nvdisasm = pytest.mark.skipif(
    disassembly.find_nvdisasm() is None,
    reason=f"needs nvdisasm (pip install {disassembly.WHEEL})",
)

TOY = """
\t//----- nvinfo : EIATTR_REGCOUNT
\t.align\t\t4
    /*0000*/ \t.byte\t0x04, 0x2f
    /*0002*/ \t.short\t(.L_1 - .L_0)
\t.align\t\t4
.L_0:
    /*0004*/ \t.word\tindex@(toy)
    /*0008*/ \t.word\t0x0000000c


\t//----- nvinfo : EIATTR_FRAME_SIZE
\t.align\t\t4
.L_1:
    /*000c*/ \t.byte\t0x04, 0x11
    /*000e*/ \t.short\t(.L_3 - .L_2)
\t.align\t\t4
.L_2:
    /*0010*/ \t.word\tindex@(toy)
    /*0014*/ \t.word\t0x00000008


\t//----- nvinfo : EIATTR_MIN_STACK_SIZE
\t.align\t\t4
.L_3:
    /*0018*/ \t.byte\t0x04, 0x12
    /*001a*/ \t.short\t(.L_5 - .L_4)
\t.align\t\t4
.L_4:
    /*001c*/ \t.word\tindex@(toy)
    /*0020*/ \t.word\t0x00000010


//--------------------- .text.toy                --------------------------
\t.section\t.text.toy,"ax",@progbits
\t.align\t128
        .global         toy
        .type           toy,@function
toy:
.text.toy:
    /*0000*/          STL.64 [R1], R22 (*"SpillRefill"*);     /* 0x0000001601007387 */
                                                                /* 0x000fe20000100a00 */
.L_x_1:
    /*0010*/          LDS R0, [R0] ;                            /* 0x0000000000007984 */
                                                                /* 0x000e240000000800 */
    /*0020*/          LEA R3, R0, UR6, 0x2 ;                    /* 0x0000000600037c11 */
                                                                /* 0x001fcc000f8e10ff */
    /*0030*/          @P1 BRA `(.L_x_1) ;                       /* 0xfffffffc00081947 */
                                                                /* 0x000fec000383ffff */
    /*0040*/          EXIT ;                                    /* 0x000000000000794d */
                                                                /* 0x000fea0003800000 */
.L_x_2:
    /*0050*/          BRA `(.L_x_2);                            /* 0xfffffffc00fc7947 */
                                                                /* 0x000fc0000383ffff */
    /*0060*/          NOP ;                                     /* 0x0000000000007918 */
                                                                /* 0x000fc00000000000 */

//--------------------- .nv.shared.toy           --------------------------
\t.section\t.nv.shared.toy,"aw",@nobits
\t.align\t16
.nv.shared.toy:
\t.zero\t\t1024
\t.zero\t\t64
"""


def listing(*lines: str) -> str:
    """Lines of a kernel; what is no label gets an address, a stall of 2 and no barrier."""
    text, address = "", 0
    for line in lines:
        if line.endswith(":"):
            text += f"{line}\n"
            continue
        text += f"  /*{address:04x}*/  {line} ;  /* {0:#018x} */\n  /* {0x7E2 << 41:#018x} */\n"
        address += 16
    return text


def test_control_bits() -> None:
    bits = 6 | 1 << 4 | 3 << 5 | 7 << 8 | 0b100010 << 11 | 1 << 17
    assert control(bits << 41 | 0x800) == {
        "stall": 6, "write_barrier": 3, "read_barrier": 7, "waits": 0b100010,
    }  # fmt: skip


def test_kernel_of_a_text() -> None:
    (kernel,) = kernels(TOY)
    (loop,) = kernel.pop("loops")
    assert kernel == {
        "kernel": "toy",
        "registers": 12,
        "stack_bytes": 16,
        "local_stores": 1,
        "local_loads": 0,
        "spills": 1,
        "shared_bytes": 1088,
        "instructions": 6,
    }
    # The next instruction comes 2 cycles after the load, 6 after the sum, which waits, 6 after
    # the branch.
    latency = disassembly.LATENCIES["LDS"]
    assert (loop["first"], loop["last"], loop["instructions"]) == (0x10, 0x30, 3)
    assert loop["cycles"] == loop["own_cycles"] == loop["block_cycles"] == latency + 12
    assert loop["waits"] == {"LDS": latency - 2}


def test_waits_from_one_pass_to_the_next() -> None:
    code = Code(TOY)
    load, add, branch = code.instructions[1:4]
    latency = disassembly.LATENCIES["LDS"]
    # Five instructions come between the load and the sum of the next pass.
    cycles, waits = steady_cycles([add, load, *[branch] * 3])
    assert cycles == 6 + latency
    assert waits == {"LDS": latency - 2 - 18}
    assert steady_cycles([add, load, *[branch] * 9]) == (6 + 2 + 54, {})


def test_loops_within_loops() -> None:
    code = Code(
        listing(
            "MOV R0, R1",
            ".L_outer:",
            "FADD R0, R0, R0",
            "@P0 BRA `(.L_fast)",
            "MOV R9, 0x50",
            "MOV R8, 0x50",
            "MOV R7, 0x50",
            "CALL.REL.NOINC `($__internal_0_$slow)",
            "BRA `(.L_inner)",
            ".L_fast:",
            "MUFU.RCP R2, R0",
            ".L_inner:",
            "FADD R2, R2, R0",
            "@P1 BRA `(.L_inner)",
            "BRA.DIV UR4, `(.L_differ)",
            "UISETP.GE.AND UP0, UPT, UR5, UR9, UPT",
            "BRA.U UP0, `(.L_outer)",
            "EXIT",
            ".L_differ:",
            *["NOP"] * 9,
            "BRA `(.L_outer)",
            "$__internal_0_$slow:",
            ".L_slow:",
            "FMUL R0, R0, R0",
            "@P2 BRA `(.L_slow)",
            "RET.REL.NODEC R4 `(walk)",
            ".L_padding:",
            "BRA `(.L_padding)",
        )
    )
    outer, inner, slow = code.loops()
    assert [loop.inside for loop in (outer, inner, slow)] == [0, 1, 0]
    # Two and the fast way, the two of the inner loop, three at the end; none of a slow path.
    assert (outer.instructions, outer.own_instructions, outer.cycles) == (8, 6, 16.0)
    assert (outer.block_instructions, outer.block_cycles) == (4, 8.0)
    assert (inner.instructions, inner.first, inner.last) == (2, 0x90, 0xA0)
    assert slow.instructions == 2


def test_far_jumps_end_a_loop() -> None:
    code = Code(
        listing(
            ".L_top:",
            "FADD R0, R0, R0",
            "@P0 CALL.REL.NOINC `(.L_end)",
            "BRA `(.L_top)",
            ".L_end:",
            "EXIT",
        )
    )
    assert [loop.instructions for loop in code.loops()] == [3]


def test_tables_beside_an_earlier_run() -> None:
    def result(registers: int, text: str) -> dict[str, Any]:
        described = [
            {"program": "layout", "architecture": 90, **kernel, "registers": registers}
            for kernel in kernels(text)
        ]
        versions = {"nvrtc": "13.0", "nvdisasm": "13.0.1"}
        return {"versions": versions, "dimensions": 2, "kernels": described}

    now = result(72, TOY)
    alone = disassembly.tables(now)
    assert "| toy    | sm_90 | 1    | 0010-0030 |" in alone
    assert "→" not in alone
    slower = TOY.replace("0x000fec000383ffff", "0x000ff4000383ffff")  # a stall of 10
    beside = disassembly.tables(now, result(48, slower))
    assert "| 48 → 72 " in beside
    assert "| 45 → 41 " in beside
    assert "| none → 72 " in disassembly.tables(now, {**now, "kernels": []})
    two = result(48, TOY)
    two["kernels"][0]["loops"] *= 2
    assert disassembly.tables(now, two).count("| before: 1 |") == 2


def test_without_a_disassembler(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(disassembly, "WHEEL", "no-such-wheel")
    monkeypatch.setenv("PATH", "")
    assert disassembly.main([]) == 1
    assert "pip install no-such-wheel" in capsys.readouterr().err


@needs_nvrtc
@needs_nvdisasm
def test_an_unknown_architecture(capsys: pytest.CaptureFixture[str]) -> None:
    assert disassembly.main(["--architectures", "90", "1"]) == 1
    assert "does not know 1\n" in capsys.readouterr().err


@needs_nvrtc
@needs_nvdisasm
def test_layout_as_compiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "layout.json"
    command = ["--programs", "layout", "--architectures", "90"]
    assert disassembly.main([*command, "--json", str(path)]) == 0
    result = json.loads(path.read_text(encoding="utf-8"))
    of_walk = {kernel["kernel"]: kernel for kernel in result["kernels"]}["walk"]
    assert of_walk["registers"] > 0
    assert of_walk["spills"] == 0
    assert of_walk["local_stores"] == of_walk["local_loads"] == 0
    assert of_walk["shared_bytes"] > 0
    # The fires and their samples.
    assert any(loop["inside"] for loop in of_walk["loops"])
    assert all(loop["cycles"] >= loop["instructions"] > 0 for loop in of_walk["loops"])
    capsys.readouterr()
    assert disassembly.main([*command, "--against", str(path)]) == 0
    said = capsys.readouterr().out
    assert "| walk " in said
    assert "Before → after" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--dimensions", "0"], "--dimensions: 0 is not allowed: at least 1"),
        (["--against", "no such.json"], "--against: no such.json does not exist"),
    ],
)
def test_bad_options(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        disassembly.main(arguments)
    assert said in capsys.readouterr().err
