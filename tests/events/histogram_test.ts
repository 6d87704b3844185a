import { assert, assertEquals } from "@std/assert";
import { layoutFields } from "../../lib/events/event_fields.ts";
import { createHistogram, type Histogram } from "../../lib/events/histogram.ts";

const words = {
  fields: layoutFields({
    a: "u32",
    b: "s32",
    c: "u64",
    next_comm: "char[16]",
    ip: "unsigned long",
    list: "u8[2]",
  }),
  symbol: (address: bigint) =>
    address >= 0x1000n && address < 0x1020n
      ? { name: "bill", address: 0x1000n, size: 32n }
      : undefined,
  comm: (pid: number) => pid === 1000 ? "sample" : undefined,
};

function make(command: string): Histogram {
  const made = createHistogram(command, words);
  assert("histogram" in made, `${command}: ${"refusal" in made && made.refusal.why}`);
  return made.histogram;
}

function event(values: Record<string, number | bigint | string | number[]>, pid = 1000) {
  const all = { a: 0, b: 0, c: 0n, next_comm: "", ip: 0n, list: [0, 0], ...values };
  const common = { type: 1, flags: 0, preemptCount: 0, cpu: 0, comm: "sample", pid };
  return { ...common, values: all, stack: () => [0x1004n, 0x2000n] };
}

Deno.test("read() prints rows, totals and the trigger as the kernel, ascending by hits", () => {
  const histogram = make("hist:keys=a,b:vals=c");
  for (let k = 0; k < 3; k++) histogram.add(event({ a: 1, b: -1, c: 4n }));
  histogram.add(event({ a: 0, b: 120, c: 168n }));
  const trigger = `hist:${histogram.text} [active]`;
  assertEquals(trigger, "hist:keys=a,b:vals=hitcount,c:sort=hitcount:size=2048 [active]");
  assertEquals(
    histogram.read(trigger),
    `# event histogram
#
# trigger info: hist:keys=a,b:vals=hitcount,c:sort=hitcount:size=2048 [active]
#

{ a:          0, b:        120 } hitcount:          1  c:        168
{ a:          1, b: 18446744073709551615 } hitcount:          3  c:         12

Totals:
    Hits: 4
    Entries: 2
    Dropped: 0
`,
  );
});

/** The rows alone. */
function rows(histogram: Histogram): string[] {
  return histogram.read("").split("\n\n")[1]!.split("\n");
}

Deno.test("each modifier of a key prints as the kernel prints it", () => {
  const one = (key: string) => {
    const histogram = make(`hist:keys=${key}`);
    histogram.add(event({ a: 4660, b: -1, c: 5n, next_comm: "exe", ip: 0x1004n, list: [1, 2] }));
    return rows(histogram).join("\n").replace(/ hitcount:.*/, "");
  };
  assertEquals(
    [
      "a",
      "a.hex",
      "ip.sym",
      "ip.sym-offset",
      "common_pid.execname",
      "c.log2",
      "a.buckets=1000",
      "next_comm",
      "common_cpu",
      "stacktrace",
    ].map(one),
    [
      "{ a:       4660 }",
      "{ a: 1234 }",
      `{ ip: [1004] bill${" ".repeat(41)} }`,
      `{ ip: [1004] bill+0x4/0x20${" ".repeat(42)} }`,
      "{ common_pid: sample          [      1000] }",
      "{ c: ~ 2^3  }",
      "{ a: ~ 4000-4999 }",
      `{ next_comm: exe${" ".repeat(47)} }`,
      "{ common_cpu:          0 }",
      "{ common_stacktrace:\n         bill+0x4/0x20\n         0x2000\n}",
    ],
  );
});

Deno.test("sort= orders by keys and values, signed where the field is, either way", () => {
  const order = (sort: string) => {
    const histogram = make(`hist:keys=b:vals=c:sort=${sort}`);
    for (const [b, c] of [[5, 1n], [-3, 9n], [0, 9n]] as const) histogram.add(event({ b, c }));
    return rows(histogram).map((row) => BigInt.asIntN(64, BigInt(/b: +(\d+)/.exec(row)![1]!)));
  };
  assertEquals(order("b"), [-3n, 0n, 5n]);
  assertEquals(order("b.descending"), [5n, 0n, -3n]);
  assertEquals(order("c,b.descending"), [5n, 0n, -3n]);
  assertEquals(order("c.descending,b"), [-3n, 0n, 5n]);
  assertEquals(
    make("hist:keys=b:vals=c:sort=c.descending,b").text,
    "keys=b:vals=hitcount,c:sort=c.descending,b:size=2048",
  );
});

Deno.test("size= is rounded up to a power of two from 128 on, and what does not fit is dropped", () => {
  assertEquals(make("hist:keys=a:size=128").text.split(":").at(-1), "size=128");
  assertEquals(make("hist:keys=a:size=65").text.split(":").at(-1), "size=128");
  assertEquals(make("hist:keys=a:size=1000").text.split(":").at(-1), "size=1024");
  for (const size of ["64", "0", "-1", "x", "131073"]) {
    assert("refusal" in createHistogram(`hist:keys=a:size=${size}`, words), size);
  }
  const histogram = make("hist:keys=a:size=128");
  for (let a = 0; a < 130; a++) histogram.add(event({ a }));
  histogram.add(event({ a: 0 }));
  assertEquals(
    histogram.read("").split("Totals:\n")[1],
    "    Hits: 129\n    Entries: 128\n    Dropped: 2\n",
  );
  histogram.clear();
  assertEquals(
    histogram.read("").split("Totals:\n")[1],
    "    Hits: 0\n    Entries: 0\n    Dropped: 0\n",
  );
});

Deno.test("createHistogram() refuses with the kernel's words and the caret's place", () => {
  const refusal = (command: string) => {
    const made = createHistogram(command, words);
    assert("refusal" in made, command);
    const { fault } = made.refusal;
    return fault && [fault.text, fault.position];
  };
  assertEquals(refusal("hist:keys=a,nosuch"), ["Couldn't find field", 12]);
  assertEquals(refusal("hist:keys=a.foo"), ["Invalid field modifier", 10]);
  assertEquals(refusal("hist:keys=a.execname"), ["Invalid field modifier", 10]);
  assertEquals(refusal("hist:keys=next_comm.hex"), ["Invalid field modifier", 10]);
  assertEquals(refusal("hist:keys=a:sort=c"), ["Sort field must be a key or a val", 17]);
  assertEquals(refusal("hist:keys=a,b,c:sort=a,b,c"), ["Too many sort fields (Max = 2)", 16]);
  for (
    const command of ["hist", "hist:vals=c", "hist:keys=a:vals=next_comm", "hist:keys=a:foo=1"]
  ) {
    assertEquals(refusal(command), undefined, command);
  }
});
