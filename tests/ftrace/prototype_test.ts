import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { parsePrototypes, type Prototype } from "../../lib/ftrace/prototype.ts";
import { valueText } from "../../lib/ftrace/prototype_text.ts";
import { traced } from "./guest.ts";

/** A prototype in short: `name returns(kind of each parameter)`. */
function short({ name, returns, parameters, variadic }: Prototype): string {
  const kinds = parameters.map(({ name, type }) => `${name}:${kindText(type)}`);
  return `${name} ${kindText(returns)}(${[...kinds, ...variadic ? ["..."] : []].join(" ")})`;
}

function kindText(type: Prototype["returns"]): string {
  if (type.kind === "integer") return `${type.signed ? "s" : "u"}${type.bytes}`;
  return type.kind === "float" ? `f${type.bytes}` : type.kind;
}

const READ: readonly (readonly [text: string, read: string])[] = [
  ["int f(void)", "f s4()"],
  ["void f()", "f void()"],
  ["unsigned f(long, unsigned long long x, short)", "f u4(:s8 x:u8 :s2)"],
  ["char f(signed char a, unsigned char b, long unsigned int c)", "f u1(a:s1 b:u1 c:u8)"],
  ["size_t f(ssize_t n, uint16_t h, int8_t b, pid_t p)", "f u8(n:s8 h:u2 b:s1 p:s4)"],
  ["bool f(_Bool b, float x, double y)", "f bool(b:bool x:f4 y:f8)"],
  [
    "const char *f(const char *restrict s, char *const v[], void *p)",
    "f string(s:string v:pointer p:pointer)",
  ],
  ["char **f(char argv[], int counts[4])", "f pointer(argv:string counts:pointer)"],
  ["struct s *f(union u *u, const struct s *)", "f pointer(u:pointer :pointer)"],
  ["int f(int (*compare)(const void *, int (*)(void)), int n)", "f s4(compare:function n:s4)"],
  ["int printf(const char *format, ...)", "printf s4(format:string ...)"],
  ["enum e { A, B }; enum e f(enum e x, enum unknown y)", "f enum(x:enum y:s4)"],
  ["typedef unsigned long u; typedef u v; v f(u *p)", "f u8(p:pointer)"],
  ["typedef struct { int a; struct { int b; } c; } t; extern int f(t *t)", "f s4(t:pointer)"],
  [
    "#include <x.h>\n/* int g(void); */ static inline int f(int a /* b */); // int h(void);",
    "f s4(a:s4)",
  ],
  ["struct s; struct s { int a; }; int f(struct s *)", "f s4(:pointer)"],
];
for (const [text, read] of READ) {
  Deno.test(`parsePrototypes() reads ${text}`, () => {
    assertEquals(parsePrototypes(text).map(short), [read]);
  });
}

Deno.test("parsePrototypes() skips structs of any size and depth, and what is between lines", () => {
  // Each of these takes minutes where a part of the text is read again for each of its lines.
  const count = 200_000;
  const fields = Array.from({ length: count }, (_, k) => `int f${k};`).join(" ");
  const nested = `${"struct { ".repeat(count)} int a; ${"} m; ".repeat(count)}`;
  const texts = [
    `struct s { ${fields} }; int f(struct s *)`,
    `struct s { ${nested} }; int f(struct s *)`,
    `struct s { enum { A, B } e; }; int f(struct s *)`,
    `${"\n".repeat(count)}int f(void *)`,
    `${"/**/ ".repeat(count)}int f(void *)`,
  ];
  for (const text of texts) assertEquals(parsePrototypes(text).map(short), ["f s4(:pointer)"]);
  assertThrows(
    () => parsePrototypes("/* ".repeat(count)),
    SyntaxError,
    "Cannot read prototypes: a comment has no end",
  );
});

const REFUSED: readonly (readonly [text: string, why: RegExp])[] = [
  ["int", /"int": the function's name is missing/],
  ["int f", /"\(" is missing/],
  ["int f(", /nothing is no type/],
  ["int f(int", /"\)" is missing/],
  ["int f(int a) b", /left over/],
  ["word f(int)", /word is no type that is known; declare it with typedef/],
  ["int f(void, int)", /void is no type of a parameter/],
  ["int f(struct s x)", /by value/],
  ["typedef struct { int a; } t; t f(void)", /returns a struct by value/],
  ["enum { A = x }", /A needs a number/],
  ["enum e {", /an enum holds names/],
  ["typedef int", /the typedef has no name/],
  ["int f(int (*x)(", /"\)" is missing/],
  ["int f(int a[", /"\]" is missing/],
];
for (const [text, why] of REFUSED) {
  Deno.test(`parsePrototypes() refuses ${text}`, () => {
    const { message } = assertThrows(() => parsePrototypes(text), SyntaxError);
    assertMatch(message, why);
  });
}

Deno.test("parsePrototypes() refuses or reads any text when characters are dropped, and does not hang", () => {
  const text = "enum e { A, B = -3 }; typedef struct s t; enum e f(char *s[], int (*g)(t *), ...);";
  for (let from = 0; from < text.length; from++) {
    for (let count = 1; count < 8; count++) {
      try {
        parsePrototypes(text.slice(0, from) + text.slice(from + count));
      } catch (error) {
        assertEquals((error as Error).name, "SyntaxError", String(error));
      }
    }
  }
});

Deno.test("valueText() reads a register as its type has it", async () => {
  const { ftrace } = await traced("sample_p84");
  const [probe] = parsePrototypes(
    "enum e { A, B = -3 }; void f(int, unsigned, signed char, char, bool, void *, enum e, enum e, " +
      "enum e, double, float, int (*)(void), int (*)(void), char *)",
  );
  const values = [
    0xffffffff_fffffffen,
    0xffffffff_fffffffen,
    0xffn,
    0x41n,
    0x100n,
    0n,
    0n,
    0xfffffffdn,
    9n,
    0x3ff8000000000000n,
    0xffffffff_40200000n,
    ftrace.lookup("bill")!,
    0x20n,
    0x30n,
  ];
  assertEquals(
    probe!.parameters.map(({ type }, n) => valueText(type, values[n]!, ftrace)),
    [
      "-2",
      "4294967294",
      "-1",
      "'A'",
      "false",
      "NULL",
      "A",
      "B",
      "9",
      "1.5",
      "2.5",
      "bill",
      "0x20",
      "0x30",
    ],
  );
});
