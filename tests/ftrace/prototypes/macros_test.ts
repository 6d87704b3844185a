import { assertEquals } from "@std/assert";
import { installed } from "../../engine/guest_tools.ts";
import { THOROUGH } from "../../thorough.ts";
import { createMacroProgram, readWords, wordsIn } from "./macro_program.ts";

const GCC = "riscv64-linux-gnu-gcc";
const ready = installed(GCC);
const NEEDS = ready ? "" : ` (needs ${GCC})`;

/** What gcc's preprocessor makes of `text`; undefined if it finds an error there. */
async function wordsByGcc(text: string): Promise<readonly string[] | undefined> {
  const path = await Deno.makeTempFile({ suffix: ".c" });
  try {
    await Deno.writeTextFile(path, text);
    const args = ["-E", "-P", "-w", path];
    const { code, stdout } = await new Deno.Command(GCC, { args, stderr: "null" }).output();
    return code === 0 ? wordsIn(new TextDecoder().decode(stdout)) : undefined;
  } finally {
    await Deno.remove(path);
  }
}

/** Each prints what stands beside it; gcc says so, too. */
const EXPANDED: readonly (readonly [text: string, words: string])[] = [
  ["#define f(x) [x]\nf(1) f (2) f\n(3) f", "[ 1 ] [ 2 ] [ 3 ] f"],
  ["#define f(x, y) y x\nf((1, 2), f(a, b)) f(,) f( , 3)", "b a ( 1 , 2 ) 3"],
  ["#define f() none\nf() f( ) f", "none none f"],
  ["#define cat(a, b) a ## b\ncat(x, 1) cat(, y) cat(z, ) cat(,) cat(-, >)", ""],
  ["#define s(x) #x\ns(a  +  b) s(\"q\\n\" 'c') s() s( (1, 2) )", ""],
  ["#define s(x) #x\n#define t(x) s(x)\n#define v 12\ns(v) t(v)", '"v" "12"'],
  ["#define f(...) <__VA_ARGS__>\nf() f(1) f(1, 2)", "< > < 1 > < 1 , 2 >"],
  ["#define f(x, ...) x , ## __VA_ARGS__ ;\nf(1) f(1, 2, 3)", "1 ; 1 , 2 , 3 ;"],
  ["#define f(x, r...) x , ## r\nf(1, f(2, 3)) f(f(1, 2))", "1 , f ( 2 , 3 ) 1 , 2"],
  ["#define f(rest...) { rest }\nf(a, b)", "{ a , b }"],
  ["#define f(x, ...) x __VA_OPT__(: x ## x __VA_ARGS__) ;\nf(1) f(1, 2)", "1 ; 1 : 11 2 ;"],
  ["#define x x + 1\n#define y z\n#define z y y\nx y", "x + 1 y y"],
  ["#define f(a) a*g\n#define g(a) f(a)\nf(2)(9)", "2 * 9 * g"],
  ["#define f(x) x f\nf(f(1))(2)", ""],
  ["#define open f(\n#define f(x) <x>\nopen 1) open f(2))", ""],
  [
    "#define NIL(xxx) xxx\n#define G_0(arg) NIL(G_1)(arg)\n#define G_1(arg) NIL(arg)\nG_0(42)",
    "42",
  ],
  ["#define EMPTY\n#define LP (\n#define f(x) [x]\nf EMPTY (1) f LP 2) EMPTY f", ""],
  ['#define str(s) # s\n#define e(...) #__VA_ARGS__\nstr(\\n) e(a,\n  b /* c */ , "d")', ""],
  ["#define a # b\n#define c a ## a\na c", ""],
  [
    "#define CALL(r, n, a) extern r (n) a\nCALL(int,\n  png_f, // why\n  (int a,\n   int b));",
    "extern int ( png_f ) ( int a , int b ) ;",
  ],
  ["#define f(x) x\nf(1\n#if 0\n2\n#else\n3\n#endif\n)", "1 3"],
  ["#define x 1\n#undef x\n#define x 2\nx\n#undef x\nx", "2 x"],
  ["#if defined x || __INT_MAX__ == 0x7fffffff && !(3 > 4 ? 1 : 0)\nyes\n#endif", "yes"],
  [
    "#define two 2\n#define three (two + 1)\n#if three * two == 6 && '\\x41' == 65\nyes\n#endif",
    "yes",
  ],
  ["#define ask defined(is) && defined is\n#define is 1\n#if ask\nyes\n#endif", "yes"],
  ["__SIZE_TYPE__ __INT64_TYPE__ __UINT_FAST16_TYPE__ __UINT8_TYPE__ __INTMAX_MAX__", ""],
  ["__INT8_TYPE__ __UINT16_MAX__ __INT_LEAST32_MAX__ __UINTPTR_TYPE__ __UINT_LEAST64_MAX__", ""],
];
for (const [text, words] of EXPANDED.filter(([, words]) => words !== "")) {
  Deno.test(`readSource() makes ${words} of ${text}`, () => {
    assertEquals(readWords(text).join(" "), words);
  });
}

Deno.test({
  name: `readSource() replaces macros as gcc's preprocessor does${NEEDS}`,
  ignore: !ready,
  async fn() {
    for (const [text] of EXPANDED) {
      assertEquals(readWords(text).join(" "), (await wordsByGcc(text))?.join(" "), text);
    }
    // Those that gcc refuses have to end all the same.
    let alike = 0;
    for (let seed = 1; seed <= (THOROUGH ? 2000 : 60); seed++) {
      const text = createMacroProgram(seed);
      const words = await wordsByGcc(text);
      const ours = readWords(text).join(" ");
      if (words) assertEquals(ours, words.join(" "), text);
      if (words) alike++;
    }
    assertEquals(alike > 10, true, `${alike}`);
  },
});

Deno.test("readSource() knows of gcc's own macros what gcc says of them", {
  ignore: !ready,
}, async () => {
  const text = new TextDecoder().decode(
    (await new Deno.Command(GCC, { args: ["-E", "-dM", "-x", "c", "/dev/null"] }).output()).stdout,
  );
  let compared = 0;
  for (const [, name, value] of text.matchAll(/^#define (\w+) ?(.*)$/gm)) {
    const ours = readWords(name!).join(" ");
    if (ours === name) continue;
    assertEquals(ours, readWords(value!).join(" "), name);
    compared++;
  }
  assertEquals(compared > 100, true, `${compared}`);
});

Deno.test("readSource() leaves a call as it is that has no end, or too many arguments", () => {
  const macros = "#define two(x, y) [x y]\n#define one(x) <x>\n";
  assertEquals(
    readWords(`${macros}two(1) two(1, 2, 3) one(4)`).join(" "),
    "two ( 1 ) two ( 1 , 2 , 3 ) < 4 >",
  );
  assertEquals(
    readWords(`${macros}two(1, one(2); int f(int);`).join(" "),
    "two ( 1 , < 2 > ; int f ( int ) ;",
  );
});

Deno.test("readSource() ends whatever macros do", () => {
  // Each of these takes minutes, or all memory, where words are counted nowhere.
  const many = (count: number, line: (n: number) => string) =>
    Array.from({ length: count }, (_, n) => line(n)).join("\n");
  const texts = [
    `${many(60, (n) => `#define a${n}(x) a${n + 1}(x) a${n + 1}(x)`)}\na0(1)`,
    `${many(60, (n) => `#define a${n}(x) a${n + 1}(x x)`)}\na0(1)`,
    `#define f(x) ${"x ".repeat(30_000)}\nf(f(f(1 2 3)))`,
    `#define f(x) x\n${"f(".repeat(50_000)}`,
    `#define f(x) x\n${"f(".repeat(5000)}1${")".repeat(5000)}`,
    `#define f(x) f x\n${"f(1)".repeat(20_000)}`,
    `#define f(x) x f\nf${"(1)".repeat(20_000)}`,
    `${many(20_000, (n) => `#define b${n} b${n + 1}`)}\nb0 b0 b0`,
  ];
  for (const text of texts) assertEquals(readWords(text).length > 0, true);
});
