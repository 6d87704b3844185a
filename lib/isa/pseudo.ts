/**
 * Pseudo-instructions: what assembly has names for though the ISA has not.
 *
 * @module
 */

/** By mnemonic and number of operands: the instructions, `;` between them, `$1` the first operand. */
const EXPANSIONS: Readonly<Record<string, string>> = {
  "nop/0": "addi zero,zero,0",
  "c.nop/0": "c.addi zero,0",
  "c.nop/1": "c.addi zero,$1",
  "unimp/0": "csrrw zero,cycle,zero",
  "ret/0": "jalr zero,0(ra)",
  "pause/0": "fence w,0",
  "mv/2": "addi $1,$2,0",
  "not/2": "xori $1,$2,-1",
  "neg/2": "sub $1,zero,$2",
  "negw/2": "subw $1,zero,$2",
  "sext.w/2": "addiw $1,$2,0",
  "zext.b/2": "andi $1,$2,255",
  "zext.w/2": "add.uw $1,$2,zero",
  "seqz/2": "sltiu $1,$2,1",
  "snez/2": "sltu $1,zero,$2",
  "sltz/2": "slt $1,$2,zero",
  "sgtz/2": "slt $1,zero,$2",
  "sgt/3": "slt $1,$3,$2",
  "sgtu/3": "sltu $1,$3,$2",
  "beqz/2": "beq $1,zero,$2",
  "bnez/2": "bne $1,zero,$2",
  "blez/2": "bge zero,$1,$2",
  "bgez/2": "bge $1,zero,$2",
  "bltz/2": "blt $1,zero,$2",
  "bgtz/2": "blt zero,$1,$2",
  "bgt/3": "blt $2,$1,$3",
  "ble/3": "bge $2,$1,$3",
  "bgtu/3": "bltu $2,$1,$3",
  "bleu/3": "bgeu $2,$1,$3",
  "sfence.vma/0": "sfence.vma zero,zero",
  "sfence.vma/1": "sfence.vma $1,zero",
  "j/1": "jal zero,$1",
  "jal/1": "jal ra,$1",
  "jalr/3": "jalr $1,$3($2)",
  "la/2": "auipc $1,%pcrel_hi($2);addi $1,$1,%pair_lo($2)",
  "lla/2": "auipc $1,%pcrel_hi($2);addi $1,$1,%pair_lo($2)",
  "call/1": "auipc ra,%pcrel_hi($1);jalr ra,%pair_lo($1)(ra)",
  "call/2": "auipc $1,%pcrel_hi($2);jalr $1,%pair_lo($2)($1)",
  "tail/1": "auipc t1,%pcrel_hi($1);jalr zero,%pair_lo($1)(t1)",
  "jump/2": "auipc $2,%pcrel_hi($1);jalr zero,%pair_lo($1)($2)",
  "csrr/2": "csrrs $1,$2,zero",
  "csrw/2": "csrrw zero,$1,$2",
  "csrs/2": "csrrs zero,$1,$2",
  "csrc/2": "csrrc zero,$1,$2",
  "csrwi/2": "csrrwi zero,$1,$2",
  "csrsi/2": "csrrsi zero,$1,$2",
  "csrci/2": "csrrci zero,$1,$2",
  "rdinstret/1": "csrrs $1,instret,zero",
  "rdcycle/1": "csrrs $1,cycle,zero",
  "rdtime/1": "csrrs $1,time,zero",
  "frcsr/1": "csrrs $1,fcsr,zero",
  "fscsr/1": "csrrw zero,fcsr,$1",
  "fscsr/2": "csrrw $1,fcsr,$2",
  "frrm/1": "csrrs $1,frm,zero",
  "fsrm/1": "csrrw zero,frm,$1",
  "fsrm/2": "csrrw $1,frm,$2",
  "fsrmi/1": "csrrwi zero,frm,$1",
  "fsrmi/2": "csrrwi $1,frm,$2",
  "frflags/1": "csrrs $1,fflags,zero",
  "fsflags/1": "csrrw zero,fflags,$1",
  "fsflags/2": "csrrw $1,fflags,$2",
  "fsflagsi/1": "csrrwi zero,fflags,$1",
  "fsflagsi/2": "csrrwi $1,fflags,$2",
  ...float("s"),
  ...float("d"),
};

function float(format: "s" | "d"): Record<string, string> {
  return {
    [`fmv.${format}/2`]: `fsgnj.${format} $1,$2,$2`,
    [`fneg.${format}/2`]: `fsgnjn.${format} $1,$2,$2`,
    [`fabs.${format}/2`]: `fsgnjx.${format} $1,$2,$2`,
    [`fgt.${format}/3`]: `flt.${format} $1,$3,$2`,
    [`fge.${format}/3`]: `fle.${format} $1,$3,$2`,
  };
}

/** An operand that is a register, and no address: `jalr` and `jr` have an offset of 0 then. */
const BARE_REGISTER = /^\w+$/;

/**
 * The instructions that a pseudo-instruction stands for; undefined if it is none. `valueOf` gives
 * the value of a constant expression, which `li` needs.
 *
 * In them, `%pair_lo(SYMBOL)` is the rest of the distance that `%pcrel_hi(SYMBOL)` in the
 * instruction before left.
 */
export function expandPseudo(
  name: string,
  operands: readonly string[],
  valueOf: (expression: string) => bigint,
): readonly string[] | undefined {
  const [first = "", second = ""] = operands;
  if (name === "li" && operands.length === 2) return loadImmediate(first, valueOf(second));
  if (name === "jr" && operands.length === 1) {
    return [`jalr zero,${BARE_REGISTER.test(first) ? `0(${first})` : first}`];
  }
  if (name === "jr" && operands.length === 2) return [`jalr zero,${second}(${first})`];
  if (name === "jalr" && operands.length === 1) {
    return [`jalr ra,${BARE_REGISTER.test(first) ? `0(${first})` : first}`];
  }
  if (name === "jalr" && operands.length === 2 && BARE_REGISTER.test(second)) {
    return [`jalr ${first},0(${second})`];
  }
  return EXPANSIONS[`${name}/${operands.length}`]
    ?.replaceAll(/\$(\d)/g, (_, number) => operands[Number(number) - 1]!)
    .split(";");
}

/** The sequence that the GNU assembler loads a constant with. */
function loadImmediate(register: string, value: bigint): readonly string[] {
  const wanted = BigInt.asIntN(64, value);
  if (wanted === BigInt.asIntN(12, wanted)) return [`addi ${register},zero,${wanted}`];
  return buildConstant(register, wanted);
}

function buildConstant(register: string, value: bigint): string[] {
  const lower = BigInt.asIntN(12, value);
  const upper = BigInt.asIntN(64, value - lower);
  if (value === BigInt.asIntN(32, value)) {
    const lines = upper === 0n ? [] : [`lui ${register},${BigInt.asUintN(20, upper >> 12n)}`];
    const base = upper === 0n ? "zero" : register;
    if (lower !== 0n || upper === 0n) lines.push(`addiw ${register},${base},${lower}`);
    return lines;
  }
  let shift = 12n;
  while (((upper >> shift) & 1n) === 0n) shift++;
  const lines = buildConstant(register, upper >> shift);
  lines.push(`slli ${register},${register},${shift}`);
  if (lower !== 0n) lines.push(`addi ${register},${register},${lower}`);
  return lines;
}
