import { assertEquals } from "@std/assert";
import { kernelHeader } from "../../lib/output/kernel_header.ts";
import { settingsOf } from "./events.ts";

const lastLines = (count: number, ...settings: Parameters<typeof settingsOf>) =>
  kernelHeader(settingsOf(...settings)).split("\n").slice(-1 - count, -1);

Deno.test("kernelHeader() names the graph's columns in their order, each option its own", () => {
  assertEquals(
    lastLines(2, "function_graph", { "funcgraph-abstime": true, "funcgraph-proc": true }),
    [
      "#     TIME        CPU  TASK/PID         DURATION                  FUNCTION CALLS",
      "#      |          |     |    |           |   |                     |   |   |   |",
    ],
  );
  assertEquals(
    lastLines(7, "function_graph", { "latency-format": true, "funcgraph-cpu": false }),
    [
      "#  _-----=> irqs-off        ",
      "# / _----=> need-resched    ",
      "#| / _---=> hardirq/softirq ",
      "#|| / _--=> preempt-depth   ",
      "#||| /                      ",
      "#||||     DURATION                  FUNCTION CALLS",
      "#||||      |   |                     |   |   |   |",
    ],
  );
});

Deno.test("kernelHeader() widens the picture for thread groups", () => {
  assertEquals(
    lastLines(2, "function", { "record-tgid": true, "irq-info": false }),
    [
      "#           TASK-PID       TGID    CPU#     TIMESTAMP  FUNCTION",
      "#              | |           |       |         |         |",
    ],
  );
});

Deno.test("kernelHeader() leaves out what verbose, context-info and an empty buffer do", () => {
  const start = ["# tracer: function", "#"];
  assertEquals(lastLines(9, "function", { verbose: true }), start);
  assertEquals(lastLines(9, "function", { "context-info": false }), start);
  assertEquals(
    lastLines(9, "function", { "latency-format": true }, { entriesInBuffer: 0 }),
    start,
  );
  assertEquals(lastLines(99, "function", { "latency-format": true, verbose: true }).length, 9);
  assertEquals(lastLines(99, "function", { "latency-format": true }).length, 18);
});

Deno.test("kernelHeader() fills the latency banner from its settings", () => {
  const task = {
    comm: "a task of a long name",
    pid: 7,
    uid: 1,
    nice: -3,
    policy: 1,
    rtPriority: 9,
  };
  const latency = { latency: 81, cpu: 2, preemption: "preempt", task };
  const banner = kernelHeader(
    settingsOf("irqsoff", { "latency-format": true }, { latency, cpus: 4, release: "6.9.0" }),
  ).split("\n");
  assertEquals(banner.slice(2, 7), [
    "# irqsoff latency trace v1.1.5 on 6.9.0",
    "# --------------------------------------------------------------------",
    "# latency: 81 us, #3/3, CPU#2 | (M:preempt VP:0, KP:0, SP:0 HP:0 #P:4)",
    "#    -----------------",
    "#    | task: a task of a long-7 (uid:1 nice:-3 policy:1 rt_prio:9)",
  ]);
});
