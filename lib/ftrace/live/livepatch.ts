/**
 * Live patching: functions of an object file take the place of the running program's
 * (`kernel/livepatch`).
 *
 * The object is linked against the program and put beside it; one IPMODIFY ops on all the functions
 * concerned then sends their calls to the newest version. Old code and new code stay in memory, so a
 * call that is under way ends in the version in which it began; every later one is the new one's.
 * Enabling, disabling and replacing each take one update of the sites, or change nothing.
 *
 * No RISC-V kernel selects HAVE_LIVEPATCH, so `strict` refuses all of it. Linking is
 * `lib/program/link_object.ts`.
 *
 * @module
 */
import type { ElfSymbol } from "../../program/elf.ts";
import { type LinkedObject, linkObject } from "../../program/link_object.ts";
import { siteAt, type SiteSource } from "../../program/sites.ts";
import { SymbolTable } from "../../program/symbols.ts";
import type { Machine } from "../../machine/machine.ts";
import { parseObject } from "../../program/object_file.ts";
import { EXECUTE, READ, WRITE } from "../../memory/page.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { Era } from "../era.ts";
import { createHash } from "../ops/filter.ts";
import {
  FtraceError,
  type FtraceErrorCode,
  type FtraceReason,
  throwRefusal,
} from "../ftrace_error.ts";
import {
  FTRACE_OPS_FL_IPMODIFY,
  FTRACE_OPS_FL_PERMANENT,
  FTRACE_OPS_FL_SAVE_REGS,
  type FtraceOps,
  type FtraceRegistration,
} from "../ops/ftrace_ops.ts";
import type { FunctionCore } from "../ops/function_core.ts";
import { noReturnReason } from "../ops/records.ts";

/** One function that a patch replaces (`struct klp_func`). */
export interface KlpFunc {
  /** Name of the function in the program. */
  readonly oldName: string;
  /** Which of several functions of that name, from 1; 0 or nothing demands that there be one. */
  readonly oldSympos?: number;
  /** Name of the function's new version in the object; the same name unless given. */
  readonly newName?: string;
}

/** A live patch to be enabled: functions and their new versions (`struct klp_patch`). */
export interface KlpPatch {
  /** Name of the patch, as its module would have it; its functions show as `function [name]`. */
  readonly name: string;
  /** A relocatable object: `gcc -c`, or `ld -r` of several. */
  readonly object: Uint8Array;
  /**
   * The functions that the patch replaces; unless given, every function that the program has under
   * the same name.
   */
  readonly funcs?: readonly KlpFunc[];
  /**
   * Whether the patch takes the place of all others: functions that only those replaced run their
   * own code again.
   */
  readonly replace?: boolean;
}

/** A function that a live patch replaces, and the address of what runs in its place. */
export interface KlpReplacement {
  /** Name of the replaced function. */
  readonly name: string;
  /** Address of the replaced function. */
  readonly oldAddress: bigint;
  /** Address of the function's new version. */
  readonly newAddress: bigint;
}

/** A patch that was enabled. Disposing of it disables it. */
export interface KlpPatchState extends Disposable {
  /** Name of the patch. */
  readonly name: string;
  /** Whether the patch is in force; false once it was disabled or replaced. */
  readonly enabled: boolean;
  /** The functions that the patch replaces, with their new versions. */
  readonly replacements: readonly KlpReplacement[];
  /** Disables the patch; a second call does nothing. */
  disable(): void;
}

/** Live patching of one machine. */
export interface Livepatch {
  /**
   * Puts a patch in force, in one update (`klp_enable_patch`).
   *
   * @throws {FtraceError} EINVAL for a function that is not there, ambiguous, without a site or named
   * twice, ENOENT for an unknown symbol that the object needs, EBUSY if another ops has the ip,
   * EOPNOTSUPP if strict; nothing is changed then.
   * @throws {SyntaxError} If the object is malformed or cannot be linked.
   */
  enablePatch(patch: KlpPatch): KlpPatchState;
  /** The patches in force, the oldest first. */
  readonly patches: readonly KlpPatchState[];
}

/** The machine and the registrations that {@linkcode createLivepatch} works with. */
export interface LivepatchContext {
  /** The machine whose functions are replaced. */
  readonly machine: Machine;
  /** The era in force. */
  readonly era: Era;
  /** Whether to refuse what the era's kernel refuses, even where it could be served. */
  readonly strict: boolean;
  /** Everything that can be traced. */
  readonly records: readonly DynFtrace[];
  /** Registers the ops that redirects calls to new versions. */
  readonly register: (ops: FtraceOps) => FtraceRegistration;
  /** Changes half of its hash and makes sites follow. @throws {FtraceError} And changes nothing. */
  readonly commitHash: FunctionCore["commitHash"];
  /** Adds records for the call sites of a patch's own code. */
  readonly addModule: (module: string, sites: readonly SiteSource[]) => void;
}

interface EnabledPatch {
  readonly state: KlpPatchState;
  /** New versions by index of the record. */
  readonly targets: ReadonlyMap<number, bigint>;
}

/** Makes live patching for one machine; nothing is registered until there is a patch. */
export function createLivepatch(context: LivepatchContext): Livepatch {
  return new LivepatchRegister(context);
}

class LivepatchRegister implements Livepatch {
  readonly #context: LivepatchContext;
  readonly #records: ReadonlyMap<bigint, DynFtrace>;
  #enabled: readonly EnabledPatch[] = [];
  /** Where calls go: the newest version, by index of the record (`func_stack`). */
  #current: ReadonlyMap<number, bigint> = new Map();
  readonly #hash = createHash();
  readonly #ops: FtraceOps;
  #registration: FtraceRegistration | undefined;

  constructor(context: LivepatchContext) {
    this.#context = context;
    this.#records = new Map(context.records.map((record) => [record.entry, record]));
    this.#ops = {
      name: "livepatch",
      flags: FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_PERMANENT |
        (context.era.savesRegs ? FTRACE_OPS_FL_SAVE_REGS : 0),
      hash: this.#hash,
      hit: (site, fregs) => {
        const target = this.#current.get(site);
        if (target !== undefined) fregs.instructionPointer = target;
      },
    };
  }

  get patches(): readonly KlpPatchState[] {
    return this.#enabled.map(({ state }) => state);
  }

  enablePatch(patch: KlpPatch): KlpPatchState {
    const { name } = patch;
    const { machine, strict } = this.#context;
    throwRefusal(checkLivepatchEra(name, strict));
    if (this.#enabled.some(({ state }) => state.name === name)) {
      throw refusal("EINVAL", "already-enabled", `Cannot enable ${name}: it is in force`);
    }
    const wanted = this.#wantedOf(patch);
    const linked = this.#link(patch);
    const { symbols } = linked;
    const replaced = [...wanted].map(([record, newName]) => ({
      record,
      newAddress: symbols.find((symbol) => symbol.name === newName)!.address,
    }));
    const state = this.#stateOf(name, replaced);
    const targets = new Map(replaced.map(({ record, newAddress }) => [record.index, newAddress]));
    this.#commit([...patch.replace ? [] : this.#enabled, { state, targets }]);
    const functions = functionsOf(linked);
    machine.symbols.add(functions.map((each) => ({ ...each, name: `${each.name} [${name}]` })));
    this.#context.addModule(name, sitesOf(linked, new SymbolTable(functions)));
    return state;
  }

  #stateOf(
    name: string,
    replaced: readonly { readonly record: DynFtrace; readonly newAddress: bigint }[],
  ): KlpPatchState {
    const isEnabled = () => this.#enabled.some((each) => each.state === state);
    const disable = () => {
      if (isEnabled()) this.#commit(this.#enabled.filter((each) => each.state !== state));
    };
    const state: KlpPatchState = {
      name,
      get enabled() {
        return isEnabled();
      },
      replacements: replaced.map(({ record, newAddress }) => ({
        name: record.name,
        oldAddress: record.entry,
        newAddress,
      })),
      disable,
      [Symbol.dispose]: disable,
    };
    return state;
  }

  /** Puts exactly these patches in force. @throws {FtraceError} EBUSY: nothing is changed then. */
  #commit(patches: readonly EnabledPatch[]): void {
    const next = new Map(patches.flatMap(({ targets }) => [...targets]));
    if (next.size === 0) {
      this.#registration?.unregister();
      this.#registration = undefined;
      this.#hash.filter.clear();
    } else if (this.#registration) {
      const records = new Set(next.keys());
      this.#context.commitHash(this.#hash, "filter", { records, waiting: [] });
    } else this.#register([...next.keys()]);
    this.#current = next;
    this.#enabled = patches;
  }

  #register(indices: readonly number[]): void {
    for (const index of indices) this.#hash.filter.add(index);
    try {
      this.#registration = this.#context.register(this.#ops);
    } catch (error) {
      this.#hash.filter.clear();
      throw error;
    }
  }

  /** What a patch replaces, and by what. @throws {FtraceError} EINVAL where it cannot be. */
  #wantedOf(patch: KlpPatch): ReadonlyMap<DynFtrace, string> {
    const { name } = patch;
    const cannot = (reason: FtraceReason, why: string, instead = "") =>
      refusal("EINVAL", reason, `Cannot enable ${name}: ${why}`, instead);
    const defined = parseObject(patch.object).symbols.filter(({ isFunction, section }) =>
      isFunction && section !== "undefined"
    );
    const funcs = patch.funcs ??
      defined.filter(({ binding }) => binding !== "local")
        .filter((symbol) => this.#context.machine.symbols.named(symbol.name).length > 0)
        .map((symbol): KlpFunc => ({ oldName: symbol.name }));
    if (funcs.length === 0) {
      const instead = "funcs, if they have other names";
      throw cannot("no-match", "none of its functions is the program's", instead);
    }
    const wanted = new Map<DynFtrace, string>();
    for (const func of funcs) {
      const newName = func.newName ?? func.oldName;
      if (!defined.some((symbol) => symbol.name === newName)) {
        throw cannot("no-symbol", `it has no function ${newName}`);
      }
      const record = this.#recordOf(name, func);
      if (wanted.has(record)) throw cannot("already-enabled", `it has ${func.oldName} twice`);
      wanted.set(record, newName);
    }
    return wanted;
  }

  /** The record of a function that is to be replaced. @throws {FtraceError} EINVAL. */
  #recordOf(patch: string, { oldName, oldSympos = 0 }: KlpFunc): DynFtrace {
    const refuse = (reason: FtraceReason, why: string, instead = "") =>
      refusal("EINVAL", reason, `Cannot patch ${oldName} by ${patch}: ${why}`, instead);
    const { symbols } = this.#context.machine;
    const all = symbols.named(oldName).filter(({ type }) => type === "func");
    if (all.length === 0) throw refuse("no-symbol", "the program has no such function");
    if (all.length > 1 && oldSympos === 0) {
      throw refuse("ambiguous", `the program has ${all.length} of that name`, "oldSympos, from 1");
    }
    const symbol = all[Math.max(0, oldSympos - 1)];
    if (!symbol) throw refuse("no-symbol", `the program has no ${oldSympos}th of that name`);
    const record = this.#records.get(symbol.address);
    if (!record || record.kind === "disabled") {
      const reason = (record?.reason ?? "no-site") as FtraceReason;
      throw refuse(reason, `it has no site to switch (${reason})`, "list --why, which says more");
    }
    const noReturn = noReturnReason(record);
    if (noReturn === "interrupt-handler") {
      throw refuse("interrupt-handler", "a trap leads to it and no ordinary function can stand in");
    }
    if (noReturn === "link-in-t0") {
      throw refuse("link-in-t0", "ra is not its way back, so no ordinary function can stand in");
    }
    return record;
  }

  /** Links a patch against the program, and puts it into memory. @throws {FtraceError} */
  #link(patch: KlpPatch): LinkedObject {
    const { machine } = this.#context;
    const permissions = { code: READ | EXECUTE, constants: READ, data: READ | WRITE };
    const linked = linkObject(parseObject(patch.object), {
      allocate: (bytes, kind) => BigInt(machine.tracing.allocateCode(bytes, permissions[kind])),
      resolve: (name) => this.#resolve(patch.name, name),
    });
    for (const { address, bytes } of linked.regions) machine.space.poke(address, bytes);
    machine.fenceI();
    return linked;
  }

  /** The address of what a patch uses of the program. @throws {FtraceError} EINVAL, ENOENT. */
  #resolve(patch: string, name: string): bigint {
    const all = this.#context.machine.symbols.named(name);
    const found = all.find(({ binding }) => binding !== "local") ?? all[0];
    if (found && (all.length === 1 || found.binding !== "local")) return found.address;
    throw found
      ? refusal("EINVAL", "ambiguous", `Cannot link ${patch}: ${all.length} ${name} are there`)
      : refusal("ENOENT", "no-symbol", `Cannot link ${patch}: nobody defines ${name}`);
  }
}

/** Call sites that were compiled into a patch: its functions can be traced, as a module's. */
function sitesOf({ sites, regions }: LinkedObject, symbols: SymbolTable): readonly SiteSource[] {
  return sites.flatMap((address) => {
    const code = regions.find((region) =>
      region.address <= address && address < region.address + BigInt(region.bytes.length)
    );
    return code ? [siteAt({ address: code.address, data: code.bytes }, symbols, address)] : [];
  });
}

/** The functions of a patch as symbols of a program. */
function functionsOf({ symbols }: LinkedObject): readonly ElfSymbol[] {
  return symbols.filter(({ isFunction }) => isFunction)
    .map(({ name, address, size, isGlobal }): ElfSymbol => ({
      name,
      address,
      size,
      type: "func",
      binding: isGlobal ? "global" : "local",
    }));
}

function refusal(
  code: FtraceErrorCode,
  reason: FtraceReason,
  what: string,
  instead = "",
): FtraceError {
  return new FtraceError(code, reason, what, instead);
}

/** That a kernel is not to be followed to the letter, as none has live patching: else the refusal. */
export function checkLivepatchEra(name: string, strict: boolean): FtraceError | undefined {
  return strict
    ? refusal(
      "EOPNOTSUPP",
      "not-supported-by-era",
      `Cannot enable ${name}: no RISC-V kernel selects HAVE_LIVEPATCH`,
      "a run without --strict",
    )
    : undefined;
}
