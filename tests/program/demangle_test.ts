import { assert, assertEquals } from "@std/assert";
import { demangle } from "../../lib/program/demangle/demangle.ts";
import { splitNames } from "../../lib/ftrace/ops/split_names.ts";
import { missingTool, runTool } from "./elf_oracle.ts";

const LIBRARIES = [
  "/usr/riscv64-linux-gnu/lib/libstdc++.so.6",
  "/usr/lib/gcc-cross/riscv64-linux-gnu/12/libstdc++.a",
];

/** Names as compilers make them: what libstdc++ lacks of C++, both forms of Rust, and D. */
const NAMES = `
_Z1fIiEDTcl1gfp_EET_ _Z1fIJidEEvDpT_ _ZN1AcvT_IiEEv _Z1fPFvPFiiEE _Z1fRA10_Ki _Z1fM1AFivE _Z1fM1Ai
_ZZ1fvENKUlT_E_clIiEEDaS_ _ZL1av _ZN1AC1B3tagEv _Z1fIXadL_Z1gvEEEvv _ZN12_GLOBAL__N_11fEv.cold
_Z1fIiEvNSt9enable_ifIXsr3std7is_voidIT_EE5valueEiE4typeE _Z1fILin5EEvv _Z1fILb1EEvv _Zli2_wPKc
_ZTv0_n24_N1A1fEv _ZThn8_N1A1fEv _ZNO1A1fEv _ZNKR1A1fEv _Z1fDv4_f _Z1fIXquL_Z1gvELi1ELi2EEEvv
_Z1fu3fooi _Z1fDF16_ _ZZN1A1fEvE1x_0 _ZGR1a _ZTC1A0_1B _Z1fDOLb1EEFvvE _Z1fIJEEvDpT_
_ZN4core3ops8function6FnOnce9call_once17h0123456789abcdefE
_ZN39_$LT$l..S$LT$T$GT$$u20$as$u20$l..Tr$GT$1f17h49e8577d0a2471c9E
_RNvCs1234_7mycrate3foo _RINvNtCs8_4core3mem4swapjE _RNvMNtCs1_3foo3barINtB2_3BazmE3new
_RNCNvCs1_1a4main0 _RNvXs_Cs1_1aINtB4_1SlENtB4_1T1f _RINvCs1_1a1fKj2_Kb1_Kca_E
_RNvC6_123foo3bar _RINvC1a1fFUKCRexEuE _RINvC1a1fDNtC1a1Tp4ItemhEL_E _RNvC1au8gdel_5qa
_RINvC1a1fTabEAhj4_SsE _RINvC1a1fFG_RL0_hEuE
`.trim().split(/\s+/);
const D_NAMES = `
_D3foo3barFiZv _D4core6thread8osthread6Thread6__ctorMFZC4core6thread8osthread6Thread _Dmain
_D3std5stdio__T7writelnTAyaZQnFNfQjZv _D1a1bFDFiZaZv _D8demangle4testFAiXv _D3foo3Bar6__vtblZ
_D3foo12__ModuleInfoZ _D8demangle4testFHiAaZv _D8demangle4testFJiKiLiIiZv _D8demangle4testMxFZv
_D8demangle4testFPFNaNbiZvZv _D8demangle22__T4testVAyaa3_616263Zv _D8demangle15__T4testVai65Zv
_D8demangle13__T4testVii5Z3fooFZv _D8demangle4testFDxFiZvZv _D3foo3Bar10__postblitMFZv
_D3std4conv__T2toTAyaZ__TQkTiZQqFNaNfiZQp _D8demangle4testFiYv _D8demangle16__T4testVdeA8P6Zv
`.trim().split(/\s+/);

/** What `c++filt` prints for each of `names`. */
async function cxxfilt(names: readonly string[], ...options: string[]): Promise<string[]> {
  const file = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(file, names.join("\n") + "\n");
    const text = await runTool("sh", ["-c", `c++filt ${options.join(" ")} < ${file}`]);
    return text.trimEnd().split("\n");
  } finally {
    await Deno.remove(file);
  }
}

/** Every mangled name of libstdc++, as nm prints it. */
async function libraryNames(): Promise<string[]> {
  const names = new Set<string>();
  for (const library of LIBRARIES) {
    for (const options of [["-D"], []]) {
      const text = await runTool("riscv64-linux-gnu-nm", [...options, library]);
      for (const [, name] of text.matchAll(/ (_Z[^\s@]+)/g)) names.add(name!);
    }
  }
  return [...names].sort();
}

/** Says of how many names what differs. */
function differences(names: readonly string[], expected: readonly string[]): string[] {
  return names.flatMap((name, k) => {
    const got = demangle(name)?.full ?? name;
    return got === expected[k] ? [] : [`${name}: ${got}, but c++filt says ${expected[k]}`];
  });
}

const isMissing = await missingTool("c++filt") || await missingTool("riscv64-linux-gnu-nm") ||
  await missingLibrary();

async function missingLibrary(): Promise<boolean> {
  for (const library of LIBRARIES) {
    if (await Deno.stat(library).then(() => false, () => true)) {
      await Deno.stderr.write(
        new TextEncoder().encode(`${library} is missing: its tests are skipped\n`),
      );
      return true;
    }
  }
  return false;
}

Deno.test({
  name:
    "demangle() prints every name of libstdc++ as c++filt does (needs binutils, g++-riscv64-linux-gnu)",
  ignore: isMissing,
  async fn() {
    const names = await libraryNames();
    assert(names.length > 7000, `${names.length} names`);
    assertEquals(differences(names, await cxxfilt(names)), []);
  },
});

Deno.test({
  name:
    "demangle().name is what c++filt -p -i prints, clones aside (needs binutils, g++-riscv64-linux-gnu)",
  ignore: isMissing,
  async fn() {
    const names = (await libraryNames()).filter((name) => !name.includes("."));
    const expected = await cxxfilt(names, "-p", "-i");
    const wrong = names.flatMap((name, k) => {
      const got = demangle(name)!.name;
      return got === expected[k] ? [] : [`${name}: ${got}, but c++filt says ${expected[k]}`];
    });
    assertEquals(wrong, []);
  },
});

Deno.test({
  name: "demangle() prints C++, Rust and D as c++filt does when libstdc++ has no such name " +
    "(needs binutils)",
  ignore: await missingTool("c++filt"),
  async fn() {
    assertEquals(differences(NAMES, await cxxfilt(NAMES)), []);
    assertEquals(differences(D_NAMES, await cxxfilt(D_NAMES, "-s", "dlang")), []);
  },
});

Deno.test("demangle() gives a name, its signature and the whole when they differ", () => {
  assertEquals(demangle("_ZN4shop4Cart3addIiEEvT_"), {
    name: "shop::Cart::add<int>",
    signature: "shop::Cart::add<int>(int)",
    full: "void shop::Cart::add<int>(int)",
  });
  assertEquals(demangle("_ZN4core3mem4swap17h0123456789abcdefE"), {
    name: "core::mem::swap",
    signature: "core::mem::swap::h0123456789abcdef",
    full: "core::mem::swap::h0123456789abcdef",
  });
  assertEquals(demangle("_D3foo3barFiZv")?.name, "foo.bar");
  assertEquals(demangle("_ZN4shop3payEv.isra.0.cold")?.name, "shop::pay.isra.0.cold");
  assertEquals(demangle("main"), undefined);
  assertEquals(demangle("_Z"), undefined);
  assertEquals(demangle("_DYNAMIC"), undefined);
});

Deno.test("demangle() leaves a name alone when it is damaged, and never throws or goes on", () => {
  const seeds = [...NAMES, ...D_NAMES];
  let state = 1;
  const random = (below: number) => (state = (state * 48271) % 0x7fffffff) % below;
  let read = 0;
  const attempt = (text: string) => {
    const result = demangle(text);
    if (result) read++;
    assert((result?.full.length ?? 0) <= 1 << 16, text);
  };
  for (const name of seeds) for (let k = 0; k < name.length; k++) attempt(name.slice(0, k));
  for (let k = 0; k < 20_000; k++) {
    const name = seeds[random(seeds.length)]!;
    const other = seeds[random(seeds.length)]!;
    const at = 2 + random(name.length - 2);
    const from = random(other.length);
    attempt(
      name.slice(0, at) + other.slice(from, from + 1 + random(6)) + name.slice(at + random(3)),
    );
  }
  assert(read > 1000, "some damaged names are names");
});

Deno.test("demangle() gives a name up when it nests or repeats itself without end", () => {
  assertEquals(demangle(`_Z1f${"P".repeat(5000)}i`), undefined);
  assertEquals(demangle(`_ZN${"1a".repeat(8000)}E`), undefined);
  assertEquals(demangle(`_RNv${"B_".repeat(100)}`), undefined);
  assertEquals(demangle(`_D${"1a".repeat(4000)}FiZ${"A".repeat(4000)}i`), undefined);
  // Each argument is twice the one before: 2^40 in all.
  let name = "_Z1f1AIiiE1BIS0_S0_E";
  for (let k = 2; k < 35; k++) {
    name += `S1_IS${k.toString(36).toUpperCase()}_S${k.toString(36).toUpperCase()}_E`;
  }
  assertEquals(demangle(name), undefined);
  assertEquals(demangle(`_ZN${"4aaaa".repeat(40)}17h`), undefined);
});

Deno.test({
  name: "splitNames() takes each function of libstdc++ for one name, whatever blanks it has " +
    "(needs binutils, g++-riscv64-linux-gnu)",
  ignore: isMissing,
  async fn() {
    const wrong: string[] = [];
    for (const mangled of await libraryNames()) {
      // A table is no function, and a conversion to a pointer to members of one class is beyond it.
      if (/^_Z(T[VTISC]|G[VR]|NKSt15__exception_ptr13exception_ptrcv)/.test(mangled)) continue;
      const { name, signature } = demangle(mangled)!;
      for (const each of [name, signature]) {
        const words = splitNames(`first ${each} last`);
        if (words.length !== 3 || words[1] !== each) wrong.push(`${each}: ${words.join(" | ")}`);
      }
    }
    assertEquals(wrong, []);
  },
});

Deno.test("splitNames() splits at blanks as before when names are of C", () => {
  assertEquals(splitNames(" foo bar*\n!baz "), ["foo", "bar*", "!baz"]);
  assertEquals(splitNames("foo,bar baz", ","), ["foo", "bar", "baz"]);
  assertEquals(splitNames("Box<int, 4>::at,main", ","), ["Box<int, 4>::at", "main"]);
  assertEquals(splitNames("broken< one two"), ["broken<", "one", "two"]);
  assertEquals(splitNames("my_operator one"), ["my_operator", "one"]);
});
