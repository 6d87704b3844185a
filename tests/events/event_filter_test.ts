import { assert, assertEquals } from "@std/assert";
import { createErrorLog } from "../../lib/events/error_log.ts";
import { type EventValues, layoutFields } from "../../lib/events/event_fields.ts";
import { compileFilter } from "../../lib/events/event_filter.ts";
import type { FilterSubject } from "../../lib/events/event_subject.ts";
import { FILTER_FAULTS } from "../../lib/events/filter_predicate.ts";
import { globMatch } from "../../lib/ftrace/ops/filter.ts";
import { createRandom } from "../engine/random.ts";

const fields = layoutFields({
  sig: "int",
  code: "u8",
  low: "s8",
  wide: "u64",
  deep: "s64",
  ip: "unsigned long",
  name: "char[16]",
  file: "string",
  mask: "cpumask",
  list: "u32[2]",
});
const words = {
  fields,
  glob: globMatch,
  functionRange: (place: string | bigint) =>
    place === "bill" || place === 0x1004n ? { start: 0x1000n, end: 0x1020n } : undefined,
};

function subject(values: EventValues): FilterSubject {
  return { values, type: 300, flags: 1, preemptCount: 2, pid: 1000, cpu: 3, comm: "sample" };
}

const event = subject({
  sig: 12,
  code: 200,
  low: -5,
  wide: 2n ** 64n - 1n,
  deep: -1n,
  ip: 0x1010n,
  name: "parse_line",
  file: "/etc/passwd",
  mask: [0, 2, 3],
  list: [1, 2],
});

function passes(text: string): boolean {
  const compiled = compileFilter(text, words);
  assert("filter" in compiled, `${text}: ${"fault" in compiled && compiled.fault.text}`);
  return compiled.filter.matches(event);
}

Deno.test("compileFilter() understands every operator on every kind of field", () => {
  const cases: readonly (readonly [string, boolean])[] = [
    ["sig == 12", true],
    ["sig==0xc", true],
    ["sig == 014", true],
    ["sig != 12", false],
    ["sig < 13 && sig <= 12 && sig > 11 && sig >= 12", true],
    ["sig & 4", true],
    ["sig & 3", false],
    ["low == -5", true],
    ["low < 0", true],
    ["code == 200", true],
    // A value is cut to the field's type first: 456 is 200 in a u8.
    ["code == 456", true],
    ["wide == 18446744073709551615", true],
    ["wide == 0xffffffffffffffff", true],
    ["wide > 1", true],
    ["deep == -1", true],
    ["deep < 0", true],
    ['name == "parse_line"', true],
    ["name == 'parse_line'", true],
    ['name == "parse"', false],
    ['name != "parse"', true],
    ['name ~ "parse*"', true],
    ['name ~ "*line"', true],
    ['name ~ "*se_l*"', true],
    ['name ~ "p?rse_[a-l]ine"', true],
    ['name ~ "!parse*"', false],
    ['name ~ "parse"', false],
    ['file ~ "/etc/*"', true],
    ['comm == "sample" && COMM ~ "sam*"', true],
    ["cpu == 3 && CPU & 1", true],
    ["common_pid == 1000", true],
    ["common_type == 300 && common_flags == 1 && common_preempt_count == 2", true],
    ["mask & CPUS{0,1}", true],
    ["mask & CPUS{1,4-7}", false],
    ["mask == CPUS{0,2-3}", true],
    ["mask != CPUS{0,2-3}", false],
    ["cpu & CPUS{2-3}", true],
    ["cpu == CPUS{2-3}", false],
    ["ip.function == bill", true],
    ["ip.function != bill", false],
    ["ip.function == 0x1004", true],
    ["!(sig == 12)", false],
    ["!sig == 12", false],
    ["!!sig == 12", true],
    ["sig == 1 || sig == 12 && code == 200", true],
    ["(sig == 1 || sig == 12) && code == 1", false],
    ["sig == 12 || sig == 1 && code == 1", true],
    ["((sig == 12))", true],
  ];
  assertEquals(cases.map(([text]) => [text, passes(text)]), cases.map((each) => [...each]));
});

Deno.test("compileFilter() says what is wrong and where, the caret one behind as in the kernel", () => {
  // `^` stands before the character that the caret is under.
  const cases: readonly (readonly [string, keyof typeof FILTER_FAULTS])[] = [
    ["((sig >= 10 && sig < 15) || dsig ^== 17) && comm != bash", "fieldNotFound"],
    ["nosuch ^", "fieldNotFound"],
    ["sig =^ 1", "invalidOperator"],
    ["^(sig == 1", "tooManyOpen"],
    ["(sig == 1)^)", "tooManyClose"],
    ['name == ^"abc', "missingQuote"],
    ['sig == "^1"', "expectDigit"],
    ["name == 1^", "expectString"],
    ['name > "^a"', "illegalOperation"],
    ["sig ~ 1^", "illegalOperation"],
    ["list == 1^", "illegalOperation"],
    ["sig == 0^8", "illegalInteger"],
    ["code == -^1", "illegalInteger"],
    ["wide == 1^8446744073709551616", "illegalInteger"],
    ["comm != b^ash", "invalidValue"],
    ["sig == x^", "invalidValue"],
    ["sig == 1 ^&sig", "tooManyTerms"],
    ["sig == 1 ^sig == 2", "tooManyTerms"],
    ["cpu & CPUS ^1", "missingBraceOpen"],
    ["cpu & CPUS{^1", "missingBraceClose"],
    ["cpu & CPUS{^b}", "invalidCpuList"],
    ["ip.function == n^osuch", "noFunction"],
    [" ^", "noFilter"],
  ];
  for (const [marked, fault] of cases) {
    const compiled = compileFilter(marked.replace("^", ""), words);
    assert("fault" in compiled, marked);
    assertEquals(compiled.fault.text, FILTER_FAULTS[fault], marked);
    assertEquals(compiled.fault.position, marked.indexOf("^"), marked);
  }
});

Deno.test("compileFilter() agrees with an evaluator that reads the tree it was made from", () => {
  const { below, bits: randomBits } = createRandom(7);
  interface Tree {
    readonly text: string;
    readonly value: (subject: FilterSubject) => boolean;
  }
  const operators = {
    "==": (a: bigint, b: bigint) => a === b,
    "!=": (a: bigint, b: bigint) => a !== b,
    "<": (a: bigint, b: bigint) => a < b,
    "<=": (a: bigint, b: bigint) => a <= b,
    ">": (a: bigint, b: bigint) => a > b,
    ">=": (a: bigint, b: bigint) => a >= b,
    "&": (a: bigint, b: bigint) => (a & b) !== 0n,
  } as const;
  const numeric = fields.filter(({ kind }) => kind === "integer");
  const make = (depth: number): Tree => {
    const kind = depth === 0 ? 0 : below(4);
    if (kind === 0) {
      const field = numeric[below(numeric.length)]!;
      const names = Object.keys(operators) as (keyof typeof operators)[];
      const operator = names[below(names.length)]!;
      const bits = field.elementSize * 8;
      const raw = below(3) === 0 ? randomBits(64) : BigInt(below(6));
      const operand = field.signed ? BigInt.asIntN(bits, raw) : BigInt.asUintN(bits, raw);
      return {
        text: `${field.name}${" ".repeat(below(2))}${operator} ${operand}`,
        value: ({ values }) =>
          operators[operator](BigInt(values[field.name] as number | bigint), operand),
      };
    }
    const left = make(depth - 1);
    if (kind === 1) return { text: `!(${left.text})`, value: (s) => !left.value(s) };
    const right = make(depth - 1);
    return kind === 2
      ? {
        text: `(${left.text}) && (${right.text})`,
        value: (s) => left.value(s) && right.value(s),
      }
      : { text: `(${left.text})||(${right.text})`, value: (s) => left.value(s) || right.value(s) };
  };
  for (let round = 0; round < 2000; round++) {
    const tree = make(4);
    const compiled = compileFilter(tree.text, words);
    assert("filter" in compiled, tree.text);
    const values: Record<string, number | bigint> = {};
    for (const { name, elementSize, signed } of numeric) {
      const raw = below(3) === 0 ? randomBits(64) : BigInt(below(6));
      const bits = elementSize * 8;
      const cut = signed ? BigInt.asIntN(bits, raw) : BigInt.asUintN(bits, raw);
      values[name] = elementSize === 8 ? cut : Number(cut);
    }
    const at = subject(values);
    assertEquals(compiled.filter.matches(at), tree.value(at), tree.text);
  }
});

Deno.test("compileFilter() takes any number of !, and refuses parentheses nested too deep", () => {
  const matches = (text: string) => {
    const compiled = compileFilter(text, words);
    return "filter" in compiled ? compiled.filter.matches(event) : compiled.fault;
  };
  assertEquals(matches(`${"!".repeat(20_000)}sig == 12`), true);
  assertEquals(matches(`${"! ".repeat(20_001)}sig == 12`), false);
  const nested = (count: number) => `${"!(".repeat(count)}sig == 12${")".repeat(count)}`;
  assertEquals(matches(nested(256)), true);
  assertEquals(matches(nested(255)), false);
  for (const count of [257, 20_000]) {
    assertEquals(matches(nested(count)), { text: FILTER_FAULTS.tooManyOpen, position: 513 });
  }
});

Deno.test("createErrorLog() keeps the newest eight and prints them as the kernel", () => {
  let now = 12_345_678_000n;
  const log = createErrorLog(() => now);
  assertEquals(log.read(), "");
  log.add("trace_kprobe", "p:mine vfs_read", {
    text: "Failed to register probe event",
    position: 7,
  });
  assertEquals(
    log.read(),
    "[   12.345678] trace_kprobe: error: Failed to register probe event\n" +
      "  Command: p:mine vfs_read\n" +
      "                  ^\n",
  );
  for (let k = 1; k <= 8; k++) {
    now = BigInt(k) * 1_000_000_000n;
    log.add("event filter parse error", `n${k}`, { text: "Field not found", position: 2 });
  }
  assertEquals(
    [...log.read().matchAll(/Command: (.*)/g)].map(([, command]) => command),
    ["n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8"],
  );
  log.clear();
  assertEquals(log.read(), "");
});
