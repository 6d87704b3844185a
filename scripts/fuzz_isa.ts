/**
 * `deno task fuzz`: random programs on QEMU and on every engine.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { fuzz } from "../tests/engine/fuzz.ts";
import { FUZZ_CLASSES, type FuzzClass } from "../tests/engine/fuzz_program.ts";

const HELP =
  `Compares the engines with QEMU on random programs; the JIT runs twice: as it is, and compiling
whatever it comes to.

  deno task fuzz [--class NAME] [--seed N] [--count N] [--machine linux|bare] [--no-qemu]

  --class NAME   one of ${FUZZ_CLASSES.join(", ")}; all of them unless given
  --seed N       of the first program; the others count on from it (1)
  --count N      random instructions a class (100000)
  --machine M    linux: static programs, against qemu-riscv64
                 bare: firmware, against qemu-system-riscv64 -M spike
  --no-qemu      compare the other engines with the reference only

Exit code 1 if anything disagreed; each disagreement is shrunk and printed as assembly.
`;

const print = (text: string) => Deno.stdout.writeSync(new TextEncoder().encode(text));
const complain = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));

async function main(args: readonly string[]): Promise<number> {
  const options = parseArgs([...args], {
    string: ["class", "seed", "count", "machine"],
    boolean: ["help", "no-qemu"],
    default: { seed: "1", count: "100000", machine: "linux" },
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
  let failed = false;
  const shown = Deno.stderr.isTerminal();
  for (const kind of classes) {
    const started = performance.now();
    const result = await fuzz({
      kind,
      seed,
      count,
      machine,
      qemu: !options["no-qemu"],
      progress: (done) => void (shown && complain(`\r${kind} ${done} of ${count} `)),
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (shown) complain("\r");
    const { instructions, programs, disagreements } = result;
    print(
      `${kind.padEnd(10)} ${instructions} instructions, ${programs} programs from seed ${seed}, ` +
        `${disagreements.length} disagreements, ${seconds} s\n`,
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
