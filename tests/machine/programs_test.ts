import { ENGINE_NAMES, type EngineName } from "../../lib/engine/engines.ts";
import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { createMachine } from "../../lib/machine/machine.ts";
import {
  type ExpectedProgram,
  type ExpectedRun,
  programFile,
  readExpected,
} from "../fixtures/expected.ts";

const FOLDER = fromFileUrl(new URL("../fixtures", import.meta.url));

/** Runs a program as QEMU ran it: in the fixtures' folder, with files of that folder visible. */
async function execute(
  { name, machine }: ExpectedProgram,
  run: ExpectedRun,
  engine: EngineName,
  limit?: bigint,
): Promise<{ stdout: string; stderr: string; code: number | string; instret: bigint }> {
  const out: Uint8Array[] = [], err: Uint8Array[] = [];
  let input = new TextEncoder().encode(run.stdin);
  const made = createMachine(await Deno.readFile(programFile(name)), {
    engine,
    name: `elf/${name}`,
    args: run.args,
    env: run.env,
    ...(machine === "linux" || run.semihosting ? { allow: [`${FOLDER}/data`] } : {}),
    // Firmware has no other way to its arguments.
    semihosting: run.semihosting || (machine === "bare" && run.args.length > 0)
      ? "privileged"
      : undefined,
    stdout: (data) => void out.push(data.slice()),
    stderr: (data) => void err.push(data.slice()),
    stdin(length) {
      const part = input.subarray(0, length);
      input = input.subarray(part.length);
      return Promise.resolve(part);
    },
  });
  const outcome = await made.run(limit === undefined ? {} : { limit });
  const code = outcome.kind === "exit"
    ? outcome.code
    : outcome.kind === "signal"
    ? 128 + outcome.signal
    : outcome.kind;
  const text = (pieces: Uint8Array[]) =>
    pieces.map((piece) => new TextDecoder().decode(piece)).join("");
  return { stdout: text(out), stderr: text(err), code, instret: made.harts[0]!.instret };
}

const { programs } = await readExpected();
for (const program of programs) {
  program.runs.forEach((run, number) => {
    const what = `${program.name} ${run.args.join(" ")}`.trim();
    Deno.test(`run() of ${what} (run ${number}) does what ${run.oracle} says, on every engine`, async () => {
      const cwd = Deno.cwd();
      Deno.chdir(FOLDER);
      try {
        const { stdout, stderr, code } = run;
        const [reference, ...others] = ENGINE_NAMES;
        const first = await execute(program, run, reference!);
        assertEquals(
          { stdout: first.stdout, stderr: first.stderr, code: first.code },
          { stdout, stderr, code },
        );
        for (const engine of others) {
          assertEquals(await execute(program, run, engine), first, engine);
        }
      } finally {
        Deno.chdir(cwd);
      }
    });
  });
}
