import { assertThrows } from "@std/assert";
import { assertSnapshot } from "@std/testing/snapshot";
import type { Piece, Plan } from "../../lib/engine/plan/plan.ts";
import { record } from "../../lib/engine/plan/recorder.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { LONG, type Sem } from "../../lib/isa/sem.ts";
import { codeText } from "../../lib/wasm/wat.ts";

const TYPES: Readonly<Record<number, string>> = {
  0x7f: "i32",
  0x7e: "i64",
  0x7d: "f32",
  0x7c: "f64",
};

/** A plan as text: WASM with its holes in angle brackets. */
function planText({ body, flow, outcome }: Plan): string {
  const line = (piece: Piece): string => {
    if (piece.kind === "code") return codeText(piece.bytes, ["guest", "host"]);
    if (piece.kind === "if") return `<if ${TYPES[piece.type]}>`;
    const { kind, ...rest } = piece;
    return `<${[kind, ...Object.values(rest).map((value) => JSON.stringify(value))].join(" ")}>`;
  };
  return [...body.map(line), `-- ${flow}`, ...outcome.map(line)].join("\n");
}

for (
  const name of [
    "addi",
    "addw",
    "div",
    "lw",
    "sd",
    "beq",
    "jalr",
    "amoadd.w",
    "fadd.d",
    "csrrw",
    "ecall",
  ]
) {
  Deno.test(`record() of ${name} gives this plan`, async (t) => {
    const definition = RV64.named(name);
    await assertSnapshot(t, planText(record(definition, definition.pattern.match)));
  });
}

const LATE: Readonly<Record<string, <V>(s: Sem<V>) => void>> = {
  "a load behind a write to a register": (s) => {
    s.setX("rd", s.imm());
    s.setX("rd", s.load(LONG, s.x("rs1"), s.imm()));
  },
  "a store behind a store": (s) => {
    s.store(LONG, s.x("rs1"), s.imm(), s.x("rs2"));
    s.store(LONG, s.x("rs2"), s.imm(), s.x("rs1"));
  },
  "a target from memory behind the link": (s) => {
    s.setX("rd", s.next());
    s.jump(s.load(LONG, s.x("rs1"), s.imm()));
  },
  "a test of operands behind a write": (s) => {
    s.setX("rd", s.imm());
    s.setF("d", "rd", s.float.d.add(s.f("d", "rs1"), s.f("d", "rs2")));
  },
};
for (const [what, meaning] of Object.entries(LATE)) {
  Deno.test(`record() refuses a definition with ${what}`, () => {
    const definition = { ...RV64.named("addi"), meaning };
    assertThrows(
      () => record(definition, definition.pattern.match),
      TypeError,
      "behind a write, which cannot be undone",
    );
  });
}
