/**
 * From a call that a trampoline makes to the ops that want it.
 *
 * On the guest path the hart executes the list function itself and reaches each ops' own stub, so
 * that one ops is served at a time. On the fast path the same walk is done here, over the same list
 * and tables, and charged what the code would have retired. Either way a callback that throws, or
 * changes the ip without IPMODIFY, is unregistered, and the guest goes on.
 *
 * How a hart gets here is `call_paths.ts`; the guest code is `lib/trampoline/list_func.ts`.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { A1 } from "../../isa/abi.ts";
import type { Machine } from "../../machine/machine.ts";
import type { DynFtrace } from "../../patcher/dyn_ftrace.ts";
import type { FrameLayout } from "../../trampoline/frame.ts";
import type { FramePlace } from "../../trampoline/ftrace_regs.ts";
import { type IpTable, LIST_PRICE, lookUp } from "../../trampoline/list_func.ts";
import { describe } from "../callbacks.ts";
import type { CallHandlers } from "./call_paths.ts";
import { hashAllows } from "./filter.ts";
import { FtraceError } from "../ftrace_error.ts";
import { FTRACE_OPS_FL_IPMODIFY, FTRACE_OPS_FL_PID, FTRACE_OPS_FL_STUB } from "./ftrace_ops.ts";
import type { OpsUse } from "./ops_rules.ts";
import { addressKey } from "./record_table.ts";
import { createRecursion, type Recursion, type RecursionLayer } from "./recursion.ts";
import type { ServedCall, TracedCall } from "./served_call.ts";
import type { Dispatch } from "./tracing_area.ts";

/** A registered ops, with its place in guest memory and its calls so far. */
export interface RegisteredOps extends OpsUse {
  /** Number of the ops' slot: the place of its stub and struct in the tracing range. */
  readonly slot: number;
  /** Counts up from one registration to the next. */
  readonly order: number;
  /** ADDING, REMOVING or MODIFYING while sites are switched for it; 0 at any other time. */
  passing: number;
  /** Runs the ops' callback for a call. */
  readonly call: (call: TracedCall) => void;
  /** Where its sites lead without a trampoline, if it is a direct call; 0 if not. */
  directCall: bigint;
  /** The next in the list. Kept when this one is removed: a walk may be here. */
  next: RegisteredOps | undefined;
  /** The tables of the ops' hash that guest memory holds. */
  tables: { readonly filter: IpTable | undefined; readonly notrace: IpTable | undefined };
  /** How many calls have reached the ops. */
  calls: number;
}

/** What {@linkcode OpsDispatch} needs of the core. */
export interface OpsDispatchHost {
  /** The record of the site at `ip`. */
  recordAt(ip: number): DynFtrace | undefined;
  /** Whether the running task passes the pid filter. */
  isTraced(): boolean;
  /** Takes a line about something wrong. */
  report(line: string): void;
  /** Unregisters an ops that has misbehaved. */
  remove(entry: RegisteredOps): void;
}

/** Leads the calls of one machine to the ops on its list. */
export class OpsDispatch implements CallHandlers {
  /** First of the list of ops. */
  head: RegisteredOps | undefined = undefined;
  /** Ops by slot. */
  readonly bySlot: (RegisteredOps | undefined)[] = [];
  /** Nobody is called any more: a site was not what its record said. */
  dead = false;
  /** The locks that the list and assist functions take. */
  readonly recursion: Recursion = createRecursion();
  /** Calls that have reached an ops. */
  calls = 0;
  readonly #served: ServedCall;
  readonly #host: OpsDispatchHost;
  #place: FramePlace;
  #layout: FrameLayout;

  /** Starts with an empty list. */
  constructor(machine: Machine, frame: FrameLayout, served: ServedCall, host: OpsDispatchHost) {
    this.#served = served;
    this.#host = host;
    this.#place = { offset: 0, address: 0, space: machine.space };
    this.#layout = frame;
  }

  /** A traced entry on the fast path; see {@linkcode CallHandlers.enter}. */
  enter(
    hart: Hart,
    ip: number,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
    slot: number,
    by: Dispatch,
  ): void {
    const record = this.#host.recordAt(ip);
    if (!record) return;
    const entry = this.bySlot[slot];
    const served = this.#served;
    // The way of nearly every call, without a closure.
    if (by === "direct" && served.depth === 0) {
      if (!entry || this.dead) return;
      this.#begin(hart, record, sp, place, layout);
      served.depth = 1;
      this.#serve(entry);
      served.depth = 0;
      served.call.fregs.release();
      return;
    }
    this.#within(hart, record, sp, place, layout, () => {
      if (by === "list") this.#locked("list", hart, ip, () => this.#walk(hart, ip));
      else if (by === "direct") { if (entry) this.#serve(entry); }
      else {
        this.#locked("ftrace", hart, ip, () => {
          hart.charge(LIST_PRICE.assist + LIST_PRICE.call);
          if (entry) this.#serve(entry);
        });
      }
    });
  }

  /** A traced entry that has reached the stub of `slot`. */
  stub(
    hart: Hart,
    ip: number,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
    slot: number,
  ): void {
    const record = this.#host.recordAt(ip);
    const entry = this.bySlot[slot];
    if (!record || !entry) return;
    this.#within(hart, record, sp, place, layout, () => {
      // An ops before it in the list may have hooked the return; parent_ip in a1 is what it was.
      this.#served.call.parentIp = BigInt.asUintN(64, hart.x[A1]!);
      this.#serve(entry);
    });
  }

  /** A traced entry at a virtual site: there is no list function to be charged for. */
  virtual(
    hart: Hart,
    record: DynFtrace,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
  ): void {
    this.#within(hart, record, sp, place, layout, () => {
      const bit = this.recursion.trylock(hart.id, "list", addressKey(record.ip));
      if (bit < 0) return;
      for (let entry = this.head; entry; entry = entry.next) {
        const skipped = (entry.flags & FTRACE_OPS_FL_STUB) !== 0;
        if (!skipped && hashAllows(entry.hash, record.index)) this.#serve(entry);
      }
      this.recursion.unlock(hart.id, bit);
    });
  }

  #begin(
    hart: Hart,
    record: DynFtrace,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
  ): void {
    const { call } = this.#served;
    call.hart = hart;
    call.record = record;
    call.ip = record.ip;
    call.sp = sp;
    this.#place = place;
    this.#layout = layout;
    call.fregs.point(place, layout);
    call.parentIp = call.fregs.returnAddress;
  }

  /** Runs `body` on one call; the one that it interrupts finds everything as it was. */
  #within(
    hart: Hart,
    record: DynFtrace,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
    body: () => void,
  ): void {
    if (this.dead) return;
    const served = this.#served;
    if (served.depth === 0) {
      this.#begin(hart, record, sp, place, layout);
      served.depth++;
      try {
        body();
      } finally {
        served.depth--;
        served.call.fregs.release();
      }
      return;
    }
    const outer = { ...served.call, place: this.#place, layout: this.#layout };
    this.#begin(hart, record, sp, place, layout);
    try {
      body();
    } finally {
      this.#begin(outer.hart, outer.record, outer.sp, outer.place, outer.layout);
      served.call.parentIp = outer.parentIp;
    }
  }

  #serve(entry: RegisteredOps): void {
    if (entry.flags & FTRACE_OPS_FL_PID && !this.#host.isTraced()) return;
    entry.calls++;
    this.calls++;
    const { call } = this.#served;
    const { fregs } = call;
    const { epc: epcAt, ra: raAt } = this.#layout;
    const epc = fregs.half(epcAt);
    const epcHigh = fregs.half(epcAt + 4);
    const returnsTo = fregs.half(raAt);
    try {
      entry.call(call);
      const isIpChanged = fregs.half(epcAt) !== epc || fregs.half(epcAt + 4) !== epcHigh;
      if ((entry.flags & FTRACE_OPS_FL_IPMODIFY) === 0 && isIpChanged) {
        fregs.instructionPointer = BigInt(epcHigh) << 32n | BigInt(epc >>> 0);
        throw new FtraceError(
          "EINVAL",
          "no-ipmodify",
          "it changed the instruction pointer without FTRACE_OPS_FL_IPMODIFY",
          "flags: ftrace.flags.IPMODIFY and a filter",
        );
      }
      // An ops made the function return at once, and this one hooked the return: through there.
      if (fregs.half(epcAt) === returnsTo && fregs.half(raAt) !== returnsTo) {
        fregs.instructionPointer = fregs.returnAddress;
      }
    } catch (error) {
      const where = `${call.record.name}, call ${entry.calls}`;
      this.#host.report(
        `[${entry.ops.name ?? "ops"}] Cannot trace ${where}: ${
          describe(error)
        }; it is unregistered`,
      );
      this.#host.remove(entry);
    }
  }

  /** `body` under the lock, and its price around it. */
  #locked(layer: RecursionLayer, hart: Hart, ip: number, body: () => void): void {
    hart.charge(LIST_PRICE.enter);
    const bit = this.recursion.trylock(hart.id, layer, ip);
    if (bit >= 0) {
      body();
      this.recursion.unlock(hart.id, bit);
      hart.charge(LIST_PRICE.unlock);
    }
    hart.charge(LIST_PRICE.exit);
  }

  #walk(hart: Hart, ip: number): void {
    let price: number = LIST_PRICE.start;
    for (let entry = this.head; entry; entry = entry.next) {
      price += LIST_PRICE.step;
      if ((entry.flags & FTRACE_OPS_FL_STUB) === 0) {
        const test = testTables(entry, ip);
        price += test.price;
        if (test.wanted) {
          hart.charge(price + LIST_PRICE.call);
          price = 0;
          this.#serve(entry);
        }
      }
      price += LIST_PRICE.next;
    }
    hart.charge(price + LIST_PRICE.end);
  }
}

/** `ftrace_ops_test` on the tables, with the instructions that it retires. */
function testTables({ tables }: RegisteredOps, ip: number): { wanted: boolean; price: number } {
  let price: number = LIST_PRICE.filter;
  if (tables.filter) {
    const { found, price: more } = lookUp(tables.filter, ip);
    price += more;
    if (!found) return { wanted: false, price };
  }
  price += LIST_PRICE.notrace;
  if (!tables.notrace) return { wanted: true, price };
  const { found, price: more } = lookUp(tables.notrace, ip);
  return { wanted: !found, price: price + more };
}
