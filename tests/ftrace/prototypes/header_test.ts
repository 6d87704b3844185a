import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  parseHeader,
  parsePrototypes,
  type Prototype,
  skippedText,
} from "../../../lib/ftrace/prototypes/header.ts";
import { valueText } from "../../../lib/ftrace/prototypes/value_text.ts";
import { traced } from "../guest.ts";

/** A prototype in short: `name returns(kind of each parameter)`. */
function short({ name, returns, parameters, variadic }: Prototype): string {
  const kinds = parameters.map(({ name, type }) => `${name}:${kindText(type)}`);
  return `${name} ${kindText(returns)}(${[...kinds, ...variadic ? ["..."] : []].join(" ")})`;
}

function kindText(type: Prototype["returns"]): string {
  if (type.kind === "integer") return `${type.signed ? "s" : "u"}${type.bytes}`;
  if (type.kind === "float") return `f${type.bytes}`;
  return type.kind === "complex" ? `c${2 * type.part}` : type.kind;
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
  for (const text of texts) {
    assertEquals(parseHeader(text).prototypes.map(short), ["f s4(:pointer)"]);
  }
  const [open] = parseHeader("/* ".repeat(count)).skipped;
  assertEquals(open?.reason, "a comment has no end");
  for (
    const word of [
      "(",
      "[",
      "{",
      "int f(",
      "struct s {",
      "a ",
      "* ",
      "#if x\n",
      "= 1 +",
      ") ",
      "@;\n",
      "x y(z)\n",
      "#pragma pack(1)\nstruct s;",
      "a,",
      '"\n',
    ]
  ) {
    parseHeader(word.repeat(count / 10));
  }
  const doubling = Array.from({ length: 60 }, (_, n) => `#define a${n} a${n + 1} a${n + 1}\n`);
  parseHeader(`${doubling.join("")} a0; #if a0\n#endif`);
});

/** How people's headers spell what `READ` has plainly. */
const SPELLED: readonly (readonly [text: string, read: readonly string[]])[] = [
  ["LUA_API int (lua_gettop) (lua_State *L);", ["lua_gettop s4(L:pointer)"]],
  [
    "typedef double lua_Number; LUA_API lua_Number (lua_tonumber)(lua_State *L, int i);",
    ["lua_tonumber f8(L:pointer i:s4)"],
  ],
  ["ZEXTERN const char * ZEXPORT zlibVersion OF((void));", ["zlibVersion string()"]],
  ["ZEXTERN int ZEXPORT deflate OF((z_streamp FAR *strm, int flush));", [
    "deflate s4(strm:pointer flush:s4)",
  ]],
  ["PyAPI_FUNC(PyObject *) PyList_New(long size);", ["PyList_New pointer(size:s8)"]],
  ["BZ_EXTERN int BZ_API(BZ2_bzclose) (BZFILE *f);", ["BZ2_bzclose s4(f:pointer)"]],
  ["API(void *) A_MALLOC A_SIZE(2) mem_alloc(P *p, size_t n);", [
    "mem_alloc pointer(p:pointer n:u8)",
  ]],
  ["extern int fclose (FILE *__stream) __nonnull ((1)) __wur;", ["fclose s4(__stream:pointer)"]],
  ["extern int __REDIRECT (scanf, (const char *__f, ...), __isoc99_scanf) __wur;", [
    "__isoc99_scanf s4(__f:string ...)",
  ]],
  ['int f(int) __asm__("" "g") __attribute__((nothrow, nonnull(1)));', ["g s4(:s4)"]],
  ['__BEGIN_DECLS\nextern "C" { int f(void); }\nint g(void);\n__END_DECLS', ["f s4()", "g s4()"]],
  ['#ifdef __cplusplus\nextern "C" {\n#endif\nint f(void);\n#ifdef __cplusplus\n}\n#endif', [
    "f s4()",
  ]],
  [
    "[[nodiscard]] _Noreturn __extension__ static inline int f([[maybe_unused]] int a) { return a; }",
    ["f s4(a:s4)"],
  ],
  ["__declspec(dllexport) int __stdcall f(int a);", ["f s4(a:s4)"]],
  ["int main(argc, argv) char **argv; { return 0; }\nfloat g(x) float x; {}", [
    "main s4(argc:s4 argv:pointer)",
    "g f4(x:f8)",
  ]],
  ["typedef int binary(int, int); binary add, sub; binary *pick(void);", [
    "add s4(:s4 :s4)",
    "sub s4(:s4 :s4)",
    "pick function()",
  ]],
  ["void (*signal(int sig, void (*func)(int)))(int);", ["signal function(sig:s4 func:function)"]],
  ["int f(int g(void), int a[static 3], char s[restrict], int m[][4], int (*row)[4]);", [
    "f s4(g:function a:pointer s:string m:pointer row:pointer)",
  ]],
  ["int a = 1, *b = &a, c[] = { 1, f(2) }, f(int), g(void);", ["f s4(:s4)", "g s4()"]],
  [
    "__int128 f(unsigned __int128 a, long double b, _Float128 c, _Float32x d, _Complex float e, double complex g);",
    ["f s16(a:u16 b:f16 c:f16 d:f8 e:c8 g:c16)"],
  ],
  [
    "typedef int word __attribute__((mode(DI))); word f(unsigned int __attribute__((mode(QI))) b);",
    ["f s8(b:u1)"],
  ],
  ["int v; typeof(v) f(__typeof__(char *) s, typeof(sizeof 0) n);", ["f s4(s:string n:u8)"]],
  ['_Static_assert(sizeof(int) == 4, "int"); int f(__builtin_va_list v);', ["f s4(v:pointer)"]],
  ["struct s { int a : 3, : 0; union { int b; float c; }; int d[]; }; struct s f(struct s);", [
    "f struct(:struct)",
  ]],
  ["struct late; int f(struct late by); struct late { int a; };", ["f s4(by:struct)"]],
  ["typedef union { int *p; char *q; } any __attribute__((__transparent_union__)); int f(any a);", [
    "f s4(a:pointer)",
  ]],
  [
    "#define N 4\n#define TEXT char [N * 2]\n#define EXPORT\nEXPORT int f(struct { char c[N]; } s);",
    ["f s4(s:struct)"],
  ],
  [
    "#if 0\nint no(void);\n#elif defined(__riscv) && __riscv_xlen == 64\nint f(void);\n#else\nint no(void);\n#endif",
    ["f s4()"],
  ],
  ["#ifdef UNKNOWN\nint f(void);\n#else\nint g(void);\n#endif", ["f s4()", "g s4()"]],
  ["int f(int a,\n#ifdef UNKNOWN\nint b\n#else\nlong c\n#endif\n);", ["f s4(a:s4 c:s8)"]],
  ["enum { A = sizeof(long), B = A << 2 | 1, C = B ? -'a' : 0 } f(enum { D } x);", [
    "f enum(x:enum)",
  ]],
  ["unsigned char *f(unsigned char *s, uint8_t *b); typedef unsigned char byte; int g(byte *b);", [
    "f string(s:string b:pointer)",
    "g s4(b:pointer)",
  ]],
  [
    "_Atomic int f(_Atomic(long) a, _Atomic int *b); _BitInt(37) g(unsigned _BitInt(9) c, _Float16);",
    [
      "f s4(a:s8 b:pointer)",
      "g s8(c:u2 :f2)",
    ],
  ],
];
for (const [text, read] of SPELLED) {
  Deno.test(`parseHeader() reads ${text}`, () => {
    const { prototypes, skipped } = parseHeader(text);
    assertEquals(skipped, []);
    assertEquals(prototypes.map(short), read);
  });
}

Deno.test("parseHeader() passes over what it cannot read, and names the file and line", () => {
  const text = `int one(void);
DEFINE_TYPE(thing);
int two(struct nowhere by_value);
/*
 */ int three(undeclared x), four(void);
# 90 "include/other.h" 1
struct bad { int a; LIST(x, y) = 3; };
int five(struct bad *b); int six(struct bad b);
int seven(int a;
int eight(void) { return "}"[0]; } @ ; int nine(void);
`;
  const { prototypes, skipped } = parseHeader(text, "prog.h");
  assertEquals(prototypes.map(({ name }) => name), ["one", "four", "five", "eight", "nine"]);
  assertEquals(skipped.map(skippedText), [
    'prog.h:2: skipped "DEFINE_TYPE(thing)": DEFINE_TYPE is declared without a type',
    'prog.h:3: skipped "int two(struct nowhere by_value)": struct nowhere is passed by value, and ' +
    "what is in it is not declared",
    'prog.h:5: skipped "int three(undeclared x), four(void)": undeclared is no type that is known; ' +
    "declare it with typedef",
    'include/other.h:90: skipped "LIST(x, y) = 3": ";" is missing',
    'include/other.h:91: skipped "int six(struct bad b)": a member of a structure cannot be ' +
    'read: ";" is missing',
    'include/other.h:92: skipped "int seven(int a": ")" is missing',
    'include/other.h:93: skipped "@": @ begins no declaration',
  ]);
});

Deno.test("parseHeader() never throws or hangs on text that is damaged", () => {
  const whole = [...READ, ...SPELLED].map(([text]) => text).join("\n");
  let state = 1;
  const below = (most: number) => (state = Math.imul(state, 1664525) + 1013904223 >>> 0) % most;
  for (let round = 0; round < 400; round++) {
    let text = whole.slice(below(whole.length / 2), whole.length - below(whole.length / 2));
    for (let n = below(20); n > 0; n--) {
      const at = below(text.length);
      const piece = [
        "",
        "(",
        ")",
        "{",
        "}",
        '"',
        "'",
        "/*",
        "\n#if\n",
        "*",
        ";",
        "struct",
        "=",
        "\n#define f(a) a f #a\n",
        "\n#define int(a, ...) long a ## b __VA_ARGS__\n",
        "f(",
        "\n#include <x.h>\n",
      ][below(17)]!;
      text = text.slice(0, at) + piece + text.slice(at + below(6));
    }
    const { prototypes, skipped } = parseHeader(text);
    for (const { line, text } of skipped) assert(line > 0 && text.length < 80);
    for (const { parameters } of prototypes) assert(parameters.every(({ type }) => type.kind));
  }
});

const REFUSED: readonly (readonly [text: string, why: RegExp])[] = [
  ["int", /"int": a name is missing/],
  ["int f(", /"\)" is missing/],
  ["int f(int", /"\)" is missing/],
  ["int f(int a) = 3 }", /there is something left over/],
  ["word f(int)", /word is no type that is known; declare it with typedef/],
  ["int f(void, int)", /void is no type of a parameter/],
  ["int f(struct s x)", /by value/],
  ["struct s f(void)", /by value/],
  ["enum { A + }", /stand between commas/],
  ["enum { 3 }", /an enum holds names/],
  ["enum e {", /an enum's members have no end/],
  ["typedef int", /a name is missing/],
  ["int f(int (*x)(", /"\)" is missing/],
  ["int f(int a[", /"\)" is missing/],
];
for (const [text, why] of REFUSED) {
  Deno.test(`parsePrototypes() refuses ${text}`, () => {
    const { message } = assertThrows(() => parsePrototypes(text), SyntaxError);
    assertMatch(message, why);
  });
}

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
