/**
 * A serial port: the transmitter of an NS16550A where QEMU's virt board has one, always ready.
 *
 * @module
 */
import type { DeviceRow } from "./device.ts";

/** Offsets: the transmitter's register, and the line status. */
const TRANSMIT = 0, LINE_STATUS = 5;
/** Line status: the transmitter is empty, and can take a byte. */
const READY = 0x60n;

/** What is stored to its first byte is printed; nothing is ever received. */
export const SERIAL: DeviceRow = {
  name: "serial",
  compatible: ["ns16550a"],
  regions: [{ start: 0x10000000, size: 0x100 }],
  interrupts: () => [],
  create: ({ stdout }) => ({
    read: (offset) => offset === LINE_STATUS ? READY : 0n,
    write(offset, _bytes, value) {
      if (offset === TRANSMIT) stdout(new Uint8Array([Number(value & 0xffn)]));
      return true;
    },
  }),
};
