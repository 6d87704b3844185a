/**
 * The text of the README file: what the files are for, in our own words.
 *
 * @module
 */

/** The text of the `README` file. */
export const README =
  `hartrace's control files: the tracing folder of a RISC-V Linux kernel, for one guest program.

  echo function_graph > current_tracer     trace calls and returns; function: one line a call
  cat trace                                what was traced, as that kernel prints it
  echo > trace                             forget it
  cat trace_pipe                           the same, and each event only once
  echo 0 > tracing_on                      stop storing events; 1 goes on

  available_filter_functions   what can be traced
  set_ftrace_filter            trace only these: names, globs (foo*, *foo*, f?o, [ab]*), numbers of
                               lines above; > replaces, >> adds, !name removes
  set_ftrace_notrace           trace none of these
  set_graph_function           graph only these and what they call; set_graph_notrace: not these
  max_graph_depth              graph so many levels; 0 is all
  func:traceoff[:count]        in set_ftrace_filter: do that when func is called; also traceon,
                               stacktrace, snapshot, dump, cpudump, enable_event:SYS:EVENT
  enabled_functions            what is traced now, by how many, through what

  trace_options, options/      how it is printed and what is recorded
  trace_clock                  which clock
  buffer_size_kb               size of each hart's ring; per_cpu/cpuN for one of them
  snapshot                     echo 1 swaps the buffer for a spare one
  trace_marker                 write text into the trace
  events/SYS/EVENT/            enable, filter, trigger, format of an event
  kprobe_events                p:NAME func+offset ARGS, r:NAME func: probes of one's own
  dynamic_events               the same, and f:NAME func[%return] ARGS: fprobes
  error_log                    what was wrong with the last commands
  /proc/sys/kernel/ftrace_enabled, stack_tracer_enabled

A write that the kernel would refuse fails with the kernel's errno, and a second line says why.
`;
