import { assertSnapshot } from "@std/testing/snapshot";
import type { Piece, Plan } from "../../lib/engine/plan/plan.ts";
import { record } from "../../lib/engine/plan/recorder.ts";
import { RV64 } from "../../lib/isa/decode.ts";
import { codeText } from "../../lib/wasm/wat.ts";

/** A plan as text: WASM with its holes in angle brackets. */
function planText({ body, flow, outcome }: Plan): string {
  const line = (piece: Piece): string => {
    if (piece.kind === "code") return codeText(piece.bytes, ["guest", "host"]);
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
