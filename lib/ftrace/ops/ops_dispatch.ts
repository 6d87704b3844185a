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
import { type FramePlace, FtraceRegs } from "../../trampoline/ftrace_regs.ts";
import { type IpTable, LIST_PRICE, lookUp } from "../../trampoline/list_func.ts";
import { describe } from "../callbacks.ts";
import type { CallHandlers, TracedCall } from "./call_paths.ts";
import { hashAllows } from "./filter.ts";
import { FtraceError } from "../ftrace_error.ts";
import { FTRACE_OPS_FL_IPMODIFY, FTRACE_OPS_FL_PID, FTRACE_OPS_FL_STUB } from "./ftrace_ops.ts";
import type { OpsUse } from "./ops_rules.ts";
import { createRecursion, type RecursionLayer } from "./recursion.ts";

/** An ops that the core has taken in. */
export interface RegisteredOps extends OpsUse {
  /** Place of its stub and struct. */
  readonly slot: number;
  /** Counts up from one registration to the next. */
  readonly order: number;
  /** ADDING, REMOVING or MODIFYING while sites are switched for it; 0 at any other time. */
  passing: number;
  /** What it does with a call. */
  readonly call: (call: TracedCall) => void;
  /** Where its sites lead without a trampoline, if it is a direct call; 0 if not. */
  directCall: bigint;
  /** The next in the list. Kept when this one is removed: a walk may be here. */
  next: RegisteredOps | undefined;
  /** Its hash as guest memory has it. */
  tables: { readonly filter: IpTable | undefined; readonly notrace: IpTable | undefined };
  /** Calls so far. */
  calls: number;
}

/** What {@linkcode createOpsDispatch} needs of the core. */
export interface OpsDispatchHost {
  /** The record of a site. */
  recordAt(ip: number): DynFtrace | undefined;
  /** Whether the running task passes the pid filter. */
  isTraced(): boolean;
  /** Takes a line about something wrong. */
  report(line: string): void;
  /** Unregisters an ops that has misbehaved. */
  remove(entry: RegisteredOps): void;
}

/** See the module; it serves calls as {@linkcode CallHandlers} says. */
export interface OpsDispatch extends Omit<CallHandlers, "leave"> {
  /** First of the list of ops. */
  head: RegisteredOps | undefined;
  /** Ops by slot. */
  readonly bySlot: (RegisteredOps | undefined)[];
  /** Nobody is called any more: a site was not what its record said. */
  dead: boolean;
  /** Calls that have reached an ops. */
  readonly calls: number;
  /** The call being served, for the recording callback. */
  readonly call: TracedCall;
  /** That call, or undefined while none is being served. */
  readonly current: TracedCall | undefined;
}

/** Starts with an empty list. */
export function createOpsDispatch(
  machine: Machine,
  frame: FrameLayout,
  firstRecord: DynFtrace,
  host: OpsDispatchHost,
): OpsDispatch {
  const { memory } = machine;
  const recursion = createRecursion();
  const call: TracedCall = {
    hart: machine.harts[0]!,
    record: firstRecord,
    ip: 0n,
    parentIp: 0n,
    sp: 0,
    fregs: new FtraceRegs(memory, frame, machine.space),
  };
  let calls = 0;
  /** Whether a call is being served: a callback that runs guest code nests. */
  let depth = 0;
  let framePlace: FramePlace = { offset: 0, address: 0, space: machine.space };
  let frameLayout = frame;

  const begin = (
    hart: Hart,
    record: DynFtrace,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
  ) => {
    call.hart = hart;
    call.record = record;
    call.ip = record.ip;
    call.sp = sp;
    framePlace = place;
    frameLayout = layout;
    call.fregs.point(place, layout);
    call.parentIp = call.fregs.returnAddress;
  };
  /** Runs `body` on one call; the one that it interrupts finds everything as it was. */
  const within = (
    hart: Hart,
    record: DynFtrace,
    sp: number,
    place: FramePlace,
    layout: FrameLayout,
    body: () => void,
  ) => {
    if (dispatch.dead) return;
    if (depth === 0) {
      begin(hart, record, sp, place, layout);
      depth++;
      try {
        body();
      } finally {
        depth--;
      }
      return;
    }
    const outer = { ...call, place: framePlace, layout: frameLayout };
    begin(hart, record, sp, place, layout);
    try {
      body();
    } finally {
      begin(outer.hart, outer.record, outer.sp, outer.place, outer.layout);
      call.parentIp = outer.parentIp;
    }
  };

  const serve = (entry: RegisteredOps) => {
    if (entry.flags & FTRACE_OPS_FL_PID && !host.isTraced()) return;
    entry.calls++;
    calls++;
    const { fregs } = call;
    const { epc: epcAt, ra: raAt } = frameLayout;
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
      host.report(
        `[${entry.ops.name ?? "ops"}] Cannot trace ${where}: ${
          describe(error)
        }; it is unregistered`,
      );
      host.remove(entry);
    }
  };

  /** `body` under the lock, and its price around it. */
  const locked = (
    layer: RecursionLayer,
    { hart }: TracedCall,
    ip: number,
    body: () => void,
  ) => {
    hart.charge(LIST_PRICE.enter);
    const bit = recursion.trylock(hart.id, layer, ip);
    if (bit >= 0) {
      body();
      recursion.unlock(hart.id, bit);
      hart.charge(LIST_PRICE.unlock);
    }
    hart.charge(LIST_PRICE.exit);
  };
  const walk = (hart: Hart, ip: number) => {
    let price: number = LIST_PRICE.start;
    for (let entry = dispatch.head; entry; entry = entry.next) {
      price += LIST_PRICE.step;
      if ((entry.flags & FTRACE_OPS_FL_STUB) === 0) {
        const test = testTables(entry, ip);
        price += test.price;
        if (test.wanted) {
          hart.charge(price + LIST_PRICE.call);
          price = 0;
          serve(entry);
        }
      }
      price += LIST_PRICE.next;
    }
    hart.charge(price + LIST_PRICE.end);
  };

  const dispatch: OpsDispatch = {
    head: undefined,
    bySlot: [],
    dead: false,
    get calls() {
      return calls;
    },
    call,
    get current() {
      return depth > 0 ? call : undefined;
    },
    recursion,
    enter(hart, ip, sp, place, layout, slot, by) {
      const record = host.recordAt(ip);
      if (!record) return;
      const entry = dispatch.bySlot[slot];
      // The way of nearly every call, without a closure.
      if (by === "direct" && depth === 0) {
        if (!entry || dispatch.dead) return;
        begin(hart, record, sp, place, layout);
        depth = 1;
        serve(entry);
        depth = 0;
        return;
      }
      within(hart, record, sp, place, layout, () => {
        if (by === "list") locked("list", call, ip, () => walk(hart, ip));
        else if (by === "direct") { if (entry) serve(entry); }
        else {
          locked("ftrace", call, ip, () => {
            hart.charge(LIST_PRICE.assist + LIST_PRICE.call);
            if (entry) serve(entry);
          });
        }
      });
    },
    stub(hart, ip, sp, place, layout, slot) {
      const record = host.recordAt(ip);
      const entry = dispatch.bySlot[slot];
      if (!record || !entry) return;
      within(hart, record, sp, place, layout, () => {
        // An ops before it in the list may have hooked the return; the argument is what it was.
        call.parentIp = BigInt.asUintN(64, hart.x[A1]!);
        serve(entry);
      });
    },
    virtual(hart, record, sp, place, layout) {
      within(hart, record, sp, place, layout, () => {
        const bit = recursion.trylock(hart.id, "list", Number(record.ip));
        if (bit < 0) return;
        for (let entry = dispatch.head; entry; entry = entry.next) {
          const skipped = (entry.flags & FTRACE_OPS_FL_STUB) !== 0;
          if (!skipped && hashAllows(entry.hash, record.index)) serve(entry);
        }
        recursion.unlock(hart.id, bit);
      });
    },
  };
  return dispatch;
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
