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
const Section = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  export: 7,
  element: 9,
  code: 10,
} as const;
/** Name of the section that says which conditions seldom hold. */
const HINTS = "metadata.code.branch_hint";
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
  readonly #elements: Code[] = [];
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

  /** Puts functions of the module into the imported table, from entry `at` on, when it is instantiated. */
  fillTable(at: number, functions: readonly number[]): void {
    const entry = new Code(32).byte(0).i32(at).op("end").unsigned(functions.length);
    for (const index of functions) entry.unsigned(index);
    this.#elements.push(entry);
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
    section(Section.element, this.#elements);
    const hinted = this.#functions.filter(({ code }) => code.seldom.length > 0);
    if (hinted.length > 0) {
      const content = new Code(256).text(HINTS).unsigned(hinted.length);
      for (const each of hinted) content.append(encodeHints(each).bytes);
      out.byte(Section.custom).unsigned(content.length).append(content.bytes);
    }
    section(Section.code, this.#functions.map(encodeFunction));
    return out.bytes.slice();
  }
}

/** The hints of a function: where each condition stands behind the start of its locals, and that it seldom holds. */
function encodeHints({ index, locals, code }: WasmFunction): Code {
  const base = encodeLocals(locals).length;
  const hints = new Code(64).unsigned(index).unsigned(code.seldom.length);
  for (const at of code.seldom) hints.unsigned(base + at).unsigned(1).byte(0);
  return hints;
}

/** A function's locals, in runs of one type. */
function encodeLocals(locals: readonly ValueType[]): Code {
  const runs: { type: ValueType; count: number }[] = [];
  for (const type of locals) {
    const last = runs.at(-1);
    if (last?.type === type) last.count++;
    else runs.push({ type, count: 1 });
  }
  const written = new Code(32).unsigned(runs.length);
  for (const { type, count } of runs) written.unsigned(count).byte(type);
  return written;
}

/** The code section's entry of a function: its size, its locals, its code. */
function encodeFunction({ locals, code }: WasmFunction): Code {
  const declared = encodeLocals(locals);
  const length = declared.length + code.length + 1;
  return new Code(length + 8).unsigned(length).append(declared.bytes).append(code.bytes).op("end");
}
