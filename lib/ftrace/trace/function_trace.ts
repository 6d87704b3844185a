/**
 * The function tracer's recording half: what its callback writes for a call.
 *
 * With none of its options the event is a bare record, which emitted WASM writes on the fast path;
 * each option below keeps it from doing so (`kernel/trace/trace_functions.c select_trace_function`).
 *
 * @module
 */
import type { TracedCall } from "../ops/served_call.ts";
import { type FunctionArguments, functionArgumentsText } from "./function_args.ts";
import type { RingBuffer } from "./ring_buffer.ts";
import type { TraceArray } from "./trace_array.ts";
import type { TraceOptionName } from "./trace_options.ts";

/** Options that need more than a bare record. */
const NEEDS_HOST: readonly TraceOptionName[] = ["func_stack_trace", "func-no-repeats", "func-args"];
/** Most repetitions that one event counts (a u16). */
const MOST_REPEATS = 0xffff;

/** The call recorded last on a hart, and how often it has come since. */
interface LastCall {
  readonly ip: bigint;
  readonly parentIp: bigint;
  count: number;
  time: bigint;
}

/** Makes what records one call (`function_trace_call` and its variants). */
export function createFunctionTrace(
  { buffer, array, parameters, enumNames, pid }: {
    readonly buffer: RingBuffer;
    readonly array: TraceArray;
    readonly parameters: FunctionArguments;
    readonly enumNames: boolean;
    readonly pid: () => number;
  },
): (call: TracedCall) => void {
  const { traceOptions } = array;
  const last: (LastCall | undefined)[] = [];
  traceOptions.onChange((name, value) => {
    if (!NEEDS_HOST.includes(name)) return;
    buffer.requireHost(name, value);
    if (name === "func-no-repeats") last.length = 0;
  });
  /** Whether the call is the one before it again; tells of repetitions that have come to an end. */
  const repeats = ({ hart, ip, parentIp }: TracedCall): boolean => {
    const before = last[hart.id];
    const time = hart.now();
    if (before?.ip === ip && before.parentIp === parentIp && before.count < MOST_REPEATS) {
      before.count++;
      before.time = time;
      return true;
    }
    if (before && before.count > 0) {
      const { ip, parentIp, count, time: lastTime } = before;
      const common = { time, cpu: hart.id, pid: pid(), flags: 0, preemptCount: 0 };
      buffer.write({ ...common, type: "func_repeats", ip, parentIp, count, lastTime });
    }
    last[hart.id] = { ip, parentIp, count: 0, time };
    return false;
  };
  return (call) => {
    const { hart, record, ip, parentIp, fregs } = call;
    const { values } = traceOptions;
    if (values["func-no-repeats"] && buffer.on && repeats(call)) return;
    if (values["func-args"]) {
      const args = functionArgumentsText(
        parameters.get(record.name),
        fregs,
        hart,
        enumNames,
      );
      const common = { time: hart.now(), cpu: hart.id, pid: pid(), flags: 0, preemptCount: 0 };
      buffer.write({ ...common, type: "function", ip, parentIp, args });
    } else {
      buffer.writeFunction(hart.id, hart.now(), ip, parentIp, pid());
    }
    if (values["func_stack_trace"]) array.traceStack(hart, call);
  };
}
