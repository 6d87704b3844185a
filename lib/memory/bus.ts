/**
 * The bus: what answers loads and stores where there is no memory.
 *
 * @module
 */

/** What answers at a range of addresses. Offsets are from its start. */
export interface Device {
  /** First address. */
  readonly start: number;
  /** Address behind the last. */
  readonly end: number;
  /** The value of `bytes` at an aligned offset, unsigned; undefined is an access fault. */
  read(offset: number, bytes: number, hart: number): bigint | undefined;
  /** Takes a value, unsigned; false is an access fault. */
  write(offset: number, bytes: number, value: bigint, hart: number): boolean;
}

/** The devices of a machine by address. */
export class Bus {
  readonly #devices: Device[] = [];

  /** Puts a device where there is no memory. */
  attach(device: Device): void {
    this.#devices.push(device);
  }

  /** The device at an address. */
  at(address: number): Device | undefined {
    return this.#devices.find(({ start, end }) => address >= start && address < end);
  }
}
