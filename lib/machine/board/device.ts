/**
 * What a device of a board is, as data and as behaviour, and what a board is made of.
 *
 * A device is a {@linkcode DeviceRow} in a board's table and nothing elsewhere: the row says where
 * its registers lie and which interrupt inputs of harts its lines go to, so that the board can
 * wire it, and a device tree can be written from the same data. A device is behind no cache and
 * takes no time: an access is done when its instruction is.
 *
 * How rows become a board is `board.ts`; the table of the board that there is, `virt.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import type { AddressSpace } from "../../memory/space.ts";
import type { SymbolTable } from "../../program/symbols.ts";
import type { Outcome } from "../outcome.ts";

/** A stretch of physical addresses whose loads and stores a device answers. */
export interface Region {
  /** First address; below 4 GiB, and nothing else may be there. */
  readonly start: number;
  /** Size of the stretch in bytes. */
  readonly size: number;
}

/** An interrupt input: of a hart, or of the board's interrupt controller. */
export type InterruptInput = HartInput | SourceInput;

/** An interrupt input of a hart. */
export interface HartInput {
  /** Number of the hart. */
  readonly hart: number;
  /** Number of the interrupt in mip: 3 software, 7 timer, 11 external, for machine mode. */
  readonly interrupt: number;
}

/** An interrupt input of the board's interrupt controller. */
export interface SourceInput {
  /** Number of the source, from 1 on. */
  readonly source: number;
}

/** A wire from a device to an interrupt input. Several devices may share an input. */
export interface InterruptLine {
  /**
   * Raises the line or lets it fall; the input is up while any line to it is. Raising a line that is
   * up asks an interrupt controller again.
   */
  set(up: boolean): void;
}

/** What a device is given when it is made: its wires, and the machine around it. */
export interface DeviceContext {
  /** All harts of the machine. */
  readonly harts: readonly Hart[];
  /** The physical address space of the machine. */
  readonly space: AddressSpace;
  /** Where RAM lies. */
  readonly ram: Region;
  /** The symbols of the firmware: the program that the board boots. */
  readonly symbols: SymbolTable;
  /** The lines to the inputs of {@linkcode DeviceRow.interrupts}, in that order. */
  readonly lines: readonly InterruptLine[];
  /** Gives up to so many bytes of the host's input; no bytes are its end. Absent if there is none. */
  readonly stdin?: ((length: number) => Promise<Uint8Array>) | undefined;
  /** Whether the host may be asked for input when the guest looks for it, or only when it waits. */
  readonly stdinWhen: "looking" | "waiting";
  /** Takes what the guest prints. */
  stdout(data: Uint8Array): void;
  /** Takes what the guest prints as an error. */
  stderr(data: Uint8Array): void;
  /** Takes a line about something that the guest asked for and did not get. */
  warn(line: string): void;
  /**
   * Calls `stored` behind each store of the guest's to the 8 bytes at an address of RAM, and behind
   * some that only begin less than 8 bytes below. Every store to the page costs a microsecond then.
   */
  watchStores(address: number, stored: () => void): void;
  /** Has {@linkcode BoardDevice.serve} of every device called behind the present instruction. */
  requestService(): void;
  /**
   * To be called when {@linkcode BoardDevice.nextEvent} is another than before, unless that came by an
   * access to a register of the device, after which it is asked anyway.
   */
  reschedule(): void;
}

/** What a device does. Offsets count from the start of a region; `hart` is who accesses it. */
export interface BoardDevice {
  /**
   * The value of `bytes` bytes at an aligned offset, unsigned; undefined is an access fault.
   * Without this, every register reads 0.
   */
  read?(offset: number, bytes: number, hart: number, region: number): bigint | undefined;
  /** Takes an unsigned value; false is an access fault. Without this, stores do nothing. */
  write?(offset: number, bytes: number, value: bigint, hart: number, region: number): boolean;
  /** Puts every register and line where they are before the first instruction. */
  reset?(): void;
  /**
   * When the device does something by itself next, as `hart.now()` counts: the same moment until it
   * has been done, even if that is past. Undefined if nothing is to come on this hart's time. Each
   * hart has a time of its own, so an event is for one of them: whose request it answers, or hart 0.
   */
  nextEvent?(hart: Hart): bigint | undefined;
  /** Does what is due on this hart's time. After that, the next event lies in the future. */
  advance?(hart: Hart): void;
  /**
   * Whether the next event on this hart's time may end a wait for interrupts. Without this, it may
   * if an input that the device has a line to is enabled.
   */
  mayWake?(hart: Hart): boolean;
  /**
   * Does what was put off until behind the present instruction; an outcome ends the run. The guest
   * stands still until a promise is settled.
   */
  serve?(): Outcome | undefined | Promise<Outcome | undefined>;
  /** The input of a source, if the device is the board's interrupt controller. @throws {RangeError} */
  connect?(source: number): InterruptLine;
  /**
   * Settles when input of the host's has come that may end a wait of the guest's; undefined if none is
   * on its way. With `isLastHope`, nothing else can end it, and the host may be asked.
   */
  awaitedInput?(isLastHope: boolean): Promise<void> | undefined;
  /** Whether the guest looks for input of the host's that has come to its end. */
  readonly inputEnded?: boolean;
}

/** A property in the device tree: cells of 32 bits, or texts. Without any, it is only there. */
export type TreeProperty = readonly number[] | readonly string[];

/** A kind of device: one row of a board's table. */
export interface DeviceRow {
  /** The device tree's name for it, without an address. */
  readonly name: string;
  /** The device tree's `compatible`, the most exact first. */
  readonly compatible: readonly string[];
  /** Where its registers lie; none if it is reached otherwise. */
  readonly regions: readonly Region[];
  /** What else the device tree says of it. Its name, `compatible`, regions and inputs need no word. */
  readonly properties?: Readonly<Record<string, TreeProperty>> | undefined;
  /** Whether it is there beside this firmware; it is if absent. */
  isPresent?(symbols: SymbolTable): boolean;
  /** The interrupt inputs that it has lines to, on a board of so many harts. */
  interrupts(harts: number): readonly InterruptInput[];
  /** Makes the device of one machine. {@linkcode BoardDevice.reset} comes next. */
  create(context: DeviceContext): BoardDevice;
}

/** A board as data. RAM begins at the same address (`ram.ts`) on every one. */
export interface BoardMap {
  /** What the board is called. */
  readonly name: string;
  /** The device tree's `compatible` of its root. */
  readonly compatible: readonly string[];
  /** The board's devices. Events that are due at one moment happen in this order. */
  readonly devices: readonly DeviceRow[];
}
