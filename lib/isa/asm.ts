/**
 * The assembler.
 *
 * @module
 */
import { RV64 } from "./decode.ts";

/** What {@linkcode assemble} gives. */
export interface Assembly {
  readonly origin: bigint;
  readonly bytes: Uint8Array;
  readonly symbols: ReadonlyMap<string, bigint>;
  readonly instructions: readonly { readonly address: bigint; readonly line: number }[];
}

/** Options of {@linkcode assemble}. */
export interface AssembleOptions {
  readonly origin?: bigint;
  readonly symbols?: Readonly<Record<string, bigint>>;
}

/** Assembles a program. @throws {SyntaxError} Naming the line. */
export function assemble(source: string, options: AssembleOptions = {}): Assembly {
  const origin = options.origin ?? 0n;
  const symbols = new Map<string, bigint>(Object.entries(options.symbols ?? {}));
  const numbered: { label: string; address: bigint }[] = [];
  const statements: { address: bigint; text: string; line: number }[] = [];
  let address = origin;
  source.split("\n").forEach((raw, k) => {
    let text = raw.replace(/#.*/, "").trim();
    for (let m = /^([\w.$]+):\s*/.exec(text); m; m = /^([\w.$]+):\s*/.exec(text)) {
      if (/^\d+$/.test(m[1]!)) numbered.push({ label: m[1]!, address });
      else symbols.set(m[1]!, address);
      text = text.slice(m[0].length);
    }
    if (!text) return;
    statements.push({ address, text, line: k + 1 });
    address += 4n;
  });
  const resolve = (name: string, at: bigint): bigint => {
    const local = /^(\d+)([bf])$/.exec(name);
    if (local) {
      const all = numbered.filter(({ label }) => label === local[1]);
      const found = local[2] === "b"
        ? all.filter((each) => each.address <= at).at(-1)
        : all.find((each) => each.address > at);
      if (found) return found.address;
    }
    const value = symbols.get(name) ??
      (/^-?(0x)?[0-9a-f]+$/i.test(name) ? BigInt(name) : undefined);
    if (value === undefined) throw new SyntaxError(`unknown ${name}`);
    return value;
  };
  const high = new Map<bigint, bigint>();
  const bytes = new Uint8Array(statements.length * 4);
  const view = new DataView(bytes.buffer);
  for (const { address: at, text, line } of statements) {
    let t = text
      .replace(/^mv (\w+), (\w+)$/, "addi $1, $2, 0")
      .replace(/^nop$/, "addi zero, zero, 0")
      .replace(/^ret$/, "jalr zero, 0(ra)")
      .replace(/^jr (\w+)$/, "jalr zero, 0($1)")
      .replace(/^bnez (\w+), (\w+)$/, "bne $1, zero, $2")
      .replace(/^beqz (\w+), (\w+)$/, "beq $1, zero, $2")
      .replace(/^j (\w+)$/, "jal zero, $1")
      .replace(/^li (\w+), (-?\w+)$/, "addi $1, zero, $2");
    t = t.replace(/%pcrel_hi\((\w+)\)/, (_, name) => {
      const offset = resolve(name, at) - at;
      high.set(at, offset);
      return String((offset + 0x800n) >> 12n << 12n);
    }).replace(/%pcrel_lo\((\w+)\)/, (_, name) => {
      const offset = high.get(resolve(name, at))!;
      return String(BigInt.asIntN(12, offset));
    });
    t = t.replace(
      /^(b\w+ \w+, \w+), (\w+)$/,
      (_, head, name) => `${head}, ${resolve(name, at) - at}`,
    )
      .replace(/^(jal \w+), (\w+)$/, (_, head, name) => `${head}, ${resolve(name, at) - at}`)
      .replace(/^jal (\w+)$/, (_, name) => `jal ra, ${resolve(name, at) - at}`);
    const word = t.startsWith(".word ") ? Number(t.slice(6)) : RV64.assemble(t);
    if (Number.isNaN(word)) throw new SyntaxError(`line ${line}: ${text}`);
    view.setUint32(Number(at - origin), word, true);
  }
  return {
    origin,
    bytes,
    symbols,
    instructions: statements.map(({ address, line }) => ({ address, line })),
  };
}
