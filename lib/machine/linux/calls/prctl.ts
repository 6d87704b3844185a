/**
 * `prctl`: what a process tells the kernel of itself, first of all its name, which traces show.
 *
 * @module
 */
import { EFAULT, EINVAL } from "../../files/errno.ts";
import type { Process } from "../process.ts";
import { answerInt, int } from "./arguments.ts";
import { call, type SystemCalls } from "./table.ts";

/** Options of `prctl` (include/uapi/linux/prctl.h). */
const PR_SET_PDEATHSIG = 1, PR_GET_PDEATHSIG = 2, PR_GET_DUMPABLE = 3, PR_SET_DUMPABLE = 4;
const PR_SET_NAME = 15, PR_GET_NAME = 16, PR_SET_NO_NEW_PRIVS = 38, PR_GET_NO_NEW_PRIVS = 39;
const SIGNALS = 64n;
/** Bytes of a task's name with the 0 at its end (TASK_COMM_LEN). */
const NAME_SIZE = 16;

/** The call about attributes of the process. */
export const PRCTL_CALLS: SystemCalls = {
  prctl: call(["int", "address", "int", "int", "int"], (process, [option, value, ...more]) => {
    const { attributes } = process;
    const isZero = more.slice(0, 3).every((each) => each === 0n);
    switch (int(option)) {
      case PR_SET_NAME:
        return setName(process, value);
      case PR_GET_NAME:
        return getName(process, value);
      case PR_SET_PDEATHSIG:
        if (value > SIGNALS) return -EINVAL;
        attributes.deathSignal = int(value);
        return 0;
      case PR_GET_PDEATHSIG:
        return answerInt(process, value, attributes.deathSignal);
      case PR_GET_DUMPABLE:
        return attributes.dumpable;
      case PR_SET_DUMPABLE:
        if (value > 1n) return -EINVAL;
        attributes.dumpable = int(value);
        return 0;
      case PR_SET_NO_NEW_PRIVS:
        if (value !== 1n || !isZero) return -EINVAL;
        attributes.noNewPrivileges = 1;
        return 0;
      case PR_GET_NO_NEW_PRIVS:
        return value === 0n && isZero ? attributes.noNewPrivileges : -EINVAL;
      default:
        process.warnOnce(`prctl option ${int(option)} is not implemented: EINVAL`);
        return -EINVAL;
    }
  }),
};

/** Takes a name up to its 0, or as much of it as a task's name has room for. */
function setName(process: Process, at: bigint): number {
  const bytes: number[] = [];
  while (bytes.length < NAME_SIZE - 1) {
    const byte = process.space.read(at + BigInt(bytes.length), 1)?.[0];
    if (byte === undefined) return -EFAULT;
    if (byte === 0) break;
    bytes.push(byte);
  }
  process.attributes.comm = new Uint8Array(bytes);
  return 0;
}

function getName(process: Process, at: bigint): number {
  const name = new Uint8Array(NAME_SIZE);
  name.set(process.attributes.comm);
  return process.space.write(at, name) ? 0 : -EFAULT;
}
