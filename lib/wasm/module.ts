/**
 * Writing a WASM module: types, imports, functions, exports.
 *
 * Imported functions are numbered before the module's own, so they must all be declared first.
 *
 * @module
 */
import { Code, type ValueType } from "./code.ts";

/** A function of the module whose instructions are being written. */
export interface WasmFunction {
  /** The function's index, by which `call` names it. */
  readonly index: number;
  /** Index of the function's type among the module's types. */
  readonly type: number;
  /** Types of the locals behind its parameters. */
  readonly locals: ValueType[];
  /** The function's instructions, without the final `end`. */
  readonly code: Code;
}

const MAGIC = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
/** Numbers of the sections that are written. */
const Section = { type: 1, import: 2, function: 3, export: 7, code: 10 } as const;
/** Kinds of what is imported or exported. */
const Kind = { function: 0, table: 1, memory: 2 } as const;
const FUNCTION_TYPE = 0x60;
const FUNCREF = 0x70;

/** A WASM module under construction. */
export class Module {
  readonly #types: Code[] = [];
  readonly #imports: Code[] = [];
  readonly #functions: WasmFunction[] = [];
  readonly #exports: Code[] = [];
  #importedFunctions = 0;

  /** Declares a function type and gives its number. */
  type(parameters: readonly ValueType[], results: readonly ValueType[]): number {
    const entry = new Code(16).byte(FUNCTION_TYPE);
    for (const list of [parameters, results]) entry.unsigned(list.length).append(list);
    return this.#types.push(entry) - 1;
  }

  /** Imports a memory of a fixed number of 64 KiB pages; memories are numbered in this order. */
  importMemory(name: string, pages: number): void {
    const entry = new Code(32).text("host").text(name).byte(Kind.memory).byte(1);
    this.#imports.push(entry.unsigned(pages).unsigned(pages));
  }

  /** Imports a table of functions. */
  importTable(name: string): void {
    const entry = new Code(32).text("host").text(name).byte(Kind.table).byte(FUNCREF);
    this.#imports.push(entry.byte(0).unsigned(0));
  }

  /**
   * Imports a function and gives its number.
   *
   * @throws {RangeError} After the first function of the module's own.
   */
  importFunction(name: string, type: number): number {
    if (this.#functions.length > 0) {
      throw new RangeError(`Cannot import ${name}: imports come before functions`);
    }
    const entry = new Code(32).text("host").text(name).byte(Kind.function);
    this.#imports.push(entry.unsigned(type));
    return this.#importedFunctions++;
  }

  /** Begins a function; with a name it is exported. */
  function(type: number, locals: readonly ValueType[] = [], name?: string): WasmFunction {
    const index = this.#importedFunctions + this.#functions.length;
    const written = { index, type, locals: [...locals], code: new Code(1024) };
    this.#functions.push(written);
    if (name !== undefined) {
      this.#exports.push(new Code(32).text(name).byte(Kind.function).unsigned(index));
    }
    return written;
  }

  /** The module in the binary format, ready to be compiled. */
  encode(): Uint8Array<ArrayBuffer> {
    const out = new Code(4096).append(MAGIC);
    const section = (id: number, entries: readonly Code[]) => {
      if (entries.length === 0) return;
      const content = new Code(1024).unsigned(entries.length);
      for (const entry of entries) content.append(entry.bytes);
      out.byte(id).unsigned(content.length).append(content.bytes);
    };
    section(Section.type, this.#types);
    section(Section.import, this.#imports);
    section(Section.function, this.#functions.map(({ type }) => new Code(4).unsigned(type)));
    section(Section.export, this.#exports);
    section(Section.code, this.#functions.map(encodeFunction));
    return out.bytes.slice();
  }
}

/** The code section's entry of a function: its size, its locals in runs of one type, its code. */
function encodeFunction({ locals, code }: WasmFunction): Code {
  const runs: { type: ValueType; count: number }[] = [];
  for (const type of locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  const body = new Code(code.length + 32).unsigned(runs.length);
  for (const { type, count } of runs) body.unsigned(count).byte(type);
  body.append(code.bytes).op("end");
  return new Code(body.length + 8).unsigned(body.length).append(body.bytes);
}
