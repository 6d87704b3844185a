/**
 * `args`: calls with their arguments and what they return, as their C prototypes have them.
 *
 * Prototypes come from the command line or a header; calls of one traced function inside another
 * are indented. A call that ends before another begins takes one line.
 *
 * @module
 */
import {
  argumentsText,
  defineTracer,
  type Ftrace,
  hostHeaders,
  type Prototype,
  resultAddress,
  returnText,
  skippedText,
  type Tracer,
} from "../mod.ts";

/** The line of an entry that nothing of its hart has followed yet. */
interface PendingEntry {
  readonly call: object;
  readonly line: string;
}

/** A call that is open. */
interface Call {
  readonly prototype: Prototype;
  /** Where it stores what it returns, if it does so. */
  readonly address: bigint | undefined;
}

/** Prints each call with its arguments and result in the types of its C prototype. */
const args: Tracer = defineTracer({
  name: "args",
  description: "arguments and results in the types of C prototypes: strings, enums, signs",
  options: {
    of: { description: "prototypes, a semicolon between two: int add(int a, int b)", default: "" },
    file: { description: "a header or source, as --prototypes FILE reads it", default: "" },
    time: { description: "say how long each call took", default: false },
  },
  example: "-p args --set args.of='char *find(const char *text, int c); void done(void)' ./prog",
  init(ftrace, { of, file, time }) {
    const prototypes = tracedPrototypes(ftrace, file, of);
    const { harts } = ftrace.machine;
    /** By number of the hart. */
    const pending: (PendingEntry | undefined)[] = [];
    /** The open calls of each guest stack. */
    const stacks: object[][] = [];
    const indent = ({ cpu, stack }: { readonly cpu: number; readonly stack: number }) =>
      (harts.length > 1 ? `${cpu}) ` : "") + "  ".repeat(stacks[stack]?.length ?? 0);
    const flush = (cpu: number) => {
      const entry = pending[cpu];
      pending[cpu] = undefined;
      if (entry) ftrace.print(`${entry.line} {`);
    };
    const registered = ftrace.registerFtraceGraph({
      name: "args",
      filter: [...prototypes.keys()],
      entryFunc(entry, fregs) {
        const prototype = prototypes.get(ftrace.records[entry.site]!.name)!;
        const call: Call = { prototype, address: resultAddress(prototype, fregs, ftrace) };
        flush(entry.cpu);
        const text = argumentsText(prototype, fregs, ftrace);
        const line = `${indent(entry)}${prototype.name}(${text})`;
        if (!entry.returns) return void ftrace.print(line);
        pending[entry.cpu] = { call, line };
        (stacks[entry.stack] ??= []).push(call);
        entry.data = call;
        return true;
      },
      retFunc({ cpu, stack, data, callTime, returnTime }, fregs) {
        const open = stacks[stack]!;
        const { prototype, address } = data as Call;
        open.length = Math.max(0, open.lastIndexOf(data as object));
        const isLeaf = pending[cpu]?.call === data;
        if (!isLeaf) flush(cpu);
        const head = isLeaf ? pending[cpu]!.line : `${indent({ cpu, stack })}}`;
        pending[cpu] = undefined;
        const value = fregs ? returnText(prototype, fregs, ftrace, address) : "never returned";
        const name = isLeaf ? "" : ` /* ${prototype.name} */`;
        const took = time ? ` <${returnTime - callTime} ns>` : "";
        ftrace.print(`${head}${value === undefined ? "" : ` = ${value}`}${name}${took}`);
      },
    });
    return {
      [Symbol.dispose]() {
        registered[Symbol.dispose]();
        for (const { id } of harts) flush(id);
      },
    };
  },
});
export default args;

/**
 * The prototypes of functions that can be traced: of a header, of `of`, and without either those of
 * `--prototypes`, whose types both know.
 *
 * @throws {RangeError} If there are none.
 */
function tracedPrototypes(ftrace: Ftrace, file: string, of: string): Map<string, Prototype> {
  const traced = new Map<string, Prototype>();
  const given = file + of === "" ? ftrace.prototypes.values() : givenPrototypes(ftrace, file, of);
  const names = new Set(
    ftrace.records.filter(({ kind }) => kind !== "disabled").map(({ name }) => name),
  );
  for (const each of given) {
    if (names.has(each.name)) traced.set(each.name, each);
    else if (file === "" && of !== "") {
      throw new RangeError(
        `Cannot trace ${each.name}: the program has no such function that can be traced` +
          (ftrace.lookup(each.name) === undefined ? "" : "; --virtual traces it as it is"),
      );
    }
  }
  if (traced.size === 0) {
    throw new RangeError(
      "Cannot trace arguments: no prototype of a traced function is given; " +
        "write --set args.of='int NAME(int, char *)' or --set args.file=FILE",
    );
  }
  return traced;
}

/**
 * Declares what both texts do, with the types that are known by now; what of a header cannot be read
 * is told.
 *
 * @throws {SyntaxError} For what cannot be read of `of`.
 */
function givenPrototypes(ftrace: Ftrace, file: string, of: string): readonly Prototype[] {
  const header = ftrace.declarePrototypes(textOf(file), file, hostHeaders());
  for (const each of header.skipped) if (each.sure) ftrace.report(skippedText(each));
  const { prototypes, skipped: [wrong] } = ftrace.declarePrototypes(of, "args.of");
  if (wrong) {
    throw new SyntaxError(`Cannot read the prototype "${wrong.text}": ${wrong.reason}`);
  }
  return [...header.prototypes, ...prototypes];
}

/** The text of a header, or nothing without one. @throws {TypeError} If it cannot be read. */
function textOf(path: string): string {
  try {
    return path && Deno.readTextFileSync(path);
  } catch (error) {
    throw new TypeError(`Cannot read the prototypes in ${path}: ${(error as Error).message}`);
  }
}
