import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { assemble } from "../../lib/isa/asm.ts";
import { gasBytes } from "./gas.ts";
import { present } from "./objdump.ts";

const ready = present("riscv64-linux-gnu-as");
const ORIGIN = 0x10000n;

/** Everything that trampolines and test programs are written with. */
const SOURCE = `
.option norvc
start:
  nop
  li a0, 0
  li a1, -1
  li a2, 2047
  li a3, 0x12345678
  li a4, -2048
  mv a5, a6
  not t0, t1
  neg t2, t3
  negw t4, t5
  sext.w s0, s1
  seqz a0, a1
  snez a0, a1
  sltz a0, a1
  sgtz a0, a1
1: beqz a0, 1b
  bnez a0, 1f
  blez a0, start
  bgez a0, start
  bltz a0, start
  bgtz a0, start
  bgt a0, a1, start
  ble a0, a1, start
  bgtu a0, a1, start
  bleu a0, a1, start
1: j start
  jal start
  jr a0
  jalr a0
  ret
  call far
  tail far
  la a0, far
  csrr a0, mstatus
  csrw mepc, a0
  csrs mie, a0
  csrc mip, a0
  csrwi mscratch, 3
  rdcycle a0
  rdtime a1
  rdinstret a2
  frcsr a0
  fscsr a0
  fmv.d fa0, fa1
  fabs.d fa0, fa1
  fneg.s fa0, fa1
  fence
  fence rw, w
  ld a0, 8(sp)
  sd a0, -8(sp)
2: auipc t0, %pcrel_hi(far)
  addi t0, t0, %pcrel_lo(2b)
  lui a0, %hi(0x12345678)
  addi a0, a0, %lo(0x12345678)
  amoadd.d.aqrl a0, a1, (a2)
  fadd.d fa0, fa1, fa2, rtz
  .word 0x12345678
  .half 1, 2
  .byte 1, 2, 3, 4
  .asciz "text123"
  .balign 8
  .dword 0x123456789abcdef0
  .zero 8
.option rvc
  c.addi sp, -16
  c.li a0, 1
  c.mv a0, a1
  c.nop
  c.ebreak
  c.nop
far:
  ecall
  mret
  wfi
`;

Deno.test({
  name: "assemble() gives the bytes that the GNU assembler gives (needs binutils)",
  ignore: !ready,
  fn() {
    const ours = assemble(SOURCE, { origin: ORIGIN });
    assertEquals(ours.bytes, gasBytes(SOURCE, ORIGIN));
    assertEquals(ours.symbols.get("start"), ORIGIN);
  },
});

Deno.test("assemble() names the line and what is wrong in it", () => {
  for (
    const [source, says] of [
      ["nop\nfrobnicate a0", /line 2: .*frobnicate/],
      ["addi a0, a1, 5000", /line 1: .*5000/],
      ["j nowhere", /line 1: .*nowhere/],
      ["addi a0", /line 1: /],
    ] as const
  ) {
    const { message } = assertThrows(() => assemble(source), SyntaxError);
    assertMatch(message, /^Cannot assemble /);
    assertMatch(message, says);
  }
});
