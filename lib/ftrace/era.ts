/**
 * Eras: everything in which one kernel's ftrace differs from another's, as data.
 *
 * Nothing else may ask which era it is. A rule that differs is a field here; the site's words are
 * the scheme (`lib/patcher`), the code they call is the trampoline (`lib/trampoline`), and this puts
 * the two and the kernel's answers together. Each era is pinned to one kernel.
 *
 * @module
 */
import { SCHEMES, type SiteScheme } from "../patcher/scheme.ts";
import type { TrampolineName } from "../trampoline/caller.ts";
import type { KprobeRules } from "./probes/kprobe.ts";
import { formsOf, type ReleaseForms } from "./trace/release_forms.ts";

/** The names of all eras, as `--era` takes them, the oldest first. */
export const ERA_NAMES = ["regs", "args", "preset", "call-ops"] as const;

/** The name of an era, as `--era` takes it. */
export type EraName = (typeof ERA_NAMES)[number];

/** How the kernel of one era patches sites, saves registers and answers requests. */
export interface Era {
  /** Name of the era, as `--era` takes it. */
  readonly name: EraName;
  /** One line: the kernel it is pinned to and what marks it. */
  readonly description: string;
  /** The kernel release whose text formats and options the era has. */
  readonly release: string;
  /**
   * Version of the kernel that the era models, in two numbers.
   */
  readonly kernel: string;
  /** What the release prints, counts and lays out in its own way. */
  readonly forms: ReleaseForms;
  /** The scheme by which call sites are laid out and switched. */
  readonly scheme: SiteScheme;
  /** The set of trampolines that call sites call. */
  readonly trampoline: TrampolineName;
  /** Whether an ops may have full `pt_regs` (DYNAMIC_FTRACE_WITH_REGS). */
  readonly savesRegs: boolean;
  /** Whether the ops comes from the literal before the function, not from one global word. */
  readonly opsLiteral: boolean;
  /** Whether this kernel has fprobe at all; if not, it is served as with the 6.14 series. */
  readonly hasFprobe: boolean;
  /** Whether `register_ftrace_direct` can point a site at a function of the caller's. */
  readonly hasDirectCalls: boolean;
  /** Whether events are recorded in an NMI's context, as a breakpoint's is (`ARCH_HAVE_NMI_SAFE_CMPXCHG`). */
  readonly recordsInNmi: boolean;
  /**
   * How this kernel's graph tracer keeps calls: words of a stack for 16 users, or 50 records for
   * one.
   */
  readonly graphStack: "words" | "records";
  /** What this kernel answers to a kprobe at each offset in a site. */
  readonly kprobes: KprobeRules;
  /** Whether `dyn_ftrace_total_info` tells how long switching sites took. */
  readonly tellsUpdateTime: boolean;
  /**
   * Whether this kernel's function and graph events have room for arguments, which changes their
   * numbers and layouts.
   */
  readonly hasEventArgs: boolean;
  /**
   * Whether this kernel was built with hist triggers; if not, they are served all the same, unless
   * strict.
   */
  readonly hasHist: boolean;
}

const inside = { code: "EILSEQ" } as const;
const refused = { code: "EINVAL" } as const;
const overwritten = {
  warning: "ftrace does not know of this probe: it is lost as soon as the function is traced",
} as const;

/** A site of two words that are both ftrace's; only the first is its location. */
const TWO_WORDS: KprobeRules = { 0: refused, 2: inside, 4: overwritten, 6: inside };
/** A site whose second word is ftrace's location. */
const ONE_WORD: KprobeRules = { 0: {}, 2: inside, 4: refused, 6: inside };

/** The table of eras. */
const ROWS: Readonly<Record<EraName, Omit<Era, "name" | "forms">>> = {
  regs: {
    description:
      "Linux 6.9: two trampolines, 288 bytes of pt_regs, two words switched with harts parked",
    release: "6.9.0",
    kernel: "6.9",
    scheme: SCHEMES["regs"],
    trampoline: "regs",
    savesRegs: true,
    opsLiteral: false,
    hasFprobe: true,
    hasDirectCalls: true,
    tellsUpdateTime: false,
    hasEventArgs: false,
    hasHist: false,
    recordsInNmi: false,
    graphStack: "records",
    kprobes: { ...TWO_WORDS, 0: { onFtrace: true } },
  },
  args: {
    description:
      "Linux 6.12: one trampoline, 112 bytes of ftrace_regs, two words switched with harts parked",
    release: "6.12.107+deb13-riscv64",
    kernel: "6.12",
    scheme: SCHEMES["args"],
    trampoline: "args",
    savesRegs: false,
    opsLiteral: false,
    hasFprobe: false,
    hasDirectCalls: true,
    tellsUpdateTime: false,
    graphStack: "words",
    kprobes: TWO_WORDS,
    hasEventArgs: false,
    hasHist: false,
    recordsInNmi: false,
  },
  preset: {
    description:
      "Linux 7.2 without CALL_OPS: auipc fixed, one word switched by one store, one ops for all sites",
    release: "7.2.13+deb14-riscv64",
    kernel: "7.2",
    scheme: SCHEMES["preset"],
    trampoline: "preset",
    savesRegs: false,
    opsLiteral: false,
    hasFprobe: true,
    hasDirectCalls: false,
    tellsUpdateTime: true,
    graphStack: "words",
    kprobes: ONE_WORD,
    hasEventArgs: true,
    hasHist: true,
    recordsInNmi: true,
  },
  "call-ops": {
    description: "Linux 7.2: one word switched, the ops in a literal before the function",
    release: "7.2.13+deb14-riscv64",
    kernel: "7.2",
    scheme: SCHEMES["call-ops"],
    trampoline: "call-ops",
    savesRegs: false,
    opsLiteral: true,
    hasFprobe: true,
    hasDirectCalls: true,
    tellsUpdateTime: true,
    graphStack: "words",
    kprobes: ONE_WORD,
    hasEventArgs: true,
    hasHist: true,
    recordsInNmi: true,
  },
};

/** All eras by name, the oldest first. */
export const ERAS: Readonly<Record<EraName, Era>> = Object.fromEntries(
  ERA_NAMES.map((name) => [name, { name, forms: formsOf(ROWS[name].release), ...ROWS[name] }]),
) as Record<EraName, Era>;

/** The era that serves all the sites of a program, and why it was chosen. */
export interface EraChoice {
  /** The era that was chosen. */
  readonly era: Era;
  /** Why the era was chosen, in one line with the counts of sites. */
  readonly reason: string;
}

/** What a site must offer for a scheme to take it; `SiteSource` of the loader has it. */
export interface SiteShape {
  /** Address of the function's first instruction. */
  readonly entry: bigint;
  /** Bytes of nop before the function's entry. */
  readonly before: number;
  /** Bytes of nop from the function's entry on. */
  readonly after: number;
  /** What names the function; nothing does of a weak one that another has taken the place of. */
  readonly symbol?: unknown;
}

/**
 * Chooses the newest era whose scheme takes every site of 8 bytes or more. Sites of functions that
 * the linker has left without a name have no say, unless no function has one.
 */
export function chooseEra(sites: readonly SiteShape[]): EraChoice {
  const large = sites.filter(({ after }) => after >= 8);
  const named = large.filter(({ symbol }) => symbol !== undefined);
  const usable = named.length > 0 ? named : large;
  const count = (holds: (site: SiteShape) => boolean) => usable.filter(holds).length;
  const literals = count(({ before, entry }) => before >= 8 && entry % 8n === 0n);
  const aligned = count(({ entry }) => entry % 4n === 0n);
  const total = usable.length;
  if (total > 0 && literals === total) {
    return {
      era: ERAS["call-ops"],
      reason: `all ${total} sites have 8 bytes before their entry and are 8-byte aligned`,
    };
  }
  if (total > 0 && aligned === total) {
    return {
      era: ERAS.preset,
      reason:
        `all ${total} sites are 4-byte aligned, but only ${literals} have an aligned 8-byte literal before them`,
    };
  }
  return {
    era: ERAS.args,
    reason: total === 0
      ? "there are no sites"
      : `only ${aligned} of ${total} sites are 4-byte aligned, so one store cannot switch them all`,
  };
}
