/**
 * What the fixtures are: each program's sources, flags, and the runs that record what it prints.
 *
 * A name ends in the shape of its sites: `_p4` is `-fpatchable-function-entry=4` (8 bytes at the
 * entry, enough for the eras that keep nothing before it), `_p84` is `=8,4` (8 bytes before and 8
 * at the entry, 8-byte aligned: all eras), `_p4a2` has `=4` at entries that are only 2-byte aligned.
 *
 * How they are built and checked is `build_fixtures.ts`.
 *
 * @module
 */

/** One source file, relative to `tests/fixtures/src`, with flags of its own after the program's. */
export interface Source {
  readonly file: string;
  readonly flags?: readonly string[];
}

/** One run of a program under QEMU, from which the expected output is recorded. */
export interface PlannedRun {
  readonly args?: readonly string[];
  /** `NAME=VALUE`; the environment is empty otherwise. */
  readonly env?: readonly string[];
  readonly stdin?: string;
  /** Firmware's calls of its host are answered; the arguments are on its command line. */
  readonly semihosting?: true;
  /** What QEMU cannot tell, from the specification that the program follows. */
  readonly byHand?: { readonly stdout: string; readonly code: number };
}

/** One program to build and commit. */
export interface Program {
  readonly name: string;
  readonly machine: "linux" | "bare";
  readonly compiler: "gcc" | "g++";
  readonly sources: readonly Source[];
  readonly compile: readonly string[];
  readonly link: readonly string[];
  /** None where the program never ends, or ends only by the machine it runs on. */
  readonly runs: readonly PlannedRun[];
}

/** One object to compile and commit, for live patches; `tests/fixtures/elf/NAME.o`. */
export interface ObjectProgram {
  readonly name: string;
  readonly file: string;
  readonly compile: readonly string[];
}

/** A call tree taken from a build with `-finstrument-functions`, of the same sources. */
export interface GoldenTree {
  /** Written to `tests/fixtures/NAME.tree`. */
  readonly name: string;
  readonly program: string;
}

/** What `workloads.c` can do. */
export const WORKLOADS = [
  ...["primes", "fibonacci", "multiply", "mandelbrot", "sort"],
  ...["copy", "checksum", "divide", "dispatch", "atomics"],
] as const;

/** Kernels of `deno task bench` in `src/bench`; sieve, fib and workloads.c are the others. */
export const KERNELS = [
  ...["sha256", "crc", "fft", "nbody", "queens", "quicksort", "copy_sum"],
  ...["strings", "lz", "hashmap", "json", "bytecode", "rbtree", "codegen_kept", "codegen_again"],
] as const;

/** Kernels that are firmware, too, with the path of each. */
export const FIRMWARE_KERNELS = {
  sieve: "sieve.c",
  queens: "bench/queens.c",
  quicksort: "bench/quicksort.c",
  copy_sum: "bench/copy_sum.c",
  codegen_kept: "bench/codegen_kept.c",
  codegen_again: "bench/codegen_again.c",
} as const;

const P4 = ["-fpatchable-function-entry=4", "-falign-functions=4"];
const P84 = ["-fpatchable-function-entry=8,4", "-falign-functions=8"];
const P4_UNALIGNED = ["-fpatchable-function-entry=4", "-fno-align-functions"];
const WITHOUT_SITES: string[] = [];

/** Flags that make every build the same, whoever runs it and wherever. */
const SAME_EVERYWHERE = ["-g0", "-Wall", "-Wextra", "-Wno-infinite-recursion"];
const LINK_SAME_EVERYWHERE = ["-Wl,--build-id=none", "-Wl,--strip-debug"];
/** No page of padding between segments: these programs are a few KB. */
const LINK_SMALL = ["-nostdlib", "-Wl,-z,noseparate-code"];
const FREESTANDING = [
  "-ffreestanding",
  "-fno-asynchronous-unwind-tables",
  "-fno-tree-loop-distribute-patterns",
];

const sources = (...files: string[]): Source[] => files.map((file) => ({ file }));

/** A static glibc program. */
function hosted(
  name: string,
  files: readonly Source[],
  sites: readonly string[],
  more: Partial<Program> = {},
): Program {
  return {
    name,
    machine: "linux",
    compiler: "gcc",
    sources: files,
    runs: [{}],
    ...more,
    compile: ["-O2", ...SAME_EVERYWHERE, ...sites, ...more.compile ?? []],
    link: ["-static", ...LINK_SAME_EVERYWHERE, ...more.link ?? []],
  };
}

/** A Linux program without a libc; `file` gives `program()`. */
function small(name: string, file: string, sites: readonly string[], runs: PlannedRun[]): Program {
  return {
    name,
    machine: "linux",
    compiler: "gcc",
    sources: sources("tiny_linux_start.S", "tiny_linux.c", "tiny_text.c", file),
    compile: ["-O2", ...SAME_EVERYWHERE, ...FREESTANDING, ...sites],
    link: ["-static", ...LINK_SAME_EVERYWHERE, ...LINK_SMALL],
    runs,
  };
}

/** The same as a static PIE that relocates itself. */
function smallPie(name: string, file: string, sites: readonly string[]): Program {
  return {
    ...small(name, file, [...sites, "-fpie"], [{}]),
    sources: sources("tiny_linux_pie_start.S", "tiny_linux.c", "tiny_text.c", file),
    link: ["-static-pie", "-Wl,--no-dynamic-linker", ...LINK_SAME_EVERYWHERE, ...LINK_SMALL],
  };
}

/** M-mode firmware; `file` gives `program()`. */
function bare(
  name: string,
  file: string,
  sites: readonly string[],
  runs: PlannedRun[] = [{}],
  script = "bare.ld",
): Program {
  return {
    name,
    machine: "bare",
    compiler: "gcc",
    sources: sources("tiny_bare_start.S", "tiny_bare.c", "tiny_text.c", file),
    compile: ["-O2", ...SAME_EVERYWHERE, ...FREESTANDING, "-mcmodel=medany", ...sites],
    link: ["-static", "-nostdlib", ...LINK_SAME_EVERYWHERE, "-T", script],
    runs,
  };
}

/** A kernel of `src/bench` as a Linux program: the argument is the number of rounds. */
function kernel(name: string): Program {
  const program = small(`bench_${name}_p84`, "", P84, [{ args: ["2"] }]);
  return {
    ...program,
    sources: sources(
      ...["tiny_linux_start.S", "tiny_linux.c", "tiny_text.c", "bench/rounds.c"],
      `bench/${name}.c`,
    ),
    // A square root is one instruction, not a call that could set errno.
    compile: [...program.compile, "-fno-math-errno"],
  };
}

/** The same as firmware, which semihosting gives its arguments: rounds, and `paged` for Sv39. */
function kernelFirmware(name: string, file: string): Program {
  const renamed = ["-Dprogram=kernel_program"];
  const whole = file.startsWith("bench/") ? ["bench/rounds.c", file] : [file];
  return {
    ...bare(`bench_${name}_bare_p84`, file, P84, [{ args: ["2"] }, { args: ["2", "paged"] }]),
    sources: [
      ...sources("tiny_bare_start.S", "tiny_bare.c", "tiny_text.c", "bench/firmware.c"),
      ...whole.map((each) => ({ file: each, flags: renamed })),
    ],
  };
}

/** Firmware that asks its host by semihosting for all it needs of one. */
function semihosted(name: string, ...flags: string[]): Program {
  const run = { args: ["one", "two words"], stdin: "typed\n", semihosting: true } as const;
  return {
    ...bare(name, "semihosting.c", P84, [run]),
    sources: [
      ...sources("tiny_bare_start.S", "tiny_text.c"),
      { file: "semihosting.c", flags },
    ],
  };
}

const CALLS = sources("calls.c", "calls_leaf.c");
/** The nested function of calls.c needs a stack that can be executed. */
const CALLS_MORE = {
  compile: ["-Wno-pedantic"],
  link: ["-z", "execstack"],
  runs: [{}, { args: ["4"] }],
};
const EXCEPTIONS = sources("exceptions.cc");
const EXCEPTIONS_MORE = {
  compiler: "g++" as const,
  compile: ["-ffunction-sections", "-frandom-seed=exceptions"],
  link: ["-Wl,--gc-sections"],
};

const POSIX_RUNS: PlannedRun[] = [
  { args: ["signals"] },
  { args: ["files", "data/lines.txt"] },
  { args: ["files", "data/no-such-file"] },
  { args: ["stdin"], stdin: "first line\nsecond line\n" },
  { args: ["sort"] },
  { args: ["memory"] },
  { args: ["contexts"] },
  { args: ["calls"] },
  { args: ["numbers"] },
  { args: ["arguments", "one", "and two"], env: ["COLOUR=green"] },
  { args: ["abort"] },
  { args: ["fault"] },
  { args: ["trap"] },
  { args: ["no-such-case"] },
];

/** Every program, in the order in which it is built. */
export const PROGRAMS: readonly Program[] = [
  hosted("calls_p4", CALLS, P4, CALLS_MORE),
  hosted("calls_p84", CALLS, P84, CALLS_MORE),
  hosted("calls_p4a2", CALLS, P4_UNALIGNED, CALLS_MORE),
  hosted("exceptions_p4", EXCEPTIONS, P4, EXCEPTIONS_MORE),
  hosted("exceptions_p84", EXCEPTIONS, P84, EXCEPTIONS_MORE),
  hosted("backtrace_p84", sources("backtrace.c"), P84, {
    compile: ["-fasynchronous-unwind-tables"],
  }),
  hosted("posix_p84", sources("posix.c"), P84, { runs: POSIX_RUNS }),
  hosted("coroutines_p84", sources("coroutines.c"), P84),
  hosted("signal_jump_p84", sources("signal_jump.c"), P84),
  hosted("throws_p84", sources("throws.cc"), P84, {
    compiler: "g++",
    compile: ["-ffunction-sections", "-frandom-seed=throws"],
    link: ["-Wl,--gc-sections"],
  }),
  hosted("cart_p84", sources("cart.cc"), P84, {
    compiler: "g++",
    compile: ["-fno-exceptions", "-frandom-seed=cart"],
    link: ["-Wl,--gc-sections"],
  }),
  hosted("settings_p84", sources("settings.c"), P84),
  // Without -fno-pic nothing is reached through gp.
  hosted("registers_p84", sources("registers.c"), P84, {
    compile: ["-Wno-pedantic", "-fno-pic"],
    runs: [{}, { args: ["chain"] }, { args: ["floats"] }],
  }),
  small("sample_p84", "sample.c", P84, [{}]),
  small("sample_p4", "sample.c", P4, [{}]),
  small("sample_without_sites", "sample.c", WITHOUT_SITES, [{}]),
  smallPie("sample_pie_p84", "sample.c", P84),
  smallPie("sample_pie_p4", "sample.c", P4),
  small("sieve_p84", "sieve.c", P84, [{}, { args: ["1"] }]),
  small("fib_p84", "fib.c", P84, [{}, { args: ["10"] }]),
  small("fault_p84", "fault.c", P84, [{}]),
  small("wild_jump_p84", "wild_jump.c", P84, [{}]),
  small("recurse_p84", "recurse.c", P84, [{}]),
  small("workloads_p84", "workloads.c", P84, WORKLOADS.map((name) => ({ args: [name] }))),
  small("ticks_p84", "ticks.c", P84, [{}]),
  small("no_memory_p84", "no_memory.c", P84, [{}, { args: ["twice"] }]),
  small("descend_p84", "descend.c", P84, [{}, { args: ["3"] }]),
  {
    ...small("walker_p84", "walker.c", P84, [{}]),
    compile: ["-O2", "-fno-omit-frame-pointer", ...SAME_EVERYWHERE, ...FREESTANDING, ...P84],
  },
  small("nap_p84", "nap.c", P84, [{}]),
  {
    ...small("weak_p84", "weak.c", P84, [{}]),
    sources: sources(
      ...["tiny_linux_start.S", "tiny_linux.c", "tiny_text.c", "weak.c", "weak_strong.c"],
    ),
  },
  small("vfs_p84", "vfs.c", P84, [{ args: ["3"] }, { args: ["2", "old"] }]),
  small("spin_p84", "spin.c", P84, []),
  {
    ...small("mixed", "mixed.c", P84, [{}]),
    sources: [
      ...sources("tiny_linux_start.S", "tiny_linux.c", "tiny_text.c", "mixed.c"),
      { file: "mixed_plain.c", flags: ["-fpatchable-function-entry=4"] },
      { file: "mixed_odd.S" },
    ],
  },
  {
    ...small("inlined_p84", "inlined.c", P84, [{}]),
    sources: [
      ...sources("tiny_linux_start.S", "tiny_linux.c", "tiny_text.c"),
      { file: "inlined.c", flags: ["-g"] },
    ],
    link: ["-static", "-Wl,--build-id=none", ...LINK_SMALL],
  },
  bare("hello_bare_p84", "hello_bare.c", P84),
  bare("hello_bare_p4", "hello_bare.c", P4),
  bare("hello_bare_mcount_loc", "hello_bare.c", P84, [{}], "bare_mcount_loc.ld"),
  bare("htif_bare_p84", "htif_bare.c", P84, [
    { byHand: { stdout: "written by the host\n", code: 5 } },
  ]),
  bare("trap_bare_p84", "trap_bare.c", P84),
  bare("reset_bare_p84", "reset_bare.c", P84),
  bare("irq_nest_p84", "irq_nest.c", P84),
  bare("tasks_p84", "tasks.c", P84),
  {
    ...bare("tasks_irq_stack_p84", "tasks.c", P84),
    sources: [
      ...sources("tiny_bare_start.S", "tiny_bare.c", "tiny_text.c"),
      { file: "tasks.c", flags: ["-DIRQ_STACK"] },
    ],
  },
  bare("fault_bare_p84", "fault_bare.c", P84, []),
  semihosted("semihosting_bare_p84"),
  semihosted("semihosting_supervisor_p84", "-DSUPERVISOR"),
  bare("sieve_bare_p84", "sieve.c", P84),
  bare("fib_bare_p84", "fib.c", P84),
  ...KERNELS.map(kernel),
  ...Object.entries(FIRMWARE_KERNELS).map(([name, file]) => kernelFirmware(name, file)),
];

/** An object that is added to a small program; nothing in it is relaxed. */
function object(name: string, file: string, ...more: string[]): ObjectProgram {
  return {
    name,
    file,
    compile: ["-O2", ...SAME_EVERYWHERE, ...FREESTANDING, "-mno-relax", ...more],
  };
}

/** Every object. */
export const OBJECTS: readonly ObjectProgram[] = [
  object("shop_first", "shop_first.c", "-fno-pic", "-mcmodel=medany"),
  object("shop_first_pic", "shop_first.c", "-fpic", ...P84),
  object("shop_first_medlow", "shop_first.c", "-fno-pic", "-mcmodel=medlow", "-mrelax"),
  object("shop_second", "shop_second.c", "-fno-pic", "-mcmodel=medany", "-mrelax"),
  object("shop_broken", "shop_broken.c"),
];

/** The two programs whose call tree an independent build gives. */
export const GOLDEN_TREES: readonly GoldenTree[] = [
  { name: "calls", program: "calls_p4" },
  { name: "exceptions", program: "exceptions_p4" },
];

/** The program that `trace.ts` runs when it is given none. */
export const EMBEDDED_SAMPLE = "sample_p84";
