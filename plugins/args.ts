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
  parsePrototypes,
  type Prototype,
  returnText,
  type Tracer,
} from "../mod.ts";

/** The line of an entry that nothing of its hart has followed yet. */
interface PendingEntry {
  readonly call: object;
  readonly line: string;
}

/** Prints each call with its arguments and result in the types of its C prototype. */
const args: Tracer = defineTracer({
  name: "args",
  description: "arguments and results in the types of C prototypes: strings, enums, signs",
  options: {
    of: { description: "prototypes, a semicolon between two: int add(int a, int b)", default: "" },
    file: {
      description: "a file of prototypes, with the enums and typedefs they need",
      default: "",
    },
    time: { description: "say how long each call took", default: false },
  },
  example: "-p args --set args.of='char *find(const char *text, int c); void done(void)' ./prog",
  init(ftrace, { of, file, time }) {
    const prototypes = new Map<string, Prototype>();
    for (const each of parsePrototypes(`${readHeader(file)};${of}`)) {
      if (ftrace.records.some(({ name, kind }) => name === each.name && kind !== "disabled")) {
        prototypes.set(each.name, each);
      } else if (file === "") {
        throw new RangeError(
          `Cannot trace ${each.name}: the program has no such function that can be traced` +
            (ftrace.lookup(each.name) === undefined ? "" : "; --virtual traces it as it is"),
        );
      }
    }
    if (prototypes.size === 0) {
      throw new RangeError(
        "Cannot trace arguments: no prototype of a traced function is given; " +
          "write --set args.of='int NAME(int, char *)' or --set args.file=FILE",
      );
    }
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
        const call = { prototype };
        flush(entry.cpu);
        const line = `${indent(entry)}${prototype.name}(${
          argumentsText(prototype, fregs, ftrace)
        })`;
        if (!entry.returns) return void ftrace.print(line);
        pending[entry.cpu] = { call, line };
        (stacks[entry.stack] ??= []).push(call);
        entry.data = call;
        return true;
      },
      retFunc({ cpu, stack, data, callTime, returnTime }, fregs) {
        const open = stacks[stack]!;
        const { prototype } = data as { readonly prototype: Prototype };
        open.length = Math.max(0, open.lastIndexOf(data as object));
        const isLeaf = pending[cpu]?.call === data;
        if (!isLeaf) flush(cpu);
        const head = isLeaf ? pending[cpu]!.line : `${indent({ cpu, stack })}}`;
        pending[cpu] = undefined;
        const value = fregs ? returnText(prototype, fregs, ftrace) : "never returned";
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

/** The text of a header, or nothing without one. @throws {TypeError} If it cannot be read. */
function readHeader(path: string): string {
  if (path === "") return "";
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TypeError(`Cannot read the prototypes in ${path}: ${reason}`);
  }
}
