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
  const time = (inMicroseconds: boolean) => inMicroseconds ? 7n : 7000n;
  const common = { type: 1, flags: 0, preemptCount: 0, cpu: 0, comm: "sample", pid };
  return { ...common, values: all, stack: () => [0x1004n, 0x2000n], time };
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
  assertEquals(refusal("hist:keys=a.foo"), ["Invalid field modifier", 12]);
  assertEquals(refusal("hist:keys=a.execname"), ["Invalid field modifier", 12]);
  assertEquals(refusal("hist:keys=next_comm.hex"), ["Invalid field modifier", 20]);
  assertEquals(refusal("hist:keys=a:sort=c"), ["Sort field must be a key or a val", 17]);
  assertEquals(refusal("hist:keys=a,b,c:sort=a,b,c"), ["Too many sort fields (Max = 2)", 16]);
  assertEquals(refusal("hist:keys=a.percent"), ["Invalid field modifier", 12]);
  assertEquals(refusal("hist:keys=a.buckets=0"), ["Invalid field modifier", 20]);
  for (const modifier of ["log2", "buckets=10", "sym"]) {
    assertEquals(refusal(`hist:keys=a:vals=c.${modifier}`), ["Invalid field modifier", 17]);
  }
  // sym-offset becomes symXoffset before it is parsed, which the command does not have.
  assertEquals(refusal("hist:keys=a:vals=c.sym-offset"), ["Invalid field modifier", 0]);
  assertEquals(refusal("hist:keys=a:vals=stacktrace"), ["Invalid field modifier", 17]);
  assertEquals(refusal("hist:keys=$x"), ["Couldn't find variable", 11]);
  const needsValue = "Non-hitcount value is required for 'nohitcount'";
  assertEquals(refusal("hist:keys=a:nohitcount"), [needsValue, 0]);
  for (
    const command of ["hist", "hist:vals=c", "hist:keys=a:vals=next_comm", "hist:keys=a:foo=1"]
  ) {
    assertEquals(refusal(command), undefined, command);
  }
});

Deno.test("createHistogram() names what histograms lack here", () => {
  const why = (command: string) => {
    const made = createHistogram(command, words);
    assert("refusal" in made, command);
    return made.refusal.why;
  };
  assertEquals(
    why("hist:keys=a:ts0=common_timestamp.usecs"),
    'histograms have no variables here, as "ts0=common_timestamp.usecs" makes one',
  );
  for (const action of ["onmatch(sched.a).b($c)", "onmax($c).save(a)", "onchange($c).snapshot()"]) {
    assertEquals(
      why(`hist:keys=a:${action}`),
      `histograms have no actions here, as "${action}" is one`,
    );
  }
  assertEquals(
    why("hist:keys=a:foo"),
    'there is no "foo"; it takes name=, keys=, vals=, sort=, size=, clock=, nohitcount, ' +
      "pause, continue, clear",
  );
});

Deno.test("values print as sums, in hexadecimal, as shares and as bars", () => {
  const one = (settings: string) => {
    const histogram = make(`hist:keys=a:${settings}`);
    for (const [a, c] of [[1, 3n], [2, 10n], [2, 0n]] as const) histogram.add(event({ a, c }));
    return [histogram.text.split(":sort")[0], ...rows(histogram)];
  };
  assertEquals(one("vals=c.hex"), [
    "keys=a:vals=hitcount,c.hex",
    "{ a:          1 } hitcount:          1  c:          3",
    "{ a:          2 } hitcount:          2  c:          a",
  ]);
  assertEquals(one("vals=hitcount,hitcount.percent,c.graph"), [
    "keys=a:vals=hitcount,hitcount.percent,c.graph",
    "{ a:          1 } hitcount:          1  hitcount (%):  33.33  c: ######              ",
    "{ a:          2 } hitcount:          2  hitcount (%):  66.66  c: ####################",
  ]);
  assertEquals(one("vals=hitcount.percent:nohitcount").slice(1), [
    "{ a:          1 }  hitcount (%):  33.33",
    "{ a:          2 }  hitcount (%):  66.66",
  ]);
  assertEquals(
    make("hist:keys=a:vals=c.percent:NOHC").text,
    "keys=a:vals=c.percent:sort=hitcount:size=2048:nohitcount",
  );
});

Deno.test("a share of sums that are all 0 is 0, and no share can be wrong by 64 bits", () => {
  const histogram = make("hist:keys=a:vals=c.percent,b.graph");
  histogram.add(event({ a: 1 }));
  assertEquals(rows(histogram), [
    `{ a:          1 } hitcount:          1  c (%):   0.00  b: ${" ".repeat(20)}`,
  ]);
  histogram.clear();
  histogram.add(event({ a: 1, c: 1n << 63n, b: -1 }));
  histogram.add(event({ a: 2, c: 1n << 62n }));
  assertEquals(rows(histogram), [
    `{ a:          1 } hitcount:          1  c (%):  66.66  b: ${"#".repeat(20)}`,
    `{ a:          2 } hitcount:          1  c (%):  33.33  b: ${" ".repeat(20)}`,
  ]);
});

Deno.test("common_timestamp is a key or a value by the trace's clock, in microseconds if one asks", () => {
  const one = (command: string) => {
    const histogram = make(command);
    histogram.add(event({ a: 1 }));
    return [histogram.text, histogram.clock, ...rows(histogram)];
  };
  assertEquals(one("hist:keys=common_timestamp"), [
    "keys=common_timestamp:vals=hitcount:sort=hitcount:size=2048:clock=global",
    "global",
    "{ common_timestamp:       7000 } hitcount:          1",
  ]);
  assertEquals(one("hist:keys=common_timestamp.usecs:vals=common_timestamp:clock=mono"), [
    "keys=common_timestamp.usecs:vals=hitcount,common_timestamp:sort=hitcount:size=2048:clock=mono",
    "mono",
    "{ common_timestamp:          7 } hitcount:          1  common_timestamp:          7",
  ]);
  assertEquals(make("hist:keys=a:clock=nonsense").text.includes("clock"), false);
});

Deno.test("cpu is common_cpu where the event has no field of that name, and values come first in sort=", () => {
  assertEquals(make("hist:keys=cpu").text.split(":vals")[0], "keys=common_cpu");
  assertEquals(make("hist:keys=b.hex:vals=b:sort=b").text.split(":")[2], "sort=b");
});
