import { assertEquals } from "@std/assert";
import { sizeOf } from "../../../lib/ftrace/prototypes/ctype.ts";
import { hostHeaders } from "../../../lib/host/header_files.ts";
import {
  type Header,
  parseHeader,
  readHeader,
  skippedText,
} from "../../../lib/ftrace/prototypes/header.ts";
import { HeaderScope } from "../../../lib/ftrace/prototypes/scope.ts";

/** Reads the first of some headers, which may include the others; what was asked for is in `asked`. */
function read(
  headers: Readonly<Record<string, string>>,
  folders: readonly string[] = [],
  asked: string[] = [],
): Header {
  const [path, text] = Object.entries(headers)[0]!;
  const files = {
    folders,
    read(path: string) {
      asked.push(path);
      return headers[path];
    },
  };
  return parseHeader(text, path, files);
}

function names({ prototypes }: Header): string {
  return prototypes.map(({ name, parameters }) =>
    `${name}(${parameters.map(({ name, type }) => `${name}:${type.kind}`).join(" ")})`
  ).join(" ");
}

/** A header in the manner of a compression library's: all words are macros of a second one. */
const SQUEEZE = {
  "inc/squeeze.h": `#ifndef SQUEEZE_H
#define SQUEEZE_H
#include "sqconf.h"
#ifdef __cplusplus
extern "C" {
#endif
SQEXTERN const char * SQEXPORT squeezeVersion OF((void));
SQEXTERN int SQEXPORT squeeze OF((sq_stream FAR *s, uLong length,
                                  sq_limits limits));
SQEXTERN int SQEXPORT sq_open OF((const char *, const char *version, int size));
#define sq_open(name) sq_open((name), "1.2", (int) sizeof(sq_stream))
#ifdef __cplusplus
}
#endif
#endif
`,
  "inc/sqconf.h": `#ifndef SQCONF_H
#define SQCONF_H
#include <stddef.h>
#if defined(_WIN32) && defined(SQ_DLL)
#  define SQEXTERN extern __declspec(dllimport)
#endif
#ifndef SQEXTERN
#  define SQEXTERN extern
#endif
#ifndef SQEXPORT
#  define SQEXPORT
#endif
#ifndef FAR
#  define FAR
#endif
#if defined(__STDC__) || defined(__cplusplus)
#  define OF(args) args
#else
#  define OF(args) ()
#endif
typedef unsigned long uLong;
typedef struct sq_stream_s { uLong total; } sq_stream;
typedef struct { int level, window; } sq_limits;
#endif
`,
};

Deno.test("parseHeader() reads a header whose words are macros of one that it includes", () => {
  const header = read(SQUEEZE);
  assertEquals(header.skipped, []);
  assertEquals(header.missing, []);
  assertEquals(
    names(header),
    "squeezeVersion() squeeze(s:pointer length:integer limits:struct) " +
      "sq_open(:string version:string size:integer)",
  );
});

/** A header in the manner of a picture library's: whole prototypes are calls of macros. */
const PICTURE = `#define PICAPI
#define PICARG(list) list
#define PICLINK extern
#define PICEMPTY /* nothing */
#define PICFUNC(type, name, args, attributes) attributes type name args
#define PICEXPORTA(n, type, name, args, attributes) \\
  PICFUNC(type, (PICAPI name), PICARG(args), PICLINK attributes)
#define PICEXPORT(n, type, name, args) \\
  PICEXPORTA(n, type, name, args, PICEMPTY)
#define PIC_ALLOCATED __attribute__((__malloc__))
typedef struct pic_def pic_struct;
typedef pic_struct * pic_structp;
#define GETTER(what) PICEXPORT(90, unsigned, pic_get_ ## what, (pic_structp pic));
PICEXPORT(1, int, pic_sig_cmp,
    (const unsigned char *sig, /* where */
     unsigned long start));
PICEXPORTA(2, pic_structp, pic_create, (char *version, void *error), PIC_ALLOCATED);
PICEXPORT(3, void, pic_set_read_fn, (pic_structp pic,
#ifdef PIC_NO_STREAMS
    void *io,
#endif
    void (*fn)(pic_structp, unsigned char *, unsigned long)));
GETTER(width) GETTER(height)
#ifdef PIC_EXTRA
PICEXPORT_LAST(259);
#endif
`;

Deno.test("parseHeader() reads a header whose prototypes are calls of macros", () => {
  const header = parseHeader(PICTURE, "pic.h");
  assertEquals(
    names(header),
    "pic_sig_cmp(sig:string start:integer) pic_create(version:string error:pointer) " +
      "pic_set_read_fn(pic:pointer fn:function) pic_get_width(pic:pointer) pic_get_height(pic:pointer)",
  );
  // What only an unknown name leads to is told apart.
  assertEquals(header.skipped.map(({ line, sure }) => [line, sure]), [[25, false]]);
});

Deno.test("parseHeader() names file and line of the header that a declaration is from", () => {
  const { skipped, missing } = read({
    "a.h": '#include "sub/b.h"\n#include <nowhere.h>\nint f(what x);\n#include "sub/b.h"\n',
    "sub/b.h": '#pragma once\n#define BAD(n) int n(that y)\n\n#include "c.h"\nBAD(\ng\n);\n',
    "sub/c.h": "int h(int;\n",
  });
  assertEquals(skipped.map(skippedText), [
    'sub/c.h:1: skipped "int h(int": ")" is missing',
    'sub/b.h:5: skipped "int g ( that y )": that is no type that is known; declare it with typedef',
    'a.h:3: skipped "int f(what x)": what is no type that is known; declare it with typedef',
  ]);
  assertEquals(missing, [{ name: "<nowhere.h>", file: "a.h", line: 2 }]);
});

/** Where each name is found, by the file that then has `int found(void)`. */
const FOUND: readonly (readonly [why: string, first: string, line: string, found: string])[] = [
  ["beside the header", "p/a.h", '"x.h"', "p/x.h"],
  ["in quotes up a folder", "p/q/a.h", '"../x.h"', "p/q/../x.h"],
  ["in angles beside it", "p/a.h", "<x.h>", "p/x.h"],
  ["in angles above it", "p/q/a.h", "<q/x.h>", "p/q/x.h"],
  ["in a folder that is given", "p/a.h", "<x.h>", "given/x.h"],
  ["in a folder that is given, for RISC-V", "p/a.h", "<x.h>", "given/riscv64-linux-gnu/x.h"],
  ["in quotes there", "p/a.h", '"x.h"', "given/x.h"],
  ["at its path", "p/a.h", "</x.h>", "/x.h"],
  ["in the folder that relative paths begin in", "a.h", "<x.h>", "x.h"],
  ["by a macro's name", "p/a.h", "NAME(x)", "p/x.h"],
];
for (const [why, first, written, found] of FOUND) {
  Deno.test(`#include finds a header ${why}`, () => {
    const text = `#define ANGLES(x) <x.h>\n#define NAME(x) ANGLES(x)\n#include ${written}\n`;
    const header = read({ [first]: text, [found]: "int found(void);" }, ["given"]);
    assertEquals([names(header), header.missing], ["found()", []]);
  });
}

Deno.test("#include prefers what a compiler would find", () => {
  const mark = (name: string) => `int ${name}(void);\n`;
  // <time.h> in a folder of include is not that folder's.
  assertEquals(
    names(read({
      "/usr/include/sys/timer.h": "#include <time.h>\n",
      "/usr/include/sys/time.h": mark("wrong"),
      "/usr/include/time.h": mark("right"),
    })),
    "right()",
  );
  // A header that has the name of one of the system's may include that.
  assertEquals(
    names(read({
      "own/uv.h": '#include "uv/errno.h"\n',
      "own/uv/errno.h": "#include <errno.h>\n",
      "own/errno.h": mark("right"),
    })),
    "right()",
  );
  // Where one was found, the next one is.
  assertEquals(
    names(read({
      "sdk/lib/a.h": "#include <lib/b.h>\n#include <c.h>\n",
      "sdk/lib/b.h": "",
      "sdk/lib/c.h": mark("wrong"),
      "sdk/c.h": mark("right"),
    })),
    "right()",
  );
  assertEquals(
    names(read({
      "p/a.h": "#include <x.h>\n",
      "one/x.h": `${mark("one")}#include_next <x.h>\n`,
      "two/x.h": mark("two"),
    }, ["one", "two"])),
    "one() two()",
  );
});

Deno.test("#include follows only where a compiler surely would, and asks for each file once", () => {
  const asked: string[] = [];
  const header = read(
    {
      "a.h":
        '#ifdef UNKNOWN\n#include "b.h"\n#elif __has_include("c.h")\n#include "c.h"\n#endif\n' +
        '#if 0\n#include "d.h"\n#endif\n#include "c.h"\nint a(void);\n',
      "b.h": "int b(void);",
      "c.h": "int c(void);\n#if 1\nint not_closed(void);\n",
      "d.h": "int d(void);",
    },
    [],
    asked,
  );
  assertEquals(names(header), "c() not_closed() a()");
  assertEquals(asked, ["c.h"]);
});

Deno.test("#include ends where headers include themselves", () => {
  const twice = '#include "a.h"\n#include "a.h"\nint f(void);\n';
  const { prototypes, missing } = read({ "a.h": `${twice}/* ${"-".repeat(100_000)} */\n` });
  assertEquals([prototypes.length, missing.map(({ name }) => name)], [1, ['"a.h"']]);
});

Deno.test("#undef, #pragma pack and typedef count only where a compiler surely comes to them", () => {
  const { prototypes } = parseHeader(`#define T long
typedef int t;
#ifdef UNKNOWN
#undef T
#pragma pack(1)
typedef char t;
int f(char c);
half(of) something
#endif
struct s { char c; T l; };
int f(struct s s, t t);
#ifdef UNKNOWN
int f(short);
#endif
`);
  const [s, t] = prototypes[0]!.parameters.map(({ type }) => type);
  assertEquals([sizeOf(s!), sizeOf(t!)], [16, 4]);
});

Deno.test("readHeader() knows types and macros of texts before it in one scope", () => {
  const scope = new HeaderScope();
  readHeader("#define API(type) extern type\ntypedef enum { RED } color;", "a.h", undefined, scope);
  const { prototypes } = readHeader("API(color) mix(color a);", "b.h", undefined, scope);
  assertEquals(prototypes.map(({ returns }) => returns.kind), ["enum"]);
});

Deno.test("hostHeaders() reads files, and nothing else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/x.h`, "int x(void); // ä\n");
    const headers = hostHeaders([folder]);
    assertEquals(headers.read(`${folder}/x.h`), "int x(void); // ä\n");
    assertEquals([headers.read(folder), headers.read(`${folder}/y.h`)], [undefined, undefined]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
