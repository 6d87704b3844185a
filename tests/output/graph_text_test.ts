import { assert, assertEquals } from "@std/assert";
import { parseKernelText } from "../../lib/output/parse/kernel_text.ts";
import { fixture, hartrace, withFile } from "../cli/command_line.ts";
import { printAgain } from "./captures.ts";
import { durationText } from "../../lib/output/graph_text.ts";
import { at, enter, leave, mark, print } from "./events.ts";

const graph = "function_graph";

Deno.test("printKernelText() prints the outline of the kernel's documentation, arrows and switches", () => {
  const events = [
    enter("outer", 0),
    enter("leaf", 1),
    leave("leaf", 1, 1_300n),
    leave("mid", 1, 22_600n),
    enter("timer_irq", 1),
    { ...mark(""), type: "event", name: "some_event", text: "a=1 b=2" } as const,
    leave("timer_irq", 1, 132_000n),
    leave("outer", 0, 460_888_700n),
    enter("next", 0, { pid: 0 }),
    leave("next", 0, 8_186_800n, { pid: 0 }),
  ];
  const interruptEntries = new Set([at("timer_irq")]);
  assertEquals(
    print(events, graph, {}, { interruptEntries }),
    ` 0)               |  outer() {
 0)   1.300 us    |    leaf();
 0) + 22.600 us   |    } /* mid */
 0)   ==========> |
 0)               |    timer_irq() {
 0)               |      /* some_event: a=1 b=2 */
 0) ! 132.000 us  |    }
 0)   <========== |
 0) @ 460888.7 us |  }
 ------------------------------------------
 0)    demo-41     =>    <idle>-0   
 ------------------------------------------

 0) # 8186.800 us |  next();
`,
  );
  const hidden = print(events, graph, { "funcgraph-irqs": false }, { interruptEntries });
  assertEquals(hidden.split("\n").slice(0, 6), [
    " 0)               |  outer() {",
    " 0)   1.300 us    |    leaf();",
    " 0) + 22.600 us   |    } /* mid */",
    " 0)               |  /* some_event: a=1 b=2 */",
    " 0) @ 460888.7 us |  }",
    " ------------------------------------------",
  ]);
});

Deno.test("printKernelText() marks a duration only above each bound", () => {
  const bounds = [10_000n, 100_000n, 1_000_000n, 10_000_000n, 100_000_000n, 1_000_000_000n];
  const marks = [" ", "+", "!", "#", "*", "@", "$"];
  bounds.forEach((bound, index) => {
    const line = (duration: bigint, options = {}) =>
      print([leave("leaf", 0, duration)], graph, options).slice(4, 6);
    assertEquals(line(bound), `${marks[index]} `);
    assertEquals(line(bound + 1n), `${marks[index + 1]} `);
    assertEquals(line(bound + 1n, { "funcgraph-overhead": false }), "  ");
  });
});

Deno.test("durationText() keeps seven digits and eleven columns", () => {
  const texts = [0n, 9_999n, 12_345_678n, 123_456_789n, 1_234_567_890n, 12_345_678_901n].map(
    durationText,
  );
  assertEquals(texts, [
    "0.000 us    ",
    "9.999 us    ",
    "12345.67 us ",
    "123456.7 us ",
    "1234567 us  ",
    "12345678 us ",
  ]);
  assertEquals(durationText(123_456_789_012n), "123456789 us ");
});

Deno.test("printKernelText() takes an entry for a leaf only before its own exit on its CPU", () => {
  const lines = (...events: Parameters<typeof print>[0] extends Iterable<infer T> ? T[] : never) =>
    print(events, graph, {}, { cpus: 2 }).split("\n").map((line) => line.slice(-9));
  const leaf = "|  leaf();";
  assertEquals(lines(enter("leaf", 0), leave("leaf", 0, 1n))[0], leaf.slice(-9));
  const open = "  leaf() {";
  for (
    const next of [
      [leave("mid", 0, 1n)],
      [leave("leaf", 0, 1n, { pid: 0 })],
      [mark("between"), leave("leaf", 0, 1n)],
      [{ type: "lost", cpu: 0, count: 3 } as const, leave("leaf", 0, 1n)],
      [],
    ]
  ) {
    assertEquals(lines(enter("leaf", 0), ...next)[0], open.slice(-9));
  }
  // What other CPUs do in between comes after it.
  const text = print(
    [enter("leaf", 0), enter("mid", 0, { cpu: 1 }), mark("x", { cpu: 1 }), leave("leaf", 0, 1n)],
    graph,
    {},
    { cpus: 2 },
  );
  assertEquals(
    text,
    ` 0)   0.001 us    |  leaf();
 1)               |  mid() {
 1)               |  /* x */
`,
  );
});

Deno.test("printKernelText() names a closing brace when asked or when its entry is not the last", () => {
  const brace = (options: Parameters<typeof print>[2], ...events: Parameters<typeof print>[0][]) =>
    print(events.flatMap((some) => [...some]), graph, options).split("\n").at(-2)!.slice(21);
  assertEquals(brace({}, [enter("mid", 0), mark("x"), leave("mid", 0, 1n)]), "}");
  assertEquals(
    brace({ "funcgraph-tail": true }, [enter("mid", 0), mark("x"), leave("mid", 0, 1n)]),
    "} /* mid */",
  );
  assertEquals(brace({}, [enter("mid", 0), mark("x"), leave("outer", 0, 1n)]), "} /* outer */");
  const twice = [enter("mid", 0), mark("x"), leave("mid", 0, 1n), leave("mid", 0, 1n)];
  assertEquals(brace({}, twice), "} /* mid */");
  // Deeper than the kernel remembers, every brace passes for the right one.
  assertEquals(brace({}, [leave("mid", 50, 1n)]).trim(), "}");
  assertEquals(brace({}, [leave("mid", 49, 1n)]).trim(), "} /* mid */");
});

Deno.test("printKernelText() says how a function was left that never returned", () => {
  const events = [enter("mid", 0), mark("x"), leave("mid", 0, 1n, { unwound: true })];
  const last = (options = {}) => print(events, graph, options).split("\n").at(-2)!.slice(21);
  assertEquals(last(), "}  /* unwound */");
  assertEquals(last({ "funcgraph-tail": true }), "} /* mid */  /* unwound */");
  const leaf = [enter("leaf", 0), leave("leaf", 0, 1n, { unwound: true })];
  assertEquals(print(leaf, graph).slice(21), "leaf();  /* unwound */\n");
});

Deno.test("printKernelText() prints what functions returned, errors as numbers, as each release does", () => {
  const options = { "funcgraph-retval": true };
  const closing = (returnValue: bigint, more = {}, release = "7.2") =>
    print([leave("mid", 0, 1n, { returnValue })], graph, { ...options, ...more }, { release })
      .slice(21, -1);
  assertEquals(closing(0n), "} /* mid ret=0x0 */");
  assertEquals(closing(0xffff_ffff_ffff_fff7n), "} /* mid ret=-9 */");
  assertEquals(closing(0xffff_fff7n), "} /* mid ret=-9 */");
  assertEquals(closing(0xffff_f000n), "} /* mid ret=0xfffff000 */");
  assertEquals(closing(0xffff_f001n), "} /* mid ret=-4095 */");
  assertEquals(closing(0x7fff_ffffn), "} /* mid ret=0x7fffffff */");
  assertEquals(
    closing(0xffff_ffff_ffff_fff7n, { "funcgraph-retval-hex": true }),
    "} /* mid ret=0xfffffffffffffff7 */",
  );
  assertEquals(closing(0xffff_fff7n, {}, "6.12.107"), "} /* mid = -9 */");
  const leaf = [
    enter("leaf", 0, { retaddr: at("mid", 0x12) }),
    leave("leaf", 0, 1n, { returnValue: 1n }),
  ];
  assertEquals(print(leaf, graph, options).slice(21), "leaf(); /* ret=0x1 */\n");
  const both = { ...options, "funcgraph-retaddr": true };
  assertEquals(print(leaf, graph, both).slice(21), "leaf(); /* <-mid+0x12/0x100 ret=0x1 */\n");
  assertEquals(
    print(leaf.slice(0, 1), graph, both).slice(21),
    "leaf() { /* <-mid+0x12/0x100 */\n",
  );
});

Deno.test("printKernelText() puts the columns in the kernel's order", () => {
  const text = print(
    [leave("leaf", 0, 1n, { flags: 1, preemptCount: 2, time: 3_000_001_999n, cpu: 11 })],
    graph,
    { "funcgraph-abstime": true, "funcgraph-proc": true, "latency-format": true },
    { cpus: 12, possibleCpus: 101 },
  );
  assertEquals(
    text,
    "    3.000001 |    11)    demo-41     |  d..2. |   0.001 us    |  } /* leaf */\n",
  );
});

Deno.test("printKernelText() prints functions and stacks as lines even in a graph", () => {
  const stack = { ...mark(""), type: "kernel_stack", callers: [at("mid", 4), 0x999999n] } as const;
  assertEquals(
    print([stack], graph),
    `            demo-41      [000] .....    12.000000: <stack trace>
 => mid
 => 0x00999999
`,
  );
});

Deno.test("printKernelText() prints graph events behind a context under another tracer", () => {
  assertEquals(
    print([enter("leaf", 2), leave("leaf", 2, 1_500n), leave("mid", 1, 1n)], "nop"),
    `            demo-41      [000] .....    12.000000:  0)   1.500 us    |      leaf();
            demo-41      [000] .....    12.000000:  0)   0.001 us    |    } /* mid */
`,
  );
  assertEquals(
    print([enter("leaf", 0), leave("leaf", 0, 1_500n)], "nop", { "display-graph": true }),
    " 0)   1.500 us    |  leaf();\n",
  );
});

Deno.test("a recursion deeper than any kernel's is drawn to a depth, told by its number beyond, and read again", () =>
  withFile("trace.txt", "", async (path) => {
    const { code } = await hartrace(["-q", "-o", path, fixture("descend_p84"), "1000"]);
    assertEquals(code, 0);
    const text = await Deno.readTextFile(path);
    const longest = Math.max(...text.split("\n").map((line) => line.length));
    assert(longest < 400, `${longest}`);
    const parsed = parseKernelText(text, "7.2");
    const depths = parsed.events.map((event) => "depth" in event ? event.depth : 0);
    assertEquals(Math.max(...depths), 1003);
    assertEquals(printAgain(parsed), text);
  }));
