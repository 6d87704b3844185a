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

/** What a hart has open, and the line of its last entry while nothing followed it. */
interface Outline {
  readonly open: object[];
  pending: { readonly call: object; readonly line: string } | undefined;
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
    const harts = ftrace.machine.harts.map((): Outline => ({ open: [], pending: undefined }));
    const indent = (cpu: number) =>
      (harts.length > 1 ? `${cpu}) ` : "") + "  ".repeat(harts[cpu]!.open.length);
    const flush = (outline: Outline) => {
      if (outline.pending) ftrace.print(`${outline.pending.line} {`);
      outline.pending = undefined;
    };
    const registered = ftrace.registerFtraceGraph({
      name: "args",
      filter: [...prototypes.keys()],
      entryFunc(entry, fregs) {
        const outline = harts[entry.cpu]!;
        const prototype = prototypes.get(ftrace.records[entry.site]!.name)!;
        const call = { prototype };
        flush(outline);
        const line = `${indent(entry.cpu)}${prototype.name}(${
          argumentsText(prototype, fregs, ftrace)
        })`;
        if (!entry.returns) return void ftrace.print(line);
        outline.pending = { call, line };
        outline.open.push(call);
        entry.data = call;
        return true;
      },
      retFunc({ cpu, data, callTime, returnTime }, fregs) {
        const outline = harts[cpu]!;
        const { prototype } = data as { readonly prototype: Prototype };
        outline.open.length = outline.open.lastIndexOf(data as object);
        const isLeaf = outline.pending?.call === data;
        const head = isLeaf ? outline.pending!.line : `${indent(cpu)}}`;
        outline.pending = undefined;
        const value = fregs ? returnText(prototype, fregs, ftrace) : "never returned";
        const name = isLeaf ? "" : ` /* ${prototype.name} */`;
        const took = time ? ` <${returnTime - callTime} ns>` : "";
        ftrace.print(`${head}${value === undefined ? "" : ` = ${value}`}${name}${took}`);
      },
    });
    return {
      [Symbol.dispose]() {
        registered[Symbol.dispose]();
        harts.forEach(flush);
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
