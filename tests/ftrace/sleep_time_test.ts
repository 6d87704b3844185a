import { assert, assertEquals } from "@std/assert";
import { builtInTracers } from "../../trace.ts";
import { fixture, hartrace } from "../cli/command_line.ts";
import { graph, traced } from "./guest.ts";

const NAP = fixture("nap_p84");
/** Nanoseconds that nap() takes: what it sleeps, and its instructions. */
const SLEPT = 2_000_000n, WORKED = 11n;

Deno.test("time stamps go on over what the guest sleeps", async () => {
  const { ftrace, run } = await traced("nap_p84");
  ftrace.registerFtraceFunction({ func: ftrace.functionTraceCall });
  await run();
  const times = new Map(
    [...ftrace.events()].map((event) =>
      event.type === "function" ? [ftrace.symbol(event.ip), event.time] as const : ["", 0n] as const
    ),
  );
  assert(times.get("print")! - times.get("nap")! >= SLEPT);
});

for (const sleepTime of [true, false]) {
  const duration = sleepTime ? SLEPT + WORKED : WORKED;
  const option = sleepTime ? "sleep-time" : "nosleep-time";

  Deno.test(`the graph's durations follow ${option}`, async () => {
    const { ftrace, run } = await traced("nap_p84");
    ftrace.traceOptions.write(option);
    graph(ftrace);
    await run();
    const exits = [...ftrace.events()].flatMap((event) =>
      event.type === "funcgraph_exit" && ftrace.symbol(event.func) === "nap"
        ? [event.returnTime - event.callTime]
        : []
    );
    assertEquals(exits, [duration]);
  });

  Deno.test(`function_profile, hist, watch and args follow ${option}`, async () => {
    const shown: Readonly<Record<string, [string[], string]>> = {
      function_profile: [[], `nap +1 +${sleepTime ? "2000.011" : "0.011"} us`],
      hist: [["--set", "hist.at=nap"], `nap: duration of 1 call, average ${duration} ns`],
      watch: [["--set", `watch.when=duration > ${duration - 1n}`, "--set", "watch.at=nap"], "nap"],
      args: [["--set", "args.of=void nap(long n)", "--set", "args.time=1"], `<${duration} ns>`],
    };
    for (const [name, [more, expected]] of Object.entries(shown)) {
      assert((await builtInTracers()).some((tracer) => tracer.name === name), name);
      const { stdout } = await hartrace(["-q", "-p", name, "-O", option, ...more, NAP]);
      assert(new RegExp(expected).test(stdout), `${name}: ${stdout}`);
    }
  });
}

Deno.test("an fprobe's handlers see the time that the guest has slept pass", async () => {
  const { ftrace, run } = await traced("nap_p84");
  const times: bigint[] = [];
  const note = () => void times.push(ftrace.guest.now());
  ftrace.registerFprobe({ entryHandler: note, exitHandler: note }, "nap");
  await run();
  assertEquals(times[1]! - times[0]!, SLEPT + WORKED);
});
