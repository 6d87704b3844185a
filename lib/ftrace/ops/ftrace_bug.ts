/**
 * What the kernel prints when a site is not what its record says (`ftrace_bug`).
 *
 * @module
 */
import type { SymbolTable } from "../../program/symbols.ts";
import { type DynFtrace, FTRACE_FL_REGS, ftraceRefCount } from "../../patcher/dyn_ftrace.ts";
import type { FtraceBug, SiteChange } from "../../patcher/patcher.ts";

/** The report's lines. `change` is what was about to happen to the site. */
export function ftraceBugReport(
  symbols: SymbolTable,
  record: DynFtrace,
  bug: FtraceBug,
  change: SiteChange | undefined,
): string[] {
  const hex = (value: bigint) => value.toString(16).padStart(16, "0");
  const bytes = (found: Uint8Array) =>
    [...found].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  const symbol = symbols.at(record.ip);
  const place = symbol
    ? `${symbol.symbol.name}+0x${symbol.offset.toString(16)}/0x${symbol.symbol.size.toString(16)}`
    : `0x${record.ip.toString(16)}`;
  return [
    "------------[ ftrace bug ]------------",
    "ftrace failed to modify ",
    `[<${hex(record.ip)}>] ${place}`,
    ` actual:   ${bytes(bug.found)}`,
    ` expected: ${bytes(bug.expected)}`,
    change?.to && change.from
      ? "Updating ftrace call site to call a different ftrace function"
      : change?.to
      ? "Setting ftrace call site to call ftrace function"
      : "Setting ftrace call site to NOP",
    `ftrace record flags: ${(record.flags >>> 0).toString(16)}`,
    ` (${ftraceRefCount(record)})${record.flags & FTRACE_FL_REGS ? " R" : "  "}`,
    ` expected tramp: ${hex(change?.to?.caller ?? 0n)}`,
    "ftrace is off from here on: whatever is asked of it gives ENODEV",
  ];
}
