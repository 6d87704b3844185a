/**
 * `deno task fuzz`: random programs on QEMU and on every engine.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { fuzz, FUZZ_MODES } from "../tests/engine/fuzz.ts";
import { FUZZ_CLASSES, type FuzzClass } from "../tests/engine/fuzz_pieces.ts";

const HELP = `Compares the engines with QEMU on random programs.

  deno task fuzz [--class NAME] [--mode MODE] [--seed N] [--count N] [--machine linux|bare]
                 [--no-qemu]

  --class NAME   one of ${FUZZ_CLASSES.join(", ")};
                 all of them unless given
  --mode MODE    straight  each instruction is executed once, on every engine; the JIT runs twice,
                           as it is and compiling whatever it comes to (the default)
                 once      in a loop of 10 passes, on the interpreter and the JIT at threshold 1,
                           which compiles each function of a program before it runs
                 hot       in a loop of 5,000 passes, on the interpreter and the JIT at its own
                           threshold
  --seed N       of the first program; the others count on from it (1)
  --count N      random instructions a class (100000)
  --machine M    linux: static programs, against qemu-riscv64
                 bare: firmware, against qemu-system-riscv64 -M spike, --mode straight only
  --no-qemu      compare the other engines with the reference only

Each pass of a loop begins with other registers, fcsr and constants. Every register at every
snapshot, and memory at the end of each pass, go into words of their own, which are compared in the
end; so is how many instructions retired, with the interpreter's (QEMU does not count them).

Printed are, for each class: how many random instructions the programs have (distinct), how often
one of them was executed on each engine, without the code around them that makes the loop and folds
registers (executed), and which part compiled code executed of the functions that they are in, with
the jumps and calls between these (compiled). That is counted by the engine's statistics in one more
run of every eighth program. The rest is what was interpreted until it was hot, what regions leave to
the reference (NaNs, first flags, clmul, fence.i, fcsr), and what is behind that in a function.

Exit code 1 if anything disagreed; each disagreement is shrunk and printed as assembly.
`;

const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));
const complain = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));

async function main(args: readonly string[]): Promise<number> {
  const options = parseArgs([...args], {
    string: ["class", "mode", "seed", "count", "machine"],
    boolean: ["help", "no-qemu"],
    default: { seed: "1", count: "100000", machine: "linux", mode: "straight" },
  });
  if (options.help) {
    print(HELP);
    return 0;
  }
  const classes = options.class === undefined ? FUZZ_CLASSES : [options.class as FuzzClass];
  const unknown = classes.find((kind) => !FUZZ_CLASSES.includes(kind));
  const count = Number(options.count);
  const seed = Number(options.seed);
  const { machine } = options;
  if (unknown !== undefined || !(count > 0) || !Number.isInteger(seed)) {
    complain(`Cannot fuzz: no such class, count or seed\n${HELP}`);
    return 125;
  }
  if (machine !== "linux" && machine !== "bare") {
    complain(`Cannot fuzz a machine "${machine}": there are linux and bare\n`);
    return 125;
  }
  const mode = FUZZ_MODES.find((each) => each === options.mode);
  if (mode === undefined || mode !== "straight" && machine === "bare") {
    complain(`Cannot fuzz: there is no mode "${options.mode}" on ${machine}\n`);
    return 125;
  }
  let failed = false;
  const shown = Deno.stderr.isTerminal();
  for (const kind of classes) {
    const started = performance.now();
    const result = await fuzz({
      kind,
      seed,
      count,
      machine,
      mode,
      qemu: !options["no-qemu"],
      progress: (done) => void (shown && complain(`\r${kind} ${done} of ${count} `)),
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (shown) complain("\r");
    const { instructions, executed, compiled, programs, disagreements } = result;
    const part = compiled === undefined ? "" : ` ${Math.floor(compiled * 1000) / 10} % compiled,`;
    print(
      `${kind.padEnd(10)} ${instructions} distinct, ${executed} executed,${part} ` +
        `${programs} programs from seed ${seed}, ${disagreements.length} disagreements, ${seconds} s\n`,
    );
    for (const { engine, seed: of, lines, differences } of disagreements) {
      failed = true;
      print(`  ${engine}, program of seed ${of}:\n`);
      for (const line of lines) print(`    ${line}\n`);
      for (const line of differences) print(`    # ${line}\n`);
    }
  }
  return failed ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
