/**
 * A board: the devices of a map, wired to memory, harts and virtual time.
 *
 * Nothing here knows a device. Rows are checked for overlaps, then each device is made, its regions
 * answer loads and stores, its lines lead to interrupt inputs, and its events are the queue's.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { PAGE_SIZE } from "../../memory/page.ts";
import type { Outcome } from "../outcome.ts";
import type { PlatformContext } from "../platform.ts";
import type {
  BoardDevice,
  BoardMap,
  DeviceContext,
  DeviceRow,
  InterruptInput,
  InterruptLine,
  Region,
} from "./device.ts";
import { type MemoryMap, overlaps } from "./memory_map.ts";
import { InterruptInputs } from "./interrupt_inputs.ts";

/** Bits of mie: the external interrupts, which an interrupt controller raises. */
const EXTERNAL = 0xa00n;

/** The devices of one machine. */
export class Board {
  readonly #context: PlatformContext;
  readonly #ram: Region;
  readonly #inputs: InterruptInputs;
  readonly #devices: BoardDevice[] = [];
  readonly #wired: Disposable[] = [];
  /** Words of RAM whose stores a device looks at. */
  readonly #watched: Disposable[] = [];

  /**
   * Makes and resets the devices of `map` beside `memory`.
   *
   * @throws {RangeError} If two of them, or one and memory, want the same addresses.
   * @throws {SyntaxError} If a device cannot be what the firmware's symbols say.
   */
  constructor(map: BoardMap, memory: MemoryMap, context: PlatformContext) {
    checkRegions(map, memory);
    this.#context = context;
    this.#ram = memory.ram;
    this.#inputs = new InterruptInputs(context.harts);
    for (const row of map.devices) {
      if (row.isPresent?.(context.symbols) ?? true) this.#devices.push(this.#wire(row));
    }
    for (const device of this.#devices) device.reset?.();
  }

  /** Lets every device do what it has put off; the first outcome ends the run. */
  serve(): Outcome | undefined | Promise<Outcome | undefined> {
    const waiting: Promise<Outcome | undefined>[] = [];
    for (const device of this.#devices) {
      const served = device.serve?.();
      if (served instanceof Promise) waiting.push(served);
      else if (served) return served;
    }
    if (waiting.length === 0) return undefined;
    return Promise.all(waiting).then((outcomes) => outcomes.find((outcome) => outcome));
  }

  /** Settles when input has come that may end a wait; see {@linkcode BoardDevice.awaitedInput}. */
  awaitedInput(isLastHope: boolean): Promise<void> | undefined {
    const awaited = this.#devices.flatMap((device) => device.awaitedInput?.(isLastHope) ?? []);
    return awaited.length === 0 ? undefined : Promise.race(awaited);
  }

  /** Whether a device's input of the host's has come to its end. */
  get inputEnded(): boolean {
    return this.#devices.some(({ inputEnded }) => inputEnded);
  }

  /** Takes the devices off the event queue and off memory's stores. */
  [Symbol.dispose](): void {
    for (const wire of this.#wired.splice(0)) wire[Symbol.dispose]();
    for (const watched of this.#watched.splice(0)) watched[Symbol.dispose]();
  }

  #wire(row: DeviceRow): BoardDevice {
    const { memory } = this.#context;
    const device = row.create(this.#contextOf(row));
    row.regions.forEach(({ start, size }, region) => {
      memory.bus.attach({
        start,
        end: start + size,
        read: (offset, bytes, hart) =>
          this.#access(device, () => device.read ? device.read(offset, bytes, hart, region) : 0n),
        write: (offset, bytes, value, hart) =>
          this.#access(device, () => device.write?.(offset, bytes, value, hart, region) ?? true),
      });
    });
    if (device.nextEvent) this.#wired.push(this.#context.events.add(this.#eventsOf(row, device)));
    return device;
  }

  /** Accesses a register; what the device does next by itself may be at another time then. */
  #access<Result>(device: BoardDevice, access: () => Result): Result {
    if (!device.nextEvent) return access();
    const { harts, events, requestService } = this.#context;
    const before = harts.map((hart) => device.nextEvent!(hart));
    const result = access();
    if (harts.some((hart, k) => device.nextEvent!(hart) !== before[k])) {
      events.reschedule();
      requestService();
    }
    return result;
  }

  /** A line to an input. @throws {RangeError} If there is none such. */
  #connect(name: string, input: InterruptInput): InterruptLine {
    if (!("source" in input)) return this.#inputs.connect(input);
    const controller = this.#devices.find(({ connect }) => connect);
    if (controller) return controller.connect!(input.source);
    throw new RangeError(
      `Cannot connect ${name} to source ${input.source}: no interrupt controller is before it in ` +
        "the board's table",
    );
  }

  #contextOf(row: DeviceRow): DeviceContext {
    const { harts, space, symbols, options, events, requestService, memory } = this.#context;
    return {
      harts,
      space,
      ram: this.#ram,
      symbols,
      lines: row.interrupts(harts.length).map((input) => this.#connect(row.name, input)),
      stdin: options.stdin,
      stdinWhen: options.stdinWhen ?? "looking",
      stdout: (data) => options.stdout?.(data),
      stderr: (data) => options.stderr?.(data),
      warn: (line) => options.warn?.(line),
      watchStores: (address, stored) => {
        const near = (at: number) => at > address - 8 && at < address + 8;
        // A store has at most 8 bytes.
        const listen = (at: number) => near(at) ? stored() : undefined;
        this.#watched.push(memory.watch.watchStores(Math.floor(address / PAGE_SIZE), listen));
      },
      requestService,
      reschedule: () => events.reschedule(),
    };
  }

  #eventsOf(row: DeviceRow, device: BoardDevice) {
    const { harts } = this.#context;
    const inputs = row.interrupts(harts.length);
    const isEnabled = () =>
      inputs.some((input) =>
        "source" in input
          ? harts.some(({ system }) => (system!.mie & EXTERNAL) !== 0n)
          : (harts[input.hart]!.system!.mie >> BigInt(input.interrupt) & 1n) === 1n
      );
    return {
      name: row.name,
      nextEvent: (hart: Hart) => device.nextEvent?.(hart),
      advance: (hart: Hart) => device.advance?.(hart),
      mayWake: (hart: Hart) => device.mayWake ? device.mayWake(hart) : isEnabled(),
    };
  }
}

/** Refuses a map in which two things want the same addresses; the tracing range goes elsewhere. */
function checkRegions({ devices }: BoardMap, memory: MemoryMap): void {
  const taken = memory.all.map((region) => {
    return { name: region === memory.ram ? "RAM" : "memory", ...region };
  });
  for (const { name, regions } of devices) {
    for (const region of regions) {
      const { start } = region;
      const other = taken.find((each) => overlaps(each, region));
      if (other) {
        throw new RangeError(
          `Cannot put ${name} at 0x${start.toString(16)}: ${other.name} is there`,
        );
      }
      taken.push({ name, ...region });
    }
  }
}
