/**
 * The records of one program and its modules, and how they are found by address.
 *
 * What a record is, and why, is `records.ts`; who traces one is `record_users.ts`.
 *
 * @module
 */
import type { Machine } from "../../machine/machine.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import { namesOf } from "../../program/readable_symbol.ts";
import type { SiteSource } from "../../program/sites.ts";
import type { Era } from "../era.ts";
import {
  createModuleRecords,
  createNamedRecord,
  createRecords,
  type RecordOptions,
} from "./records.ts";

/** The records of one machine: every function that can be traced, or why it cannot. */
export class RecordTable {
  /** In order of address, modules' behind them; index = `DynFtrace.index`. */
  readonly records: DynFtrace[];
  readonly #era: Era;
  readonly #options: RecordOptions;
  readonly #space: AddressSpace;
  readonly #symbols: Machine["symbols"];
  readonly #byIp = new Map<number, DynFtrace>();

  /** Makes the records of the program. @throws {RangeError} For a site beyond ±2^53. */
  constructor(machine: Machine, era: Era, options: RecordOptions) {
    this.#era = era;
    this.#options = options;
    this.#space = machine.space;
    this.#symbols = machine.symbols;
    this.records = createRecords(machine, era, options);
    for (const record of this.records) this.#byIp.set(storedKey(record.ip), record);
  }

  /** The record whose ip is this number, as `Hart.addressIn` gives it; asked at each call. */
  byIp(ip: number): DynFtrace | undefined {
    return this.#byIp.get(ip);
  }

  /** The record of a site, by its ip or its function's entry. */
  at(address: bigint): DynFtrace | undefined {
    return this.#byIp.get(addressKey(address)) ??
      this.#byIp.get(addressKey(this.#era.scheme.ip(address)));
  }

  /** Functions without a site that none has asked for so far. */
  get siteless(): Siteless {
    const { functions } = this.#symbols;
    const isFree = ({ address }: { readonly address: bigint }) => this.at(address) === undefined;
    return {
      names: () => functions.filter(isFree).map(namesOf),
      add: (name) => {
        const found = this.#symbols.called(name).find(({ type }) => type === "func");
        if (!found || !isFree(found)) return undefined;
        const { length } = this.records;
        const record = createNamedRecord(found, length, this.#space);
        this.#byIp.set(storedKey(record.ip), record);
        this.records.push(record);
        return record;
      },
    };
  }

  /** Adds the records of a module, which it gives. @throws {RangeError} For a site beyond ±2^53. */
  addModule(module: string, sites: readonly SiteSource[]): readonly DynFtrace[] {
    const { length } = this.records;
    const era = this.#era;
    const added = createModuleRecords(module, sites, length, era, this.#space, this.#options);
    for (const record of added) {
      this.#byIp.set(storedKey(record.ip), record);
      this.records.push(record);
    }
    return added;
  }
}

/** Functions of a program that have no record. */
export interface Siteless {
  /** Names of all of them, of each those that it may be called by. */
  names(): readonly (readonly string[])[];
  /** Makes a record of the one with a name; undefined if there is none, or its entry has a record. */
  add(name: string): DynFtrace | undefined;
}

/**
 * An address as the number that tables are keyed by: signed, as `Hart.addressIn` has it, so that
 * the low and the high end of a space are exact. One in between is no safe integer, and equals none.
 */
export function addressKey(address: bigint): number {
  return Number(BigInt.asIntN(64, address));
}

function storedKey(address: bigint): number {
  const key = addressKey(address);
  if (Number.isSafeInteger(key)) return key;
  throw new RangeError(
    `Cannot trace at 0x${address.toString(16)}: sites lie within 2^53 of either end of a space`,
  );
}
