import { assertEquals, assertMatch } from "@std/assert";
import { hartrace } from "../../cli/command_line.ts";
import { installed, outputOf } from "../../engine/guest_tools.ts";
import { makeAbiProgram } from "./abi_program.ts";

const ready = installed("riscv64-linux-gnu-gcc");
const NEEDS = ready ? "" : " (needs riscv64-linux-gnu-gcc)";
const SITES = ["-fpatchable-function-entry=8,4", "-falign-functions=8"];

/** Builds a C program with its header beside it, and calls `use` with both paths. */
async function withProgram(
  source: string,
  header: string,
  flags: readonly string[],
  use: (program: string, header: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/p.c`, source);
    await Deno.writeTextFile(`${folder}/p.h`, header);
    const args = ["-O1", "-w", "-static", ...SITES, ...flags, `${folder}/p.c`, "-o", `${folder}/p`];
    await outputOf("riscv64-linux-gnu-gcc", args);
    await use(`${folder}/p`, `${folder}/p.h`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const [seed, era] of [[1, "regs"], [2, "args"], [3, "preset"], [4, "call-ops"]] as const) {
  Deno.test({
    name: `args shows what gcc passed and returned, of random types, in era ${era}${NEEDS}`,
    ignore: !ready,
    async fn() {
      const { header, source, lines } = makeAbiProgram(seed, 60);
      await withProgram(source, header, [], async (program, file) => {
        const set = ["--set", `args.file=${file}`];
        const { stdout, stderr } = await hartrace(["--era", era, "-p", "args", ...set, program]);
        assertEquals(stderr.split("\n").filter((line) => /skipped/.test(line)), []);
        assertEquals(stdout.trimEnd().split("\n"), lines);
      });
    },
  });
}

const MIXED = `
struct point { float x, y; };
struct mixed { double weight; int count; };
struct big { long words[3]; };
struct three { short a, b, c; };
enum flags { READ = 1, WRITE = 2, EXEC = 4 };
struct big mixed(double d, struct point p, struct mixed m, struct three t, __int128 w, float f,
  struct big b, enum flags e, long a, int odd, long on_stack, double last);
double half(double of);
`;
const MIXED_SOURCE = `${MIXED}
__attribute__((noipa)) struct big mixed(double d, struct point p, struct mixed m, struct three t,
    __int128 w, float f, struct big b, enum flags e, long a, int odd, long on_stack, double last) {
  return (struct big){{ 1, a, on_stack }};
}
__attribute__((noipa)) double half(double of) { return of / 2; }
int main(void) {
  struct big b = mixed(0.5, (struct point){ 1, 2 }, (struct mixed){ 2.5, 3 },
    (struct three){ 4, 5, 6 }, 7, 8, (struct big){{ 9, 10, 11 }}, READ | EXEC, 12, 13, 14, 15);
  return half(b.words[0] - 1) != 0;
}
`;
const VALUES = "d=0.5, p={x=1, y=2}, m={weight=2.5, count=3}, t={a=4, b=5, c=6}, w=7, f=8, " +
  "b={words=[9, 10, 11]}, e=READ|EXEC, a=12, odd=13, on_stack=14, last=15";

Deno.test({
  name: `args, func-args and probes find each parameter in the same place${NEEDS}`,
  ignore: !ready,
  async fn() {
    await withProgram(MIXED_SOURCE, MIXED, [], async (program, header) => {
      const prototypes = ["--prototypes", header];
      const args = await hartrace(["-q", "-p", "args", ...prototypes, program]);
      assertEquals(
        args.stdout,
        `mixed(${VALUES}) = {words=[1, 12, 14]}\nhalf(of=0) = 0\n`,
      );
      const traced = await hartrace(
        ["-q", "-p", "function", "-l", "mixed", "-O", "func-args", ...prototypes, program],
      );
      // a0 is the result's; registers behind a5 are more than a kernel prints.
      assertMatch(
        traced.stdout,
        /mixed\(d=0\.5, p=\(STRUCT\)\[0xffffffff3f800000:0xffffffff40000000\], m=\(STRUCT\)\[0x4004000000000000:0x3\], t=\(STRUCT\)\[0x600050004\], w=7, f=8, b=0x[0-9a-f]+, \.\.\.\) <-main/,
      );
      for (const kind of ["f:p", "p:p"]) {
        const { stdout } = await hartrace([
          ...["-q", "-p", "nop", "--tracefs", `dynamic_events=${kind} mixed $arg*`],
          ...["--tracefs", `events/${kind === "f:p" ? "fprobes" : "kprobes"}/p/enable=1`],
          ...[...prototypes, program],
        ]);
        assertMatch(stdout, / d=0x3fe0000000000000 p=0xffffffff3f800000 m=0x4004000000000000 /);
        assertMatch(stdout, / t=0x600050004 w=0x7 f=0x\w+ b=0x\w+ e=5 a=12 odd=13 on_stack=14 /);
        assertMatch(stdout, / last=0x402e000000000000\n/);
      }
      const returned = await hartrace([
        ...["-q", "-p", "nop", "--tracefs", "dynamic_events=f:r mixed%return d on_stack"],
        ...["--tracefs", "dynamic_events+=f:h half%return of got=$retval"],
        ...["--tracefs", "events/fprobes/enable=1", ...prototypes, program],
      ]);
      assertMatch(returned.stdout, / d=0x3fe0000000000000 on_stack=14\n/);
      assertMatch(returned.stdout, / of=0x0 got=0x0\n/);
    });
  },
});

const VECTORS = `
typedef float v2 __attribute__((vector_size(8)));
typedef int v4 __attribute__((vector_size(16)));
typedef double v8 __attribute__((vector_size(32)));
struct holder { v2 in; };
v4 vectors(v2 a, v4 b, v8 c, struct holder d, int e);
`;
const VECTORS_SOURCE = `${VECTORS}
__attribute__((noipa)) v4 vectors(v2 a, v4 b, v8 c, struct holder d, int e) { return b; }
int main(void) {
  vectors((v2){ 1, 2 }, (v4){ 3, 4, 5, 6 }, (v8){ 7, 8, 9, 10 }, (struct holder){ { 11, 12 } }, 13);
  return 0;
}
`;

Deno.test({
  name: `vectors are found where gcc passes them${NEEDS}`,
  ignore: !ready,
  async fn() {
    await withProgram(VECTORS_SOURCE, VECTORS, [], async (program, header) => {
      const { stdout } = await hartrace(["-q", "-p", "args", "--prototypes", header, program]);
      const values = "a=[1, 2], b=[3, 4, 5, 6], c=[7, 8, 9, 10], d={in=[11, 12]}, e=13";
      assertEquals(stdout, `vectors(${values}) = [3, 4, 5, 6]\n`);
    });
  },
});

const SOFT = `
float scale(float by, double of, long n);
`;
const SOFT_SOURCE = `${SOFT}
__attribute__((noipa)) float scale(float by, double of, long n) { return by; }
int main(void) {
  scale(1.5f, 2.5, 3);
  return 0;
}
void _start(void) {
  __asm__ volatile("call main; li a7, 93; ecall");
}
`;

Deno.test({
  name: `floats are read from integer registers where the program was built for none${NEEDS}`,
  ignore: !ready,
  async fn() {
    const flags = ["-march=rv64imac", "-mabi=lp64", "-nostdlib"];
    await withProgram(SOFT_SOURCE, SOFT, flags, async (program, header) => {
      const { stdout, stderr } = await hartrace(
        ["-q", "-p", "args", "--prototypes", header, program],
      );
      assertEquals(stdout, "scale(by=1.5, of=2.5, n=3) = 1.5\n", stderr);
    });
  },
});
