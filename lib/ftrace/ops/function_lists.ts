/**
 * The lists of functions, as control files show them: what can be traced, what is, and what was.
 *
 * Text is the kernel's to the character, trailing blanks included (`kernel/trace/ftrace.c t_show`).
 * An ops is printed as `%pS` prints its address: those of the kernel's own have names and sizes, a
 * tracer's has its name, and one without a name is on the heap, where there is only a number.
 *
 * @module
 */
import { hex } from "../../isa/hex.ts";
import type { SymbolTable } from "../../program/symbols.ts";
import {
  type DynFtrace,
  FTRACE_FL_CALL_OPS,
  FTRACE_FL_CALL_OPS_EN,
  FTRACE_FL_DIRECT,
  FTRACE_FL_ENABLED,
  FTRACE_FL_IPMODIFY,
  FTRACE_FL_MODIFIED,
  FTRACE_FL_REGS,
  FTRACE_FL_TOUCHED,
  ftraceRefCount,
} from "../../patcher/dyn_ftrace.ts";
import { OPS_SIZE } from "../../trampoline/ops_struct.ts";
import { listedName } from "./filter_files.ts";
import { FTRACE_OPS_FL_DIRECT, FTRACE_OPS_FL_PID } from "./ftrace_ops.ts";
import type { FunctionCore } from "./function_core.ts";
import type { RegisteredOps } from "./ops_dispatch.ts";
import { hasPidFilter } from "./pid_filter.ts";

/** The files, each a function that gives its text now. */
export interface FunctionLists {
  /** Functions whose sites call something: users, flags, and whom. */
  enabled_functions(): string;
  /** Functions that were traced at any time, in the same form. */
  touched_functions(): string;
  /** Functions that can be traced, one a line. */
  available_filter_functions(): string;
  /** Functions that can be traced, the address of each one's site before it. */
  available_filter_functions_addrs(): string;
  /** How many records there are, and what memory a kernel would keep them in. */
  dyn_ftrace_total_info(): string;
}

/** One user of the graph tracer at a function, by the names of its handlers. */
export interface GraphUserNames {
  /** Name of the user's `entryFunc`. */
  readonly entry: string;
  /** Name of the user's `retFunc`. */
  readonly ret: string;
}

/** The registrations that {@linkcode createFunctionLists} prints. */
export interface FunctionListsContext {
  /** The function core, which knows the records and their ops. */
  readonly core: FunctionCore;
  /** Names of direct trampolines. */
  readonly symbols: SymbolTable;
  /** Whether the kernel tells how long switching sites took. */
  readonly tellsUpdateTime: boolean;
  /** Users of the graph tracer at a function. */
  readonly graphUsers: (record: DynFtrace) => readonly GraphUserNames[];
}

/** Bytes of what Linux 7.2.13 has under these names. */
const SIZES: Readonly<Record<string, number>> = {
  global_ops: 0x3e8,
  function_trace_call: 0x158,
  graph_ops: 0x188,
  ftrace_graph_func: 0x48,
  trace_graph_entry: 0x20,
  trace_graph_return: 0x128,
};
/** A tracer's callback is its stub: one instruction. */
const STUB_SIZE = 4;
/** Records of 16 bytes in a page. */
const RECORDS_PER_PAGE = 256;

/** Makes the lists of one machine. */
export function createFunctionLists(context: FunctionListsContext): FunctionLists {
  const { core, symbols } = context;
  const { records } = core;
  const usable = () => records.filter(({ kind }) => kind !== "disabled");
  const named = (name: string, size = STUB_SIZE) =>
    `${name}+0x0/0x${(SIZES[name] ?? size).toString(16)}`;

  const opsText = ({ ops, slot }: RegisteredOps) =>
    ops.name === undefined ? hex(core.area.ops(slot)) : named(ops.name, OPS_SIZE);
  const funcText = ({ ops, slot, flags }: RegisteredOps) => {
    if (flags & FTRACE_OPS_FL_PID && hasPidFilter(core.pids)) return named("ftrace_pid_func");
    if (ops.func === core.functionTraceCall) return named("function_trace_call");
    if (flags & FTRACE_OPS_FL_DIRECT) return named("call_direct_funcs");
    if (ops.name === "graph_ops" && !ops.func) return named("ftrace_graph_func");
    if (ops.name === "fprobe_ftrace_ops" && !ops.func) return named("fprobe_ftrace_entry");
    const name = (ops.hit ?? ops.func)?.name;
    return name ? named(name) : hex(core.area.stub(slot));
  };
  const symbolText = (address: bigint) => {
    const found = symbols.at(address);
    if (!found) return hex(address);
    const { symbol: { name, size }, offset } = found;
    return `${name}+0x${offset.toString(16)}/0x${size.toString(16)}`;
  };

  const line = (record: DynFtrace): string => {
    const { flags } = record;
    const column = (flag: number, text: string) => (flags & flag ? text : " ".repeat(text.length));
    let text = `${listedName(record)} (${ftraceRefCount(record)})` +
      column(FTRACE_FL_REGS, " R") + column(FTRACE_FL_IPMODIFY, " I") +
      column(FTRACE_FL_DIRECT, " D") + column(FTRACE_FL_CALL_OPS, " O") +
      column(FTRACE_FL_MODIFIED, " M ");
    const users = core.usesOf(record);
    const [only] = users;
    if (flags & FTRACE_FL_CALL_OPS_EN && only) {
      text += `\tops: ${opsText(only)} (${funcText(only)})`;
      const parts = only.ops.name === "graph_ops" ? context.graphUsers(record) : [];
      if (parts.length > 0) text += "\tsubops:";
      for (const { entry, ret } of parts) text += ` {ent:${named(entry)} ret:${named(ret)}}`;
    }
    const direct = users.find(({ directCall }) => directCall !== 0n);
    if (flags & FTRACE_FL_DIRECT && direct) text += `\n\tdirect-->${symbolText(direct.directCall)}`;
    return `${text}\n`;
  };

  return {
    enabled_functions: () =>
      records.filter(({ flags }) => flags & FTRACE_FL_ENABLED).map(line).join(""),
    touched_functions: () =>
      records.filter(({ flags }) => flags & FTRACE_FL_TOUCHED).map(line).join(""),
    available_filter_functions: () => usable().map((record) => `${listedName(record)}\n`).join(""),
    available_filter_functions_addrs: () =>
      usable().map((record) => `${hex(record.ip)} ${listedName(record)}\n`).join(""),
    dyn_ftrace_total_info() {
      const pages = Math.ceil(records.length / RECORDS_PER_PAGE);
      // Pages are taken in powers of two, the largest first, so that none is left over.
      const groups = pages.toString(2).replaceAll("0", "").length;
      const times = "ftrace boot update time = 0 (ns)\nftrace module total update time = 0 (ns)\n";
      return `${records.length} pages:${pages} groups: ${groups}\n${
        context.tellsUpdateTime ? times : ""
      }`;
    },
  };
}
