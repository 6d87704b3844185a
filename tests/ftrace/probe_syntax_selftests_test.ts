/**
 * What the kernel's own tests `kprobe_syntax_errors` and `fprobe_syntax_errors` assert, line by line:
 * that a definition is refused, and that `error_log` has a caret where `^` stands. The error that
 * each script names in a comment is asserted, too.
 *
 * Lines that a script leaves out on RISC-V, or for a kernel without BTF, are left out here.
 *
 * @module
 */
import { assertEquals, assertMatch } from "@std/assert";
import { PROBE_ERRORS, type ProbeError } from "../../lib/ftrace/probes/probe_fault.ts";
import { createTracefs } from "../../lib/tracefs/tracefs.ts";
import { filesOf } from "../tracefs/guest.ts";
import { makeFirmware, tracedFirmware } from "./made_guest.ts";

type Line = readonly [command: string, error: ProbeError];

const LONG = "1234567890".repeat(6) + "12345";
const NESTED = "+0(".repeat(13) + "@0" + ")".repeat(14);
const LONG_ARGUMENT = "+1234567(".repeat(6) + "@1234" + "))))))";

/** What both scripts have, with the letter of the kind of probe. */
const common = (kind: string): readonly Line[] => [
  [`${kind} ^non_exist_func`, "BAD_PROBE_ADDR"],
  [`${kind}:^/bar vfs_read`, "NO_GROUP_NAME"],
  [`${kind}:^${LONG}/bar vfs_read`, "GROUP_TOO_LONG"],
  [`${kind}:^foo.1/bar vfs_read`, "BAD_GROUP_NAME"],
  [`${kind}:^ vfs_read`, "NO_EVENT_NAME"],
  [`${kind}:foo/^${LONG} vfs_read`, "EVENT_TOO_LONG"],
  [`${kind}:foo/^bar.1 vfs_read`, "BAD_EVENT_NAME"],
  [`${kind} vfs_read ^$stack10000`, "BAD_STACK_NUM"],
  [`${kind} vfs_read ^$none_var`, "BAD_VAR"],
  [`${kind} vfs_read ^@12345678abcde`, "BAD_MEM_ADDR"],
  [`${kind} vfs_read ^@+10`, "FILE_ON_KPROBE"],
  [`${kind} vfs_read arg1=\\^x`, "BAD_IMM"],
  [`${kind} vfs_read arg1=\\"abcd^`, "IMMSTR_NO_CLOSE"],
  [`${kind} vfs_read ^+0@0)`, "DEREF_NEED_BRACE"],
  [`${kind} vfs_read ^+0ab1(@0)`, "BAD_DEREF_OFFS"],
  [`${kind} vfs_read +0(+0(@0^)`, "DEREF_OPEN_BRACE"],
  [`${kind} vfs_read +0(^$comm)`, "COMM_CANT_DEREF"],
  [`${kind} vfs_read ^&1`, "BAD_FETCH_ARG"],
  [`${kind} vfs_read +0(^${NESTED}`, "TOO_MANY_OPS"],
  [`${kind} vfs_read +0(@11):u8[10^`, "ARRAY_NO_CLOSE"],
  [`${kind} vfs_read +0(@11):u8[10]^a`, "BAD_ARRAY_SUFFIX"],
  [`${kind} vfs_read +0(@11):u8[^10a]`, "BAD_ARRAY_NUM"],
  [`${kind} vfs_read +0(@11):u8[^256]`, "ARRAY_TOO_BIG"],
  [`${kind} vfs_read @11:^unknown_type`, "BAD_TYPE"],
  [`${kind} vfs_read $stack0:^string`, "BAD_STRING"],
  [`${kind} vfs_read @11:^b10@a/16`, "BAD_BITFIELD"],
  [`${kind} vfs_read ^arg123456789012345678901234567890=@11`, "ARG_NAME_TOO_LONG"],
  [`${kind} vfs_read ^=@11`, "NO_ARG_NAME"],
  [`${kind} vfs_read ^var.1=@11`, "BAD_ARG_NAME"],
  [`${kind} vfs_read var1=@11 ^var1=@12`, "USED_ARG_NAME"],
  [`${kind} vfs_read ^${LONG_ARGUMENT}`, "ARG_TOO_LONG"],
  [`${kind} vfs_read arg1=^`, "NO_ARG_BODY"],
  [`${kind} vfs_read^%hoge`, "BAD_ADDR_SUFFIX"],
  // With BTF the kernel looks for the parameter first; without it the number is wrong.
  [`${kind} vfs_read ^$arg10000`, "NO_BTFARG"],
  [`${kind} do_exit ^$arg10000`, "BAD_ARG_NUM"],
  [`${kind} vfs_read args=^$arg*`, "BAD_VAR_ARGS"],
  [`${kind} vfs_read +0(^$arg*)`, "BAD_VAR_ARGS"],
  [`${kind} vfs_read $arg* ^$arg*`, "DOUBLE_ARGS"],
  [`${kind} vfs_read ^hoge`, "NO_BTFARG"],
  [`${kind} kfree ^$arg10`, "NO_BTFARG"],
  [`${kind} vfs_read file->^foo`, "NO_BTF_FIELD"],
  [`${kind} vfs_read file^-.foo`, "BAD_HYPHEN"],
  [`${kind} vfs_read ^file:string`, "BAD_TYPE4STR"],
];

const OF_KPROBES: readonly Line[] = [
  ["p^100 vfs_read", "BAD_MAXACT_TYPE"],
  ["r^1a111 vfs_read", "BAD_MAXACT"],
  ["r^100000 vfs_read", "MAXACT_TOO_BIG"],
  ["p ^hoge-fuga", "BAD_PROBE_ADDR"],
  ["p ^hoge+1000-1000", "BAD_PROBE_ADDR"],
  ["r ^vfs_read+10", "BAD_RETPROBE"],
  ["p ^vfs_read+10%return", "BAD_RETPROBE"],
  ["p vfs_read ^$retval", "RETVAL_ON_PROBE"],
  ["p vfs_read ^%none_reg", "BAD_REG_NAME"],
  ["p vfs_read+8 ^$arg*", "NOFENTRY_ARGS"],
  ["r kfree ^$retval", "NO_RETVAL"],
  ["r vfs_read $retval->^foo", "NO_PTR_STRCT"],
];

/** Up to 6.12 a return may say how many calls it waits for. */
const MAXACTIVE_OF_FPROBES: Readonly<Record<"old" | "new", readonly Line[]>> = {
  old: [
    ["f^100 vfs_read", "BAD_MAXACT_TYPE"],
    ["f^1a111 vfs_read", "BAD_MAXACT"],
    ["f^100000 vfs_read", "MAXACT_TOO_BIG"],
  ],
  new: [["f^100 vfs_read", "BAD_MAXACT"]],
};

const OF_FPROBES: readonly Line[] = [
  ["f ^vfs_read+10", "BAD_PROBE_ADDR"],
  ["f vfs_read ^%r0", "BAD_VAR"],
  ["f kfree%return ^$retval", "NO_RETVAL"],
  ["f vfs_read%return $retval->^foo", "NO_PTR_STRCT"],
];

/** What a second definition of a name is refused for, after the first in each pair. */
const multiprobe = (
  kind: string,
  group: string,
  at = "",
): readonly (readonly [string, readonly Line[]])[] => {
  const event = `${kind}:${group}/testevent kernel_clone${at}`;
  const other = kind === "p" ? `r:${group}/testevent` : `f:${group}/testevent`;
  return [
    [event, [[`^${other} do_exit${kind === "p" ? "" : "%return"}`, "DIFF_PROBE_TYPE"]]],
    [`${event} abcd=\\1`, [
      [`${event} ^bcd=\\1`, "DIFF_ARG_TYPE"],
      [`${event} ^abcd=\\1:u8`, "DIFF_ARG_TYPE"],
      [`${event} ^abcd=\\"foo"`, "DIFF_ARG_TYPE"],
      [`^${event} abcd=\\1`, "SAME_PROBE"],
    ]],
  ];
};

const PROTOTYPES = `
  long vfs_read(struct file *file, char *buf, size_t count, long *pos);
  void kfree(const void *objp);
`;

/** The files of a kernel that has the functions of the scripts. */
function bootNamed(era: "regs" | "args" | "preset" | "call-ops") {
  const names = ["vfs_read", "kfree", "kernel_clone", "do_exit"];
  const program = makeFirmware(names.map((name) => ({ name })), "call f0");
  const { ftrace } = tracedFirmware(program, { era });
  ftrace.declarePrototypes(PROTOTYPES);
  return filesOf(createTracefs(ftrace));
}

/** `ftrace_errlog_check`: the command is refused, and the log ends with its caret. */
async function check(
  { append, echo, cat }: ReturnType<typeof bootNamed>,
  prefix: string,
  [marked, error]: Line,
  file: string,
): Promise<void> {
  const at = marked.indexOf("^");
  const command = marked.slice(0, at) + marked.slice(at + 1);
  await echo("", "error_log");
  assertMatch(await append(command, file), /^E/, command);
  const entry = `${prefix}: error: ${PROBE_ERRORS[error]}\n  Command: ${command}\n${
    " ".repeat(11 + at)
  }^\n`;
  assertEquals(cat("error_log").replace(/^\[ *[\d.]+\] /, ""), entry);
}

for (const era of ["regs", "args", "preset", "call-ops"] as const) {
  Deno.test(`kprobe_syntax_errors: each line is refused with its caret and text (${era})`, async () => {
    const kernel = bootNamed(era);
    for (const line of [...common("p"), ...OF_KPROBES]) {
      await check(kernel, "trace_kprobe", line, "kprobe_events");
    }
    // 6.12 has no probes on entries: there the place is 8 bytes behind.
    const isRefused = era === "args";
    const said = await kernel.echo("p:kprobes/testevent kernel_clone", "kprobe_events");
    assertEquals(said, isRefused ? "EINVAL" : "");
    for (const [first, lines] of multiprobe("p", "kprobes", isRefused ? "+8" : "")) {
      assertEquals(await kernel.echo(first, "kprobe_events"), "");
      for (const line of lines) await check(kernel, "trace_kprobe", line, "kprobe_events");
    }
  });

  Deno.test(`fprobe_syntax_errors: each line is refused with its caret and text (${era})`, async () => {
    const kernel = bootNamed(era);
    const maxactive = MAXACTIVE_OF_FPROBES[era === "regs" || era === "args" ? "old" : "new"];
    for (const line of [...maxactive, ...common("f"), ...OF_FPROBES]) {
      await check(kernel, "trace_fprobe", line, "dynamic_events");
    }
    for (const [first, lines] of multiprobe("f", "fprobes")) {
      assertEquals(await kernel.echo(first, "dynamic_events"), "");
      for (const line of lines) await check(kernel, "trace_fprobe", line, "dynamic_events");
    }
  });
}
