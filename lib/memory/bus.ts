/**
 * The bus: what answers loads and stores where there is no memory.
 *
 * @module
 */

/** A memory-mapped device. Offsets count from its first address. */
export interface Device {
  /** First address of the device's registers. */
  readonly start: number;
  /** First address that is no longer the device's. */
  readonly end: number;
  /** Loads `bytes` bytes at an aligned offset, unsigned; undefined is an access fault. */
  read(offset: number, bytes: number, hart: number): bigint | undefined;
  /** Stores an unsigned value of `bytes` bytes at an aligned offset; false is an access fault. */
  write(offset: number, bytes: number, value: bigint, hart: number): boolean;
}

/** The devices of a machine by address. */
export class Bus {
  readonly #devices: Device[] = [];

  /** Adds a device, at addresses where no memory is mapped. */
  attach(device: Device): void {
    this.#devices.push(device);
  }

  /** The device whose registers an address is among, or undefined. */
  at(address: number): Device | undefined {
    return this.#devices.find(({ start, end }) => address >= start && address < end);
  }
}
