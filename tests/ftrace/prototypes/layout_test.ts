import { assertEquals } from "@std/assert";
import type { CStruct, CType } from "../../../lib/ftrace/prototypes/ctype.ts";
import { parsePrototypes } from "../../../lib/ftrace/prototypes/header.ts";
import { installed, outputOf } from "../../engine/guest_tools.ts";

const ready = installed("riscv64-linux-gnu-gcc");
const NEEDS = ready ? "" : " (needs riscv64-linux-gnu-gcc)";

/** Numbers from a seed. */
function randomOf(seed: number): (below: number) => number {
  let state = seed * 2654435761 >>> 0 || 1;
  return (below) => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    return (state >>> 8) % below;
  };
}

const SCALARS = [
  ..."char|short|int|long|float|double|long double|__int128|_Bool|void *|enum color".split("|"),
  ..."_Complex float|odd|small|struct before".split("|"),
];
const START = `enum color { RED, GREEN };
typedef int odd __attribute__((aligned(16)));
typedef int small __attribute__((aligned(2)));
struct before { char c; short s[3]; };
`;

/** A structure or union of random members. */
function structText(name: string, below: (n: number) => number): string {
  const members = Array.from({ length: 1 + below(6) }, (_, n) => {
    const attribute = [" __attribute__((packed))", " __attribute__((aligned(8)))", "", "", "", ""][
      below(6)
    ];
    if (below(3) > 0) {
      const type = SCALARS[below(SCALARS.length)]!;
      const array = type !== "odd" && below(4) === 0 ? `[${1 + below(4)}]` : "";
      return `${type} m${n}${array}${attribute};`;
    }
    const type = ["char", "short", "int", "long", "unsigned", "_Bool", "enum color"][below(7)]!;
    const most = { char: 8, short: 16, int: 32, long: 64, unsigned: 32 }[type] ?? 1;
    const width = below(5) === 0 ? 0 : 1 + below(most);
    return width === 0 || below(6) === 0 ? `${type} : ${width};` : `${type} m${n} : ${width};`;
  });
  const anonymous = below(5) === 0 ? `union { int x; char y[5]; };` : "";
  const attributes = ["", "", "", " __attribute__((packed))", " __attribute__((aligned(32)))"];
  const kind = below(5) === 0 ? "union" : "struct";
  const last = kind === "struct" && below(6) === 0 ? "char flexible[];" : "";
  return `${kind} ${name} { int first; ${members.join(" ")} ${anonymous} ${last} }${
    attributes[below(5)]
  };`;
}

function pointee(type: CType): CStruct {
  return (type as Extract<CType, { kind: "pointer" }>).to as CStruct;
}

/** What the compiler is to confirm of structures that were laid out. */
function assertionsOf(text: string, names: readonly string[]): string {
  const [uses] = parsePrototypes(
    `${text}void uses(${names.map((name) => `${name} *`).join(", ")});`,
  );
  return uses!.parameters.map(({ type }, n) => {
    const { layout, problem } = pointee(type);
    assertEquals(problem === "" || layout !== undefined, true, problem);
    const name = names[n];
    const offsets = layout!.members.flatMap((member) =>
      member.name === "" || member.bits
        ? []
        : [`_Static_assert(__builtin_offsetof(${name}, ${member.name}) == ${member.offset}, "");`]
    );
    return [
      `_Static_assert(sizeof(${name}) == ${layout!.size}, "");`,
      `_Static_assert(_Alignof(${name}) == ${layout!.align}, "");`,
      ...offsets,
    ].join("\n");
  }).join("\n");
}

Deno.test({
  name: `a structure has the size, alignment and offsets that gcc gives it${NEEDS}`,
  ignore: !ready,
  async fn() {
    const below = randomOf(7);
    const texts = Array.from({ length: 400 }, (_, n) => structText(`s${n}`, below));
    const names = texts.map((text) => text.split(" {")[0]!);
    const packed = texts.slice(0, 100).map((text) => text.replace(/ s(\d+) /, " t$1 "));
    const eight = texts.slice(100, 200).map((text) => text.replace(/ s(\d+) /, " e$1 "));
    const header = [
      START,
      ...texts,
      "#pragma pack(push, 2)",
      ...packed,
      "#pragma pack(8)",
      ...eight,
      "#pragma pack(pop)",
      "#pragma pack(4)\nstruct after { char c; long l; };\n#pragma pack()\n",
    ].join("\n");
    const all = [
      ...names,
      ...[...packed, ...eight].map((text) => text.split(" {")[0]!),
      "struct after",
    ];
    const source = `${header}\n${assertionsOf(header, all)}\n`;
    const file = await Deno.makeTempFile({ suffix: ".c" });
    try {
      await Deno.writeTextFile(file, source);
      await outputOf("riscv64-linux-gnu-gcc", ["-fsyntax-only", "-w", file]);
    } finally {
      await Deno.remove(file);
    }
  },
});
