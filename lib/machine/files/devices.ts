/**
 * The devices that a guest has of its own: those of `/dev` that every program expects.
 *
 * They are made here, so that nothing of the host's is opened, and random bytes come from the seed.
 *
 * @module
 */
import type { FileStat } from "../../host/files.ts";
import { ENOSPC } from "./errno.ts";

/** A character device such as `/dev/null` that the guest has opened. */
export interface GuestDevice {
  /** Fills `data`; gives how much of it, or a negated errno. */
  read(data: Uint8Array): number;
  /** Takes `data`; gives how much of it, or a negated errno. */
  write(data: Uint8Array): number;
  /** The device's attributes, as `fstat` gives them. */
  readonly stat: FileStat;
}

const STAT: FileStat = {
  kind: "character device",
  size: 0,
  inode: 1,
  mode: 0o666,
  links: 1,
  modified: 0,
};
const takesAll = (data: Uint8Array) => data.length;
const zeros = (data: Uint8Array) => data.fill(0).length;

/** The device at an absolute path without links and dots, if there is one; `random` fills bytes with what the seed gives next. */
export function guestDevice(
  path: string,
  random: (bytes: Uint8Array) => void,
): GuestDevice | undefined {
  const randomBytes = (data: Uint8Array) => {
    random(data);
    return data.length;
  };
  switch (path) {
    case "/dev/null":
      return { read: () => 0, write: takesAll, stat: STAT };
    case "/dev/zero":
      return { read: zeros, write: takesAll, stat: STAT };
    case "/dev/full":
      return { read: zeros, write: () => -ENOSPC, stat: STAT };
    case "/dev/random":
    case "/dev/urandom":
      return { read: randomBytes, write: takesAll, stat: STAT };
    default:
      return undefined;
  }
}
