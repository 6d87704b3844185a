import { assertEquals } from "@std/assert";
import { binary128Text, halfNumber } from "../../../lib/ftrace/prototypes/float_text.ts";
import { parsePrototypes } from "../../../lib/ftrace/prototypes/header.ts";
import { bytesText } from "../../../lib/ftrace/prototypes/value_text.ts";

/** Nothing behind any pointer. */
const NOWHERE = { guest: { readString: () => undefined }, symbol: () => undefined };

/** How a value of a type prints, whose bytes are these and zeros. */
function shown(type: string, ...bytes: number[]): string {
  const [probe] = parsePrototypes(`${type.includes("{") ? `${type};` : ""}
    int f(${type.replace(/ \{.*/s, "")} x);`);
  const data = new DataView(new ArrayBuffer(4096));
  bytes.forEach((byte, n) => data.setUint8(n, byte));
  return bytesText(probe!.parameters[0]!.type, data, NOWHERE);
}

Deno.test("bytesText() names the flags of an enum of flags, and no others", () => {
  const flags = "enum e { NONE, READ = 1, WRITE = 2, BOTH = 3, EXEC = 4 }";
  assertEquals(
    [0, 1, 3, 5, 7, 13, 8].map((value) => shown(flags, value)),
    ["NONE", "READ", "BOTH", "READ|EXEC", "READ|WRITE|EXEC", "READ|EXEC|0x8", "8"],
  );
  const kinds = "enum e { BLANK, COMMENT, SETTING, WRONG }";
  assertEquals([2, 3, 5].map((value) => shown(kinds, value)), ["SETTING", "WRONG", "5"]);
  const signed = "enum e { OLD = -1, NEW = 1 }";
  assertEquals(shown(signed, 255, 255, 255, 255), "OLD");
});

Deno.test("bytesText() shows structures whole, up to so many elements and scalars", () => {
  assertEquals(
    shown(
      "struct s { char name[6]; unsigned char id[2]; struct { short a; union { short b; }; } in; void *p; }",
      ...[0x61, 0x22, 0, 0x62, 0, 0, 0x41, 2, 3, 0, 4, 0],
    ),
    '{name="a\\"", id=[65, 2], in={a=3, {b=4}}, p=NULL}',
  );
  const zeros = Array(16).fill("0").join(", ");
  assertEquals(shown("struct s { int a[100]; }"), `{a=[${zeros}, ...]}`);
  const much = shown("struct s { struct { struct { int a[9][9]; } b[9]; } c[9]; }");
  assertEquals(much.length < 500 && much.includes("..."), true);
  assertEquals(
    shown("struct s { int a : 3, : 5; unsigned b : 6; char rest[]; }", 7, 33),
    "{a=-1, b=33}",
  );
});

Deno.test("binary128Text() gives the nearest double, or an exponent that none has", () => {
  const bits = (sign: bigint, exponent: number, fraction: bigint) =>
    sign << 127n | BigInt(exponent) << 112n | fraction;
  assertEquals(binary128Text(bits(0n, 16383, 0n)), "1");
  assertEquals(binary128Text(bits(1n, 16384, 1n << 111n)), "-3");
  // 1/3 of gcc.
  assertEquals(binary128Text(0x3ffd5555555555555555555555555555n), "0.3333333333333333");
  assertEquals(binary128Text(0n), "0");
  assertEquals(binary128Text(bits(1n, 0, 0n)), "-0");
  assertEquals(binary128Text(bits(0n, 32767, 0n)), "Infinity");
  assertEquals(binary128Text(bits(0n, 32767, 1n)), "NaN");
  // LDBL_MAX, LDBL_MIN.
  assertEquals(binary128Text(bits(0n, 32766, (1n << 112n) - 1n)).slice(0, 12), "1.1897314953");
  assertEquals(binary128Text(bits(0n, 32766, (1n << 112n) - 1n)).slice(-6), "e+4932");
  assertEquals(binary128Text(bits(0n, 1, 0n)), "3.3621031431120935e-4932");
});

Deno.test("halfNumber() reads 16 bits", () => {
  assertEquals([0x3c00, 0xc000, 1, 0x7c00].map(halfNumber), [1, -2, 2 ** -24, Infinity]);
});
