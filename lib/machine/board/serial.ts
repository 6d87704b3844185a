/**
 * A serial port: the 16550A of QEMU's virt board, whose registers do what QEMU's do.
 *
 * The transmitter is always ready: a byte is printed when it is stored. What the receiver gets is
 * the host's input, and the line takes its time: a byte comes 10 µs of the guest's after the one
 * before, while there is room for it, so that a handler which reads all that is there ends. With
 * FIFOs on there is room up to the trigger level, as on QEMU's.
 *
 * The host is asked for input when the guest first looks for it (it enables the receiver's interrupt,
 * or reads the line status) and again when all is taken. Input that comes at once is there at that
 * moment: the guest is held for it, and a run with the same input is the same run. Behind input that
 * is slower the guest runs on, and it comes when it comes.
 *
 * @module
 */
import type { Hart } from "../../hart/hart.ts";
import { settledWithin } from "../../host/yielding.ts";
import type { BoardDevice, DeviceContext, DeviceRow, InterruptLine } from "./device.ts";
import { HostInput } from "./host_input.ts";

/** Offsets: data, interrupt enable, FIFO control (read: interrupt identification), and so on. */
const DATA = 0, ENABLE = 1, FIFO = 2, LINE = 3, MODEM = 4, LINE_STATUS = 5, MODEM_STATUS = 6;
const SCRATCH = 7, REGISTERS = 8;

/** Interrupt enable: data received, transmitter empty, line status, modem status. */
const RECEIVED = 1, EMPTIED = 2, ERRED = 4;
/** Interrupt identification, the most urgent first: line status, time-out, data, transmitter, none. */
const ID_STATUS = 6, ID_TIMEOUT = 12, ID_DATA = 4, ID_TRANSMITTER = 2, ID_NONE = 1;
const ID_FIFOS = 0xc0;
/** FIFO control: on, clear the receiver's, clear the transmitter's. The first sticks, and the level. */
const FIFOS_ON = 1, CLEAR_RECEIVER = 2, CLEAR_TRANSMITTER = 4, FIFO_KEPT = 0xc9;
/** Bytes that the FIFO holds, and those of its trigger levels. */
const FIFO_SIZE = 16, TRIGGERS = [1, 4, 8, 14] as const;
const DIVISOR_ACCESS = 0x80;
/** Modem control: out 2, which reset leaves on, and loopback. */
const OUT2 = 8, LOOPBACK = 0x10;
/** Line status: data ready, overrun, the transmitter's register and shift register empty. */
const READY = 1, OVERRUN = 2, ERRORS = 0x1e, TRANSMITTER_EMPTY = 0x60;
/** Modem status: carrier, data set ready, clear to send. */
const CONNECTED = 0xb0;

/** Hertz of the clock, as QEMU's device tree has it; the divisor divides a 16th of it. */
const CLOCK = 3_686_400;
const RESET_DIVISOR = 12;
/** Nanoseconds of a character at 9600 baud, which reset sets whatever the divisor. */
const RESET_CHARACTER = 1_041_660n;
/** Nanoseconds from one byte of input to the next. */
const BYTE_TIME = 10_000n;
/** Milliseconds that the guest is held for input that it looks for. */
const PATIENCE = 50;

class Serial implements BoardDevice {
  readonly #context: DeviceContext;
  readonly #line: InterruptLine;
  readonly #hart: Hart;
  readonly #input: HostInput;
  /** An answer of the host's that the guest has been held for. */
  #heldFor: Promise<void> | undefined;
  readonly #fifo: number[] = [];
  #received = 0;
  #enabled = 0;
  #identification = ID_NONE;
  #fifoControl = 0;
  #trigger = 1;
  #lineControl = 0;
  #modemControl = OUT2;
  #lineStatus = TRANSMITTER_EMPTY;
  #scratch = 0;
  #divisor = RESET_DIVISOR;
  #characterTime = RESET_CHARACTER;
  #emptied = false;
  #timedOut = false;
  /** When the next byte can come, and when bytes in the FIFO have lain too long: the first hart's time. */
  #nextByte = 0n;
  #timeout: bigint | undefined;

  constructor(context: DeviceContext) {
    this.#context = context;
    this.#line = context.lines[0]!;
    this.#hart = context.harts[0]!;
    this.#input = new HostInput(context.stdin, () => this.#arrived());
  }

  get inputEnded(): boolean {
    return this.#looksForInput && this.#input.ended;
  }

  read(offset: number, _bytes: number): bigint | undefined {
    return offset < REGISTERS ? BigInt(this.#readRegister(offset)) : undefined;
  }

  write(offset: number, _bytes: number, value: bigint): boolean {
    if (offset >= REGISTERS) return false;
    this.#writeRegister(offset, Number(value & 0xffn));
    return true;
  }

  nextEvent(hart: Hart): bigint | undefined {
    if (hart !== this.#hart) return undefined;
    const byte = this.#input.hasByte && this.#hasRoom ? this.#nextByte : undefined;
    const timeout = this.#timeout;
    if (byte === undefined || timeout === undefined) return byte ?? timeout;
    return byte < timeout ? byte : timeout;
  }

  advance(hart: Hart): void {
    const now = hart.now();
    if (this.#timeout !== undefined && this.#timeout <= now) {
      this.#timeout = undefined;
      this.#timedOut = this.#fifo.length > 0;
      this.#update();
    } else if (this.#input.hasByte && this.#hasRoom && this.#nextByte <= now) {
      this.#nextByte = now + BYTE_TIME;
      this.#receive(this.#input.take());
      if (this.#looksForInput) this.#ask();
    }
  }

  serve(): Promise<undefined> | undefined {
    this.#input.rethrow();
    const { arriving } = this.#input;
    if (!arriving || arriving === this.#heldFor) return undefined;
    this.#heldFor = arriving;
    return settledWithin(arriving, PATIENCE).then(() => undefined);
  }

  awaitedInput(isLastHope: boolean): Promise<void> | undefined {
    this.#input.rethrow();
    if (!this.#looksForInput || !this.#hasRoom) return undefined;
    if (isLastHope) this.#input.ask();
    return this.#input.arriving;
  }

  /** Whether the guest is to be interrupted by input. */
  get #looksForInput(): boolean {
    return (this.#enabled & RECEIVED) !== 0;
  }

  get #hasFifos(): boolean {
    return (this.#fifoControl & FIFOS_ON) !== 0;
  }

  get #hasRoom(): boolean {
    if ((this.#modemControl & LOOPBACK) !== 0) return false;
    if (!this.#hasFifos) return (this.#lineStatus & READY) === 0;
    const { length } = this.#fifo;
    return length < this.#trigger || (length > this.#trigger && length < FIFO_SIZE);
  }

  #ask(): void {
    if (this.#context.stdinWhen === "waiting" || !this.#hasRoom) return;
    this.#input.ask();
    if (this.#input.arriving && this.#input.arriving !== this.#heldFor) {
      this.#context.requestService();
    }
  }

  #arrived(): void {
    const now = this.#hart.now();
    if (this.#nextByte < now) this.#nextByte = now;
    this.#context.reschedule();
  }

  #readRegister(register: number): number {
    const isDivisor = (this.#lineControl & DIVISOR_ACCESS) !== 0;
    switch (register) {
      case DATA:
        return isDivisor ? this.#divisor & 0xff : this.#readData();
      case ENABLE:
        return isDivisor ? this.#divisor >> 8 : this.#enabled;
      case FIFO:
        return this.#identify();
      case LINE:
        return this.#lineControl;
      case MODEM:
        return this.#modemControl;
      case LINE_STATUS:
        return this.#readLineStatus();
      case MODEM_STATUS:
        return this.#modemStatus();
      default:
        return this.#scratch;
    }
  }

  #writeRegister(register: number, value: number): void {
    const isDivisor = (this.#lineControl & DIVISOR_ACCESS) !== 0;
    switch (register) {
      case DATA:
        if (isDivisor) this.#setDivisor(this.#divisor & 0xff00 | value);
        else this.#transmit(value);
        return;
      case ENABLE:
        if (isDivisor) this.#setDivisor(this.#divisor & 0xff | value << 8);
        else this.#enable(value & 0xf);
        return;
      case FIFO:
        return this.#controlFifos(value);
      case LINE:
        this.#lineControl = value;
        return this.#setDivisor(this.#divisor);
      case MODEM:
        this.#modemControl = value & 0x1f;
        return;
      case SCRATCH:
        this.#scratch = value;
    }
  }

  #readData(): number {
    let value = this.#received;
    if (this.#hasFifos) {
      value = this.#fifo.shift() ?? 0;
      this.#timedOut = false;
      if (this.#fifo.length > 0) this.#startTimeout();
    }
    if (!this.#hasFifos || this.#fifo.length === 0) this.#lineStatus &= ~READY;
    // The line has been idle while there was no room.
    const soonest = this.#hart.now() + BYTE_TIME;
    if (this.#nextByte < soonest) this.#nextByte = soonest;
    this.#update();
    return value;
  }

  #readLineStatus(): number {
    const value = this.#lineStatus;
    if ((value & READY) === 0) this.#ask();
    if ((value & OVERRUN) !== 0) {
      this.#lineStatus &= ~OVERRUN;
      this.#update();
    }
    return value;
  }

  /** In loopback the outputs are the inputs: RTS is CTS, DTR is DSR, OUT1 is RI, OUT2 is DCD. */
  #modemStatus(): number {
    const control = this.#modemControl;
    if ((control & LOOPBACK) === 0) return CONNECTED;
    return (control & 0xc) << 4 | (control & 2) << 3 | (control & 1) << 5;
  }

  /** Says why it interrupts; that the transmitter is empty is then known. */
  #identify(): number {
    const value = this.#identification;
    if ((value & 0xf) === ID_TRANSMITTER) {
      this.#emptied = false;
      this.#update();
    }
    return value;
  }

  #transmit(value: number): void {
    this.#emptied = false;
    this.#update();
    this.#emptied = true;
    if ((this.#modemControl & LOOPBACK) !== 0) this.#receive(value);
    else this.#context.stdout(new Uint8Array([value]));
    this.#update();
  }

  #enable(value: number): void {
    const changed = this.#enabled ^ value;
    this.#enabled = value;
    if ((changed & EMPTIED) !== 0) this.#emptied = (value & EMPTIED) !== 0;
    if (changed !== 0) this.#update();
    if (this.#looksForInput) this.#ask();
  }

  #controlFifos(value: number): void {
    const switched = (value ^ this.#fifoControl) & FIFOS_ON;
    if (switched || (value & CLEAR_RECEIVER) !== 0) {
      this.#lineStatus &= ~READY;
      this.#timeout = undefined;
      this.#timedOut = false;
      this.#fifo.length = 0;
    }
    if (switched || (value & CLEAR_TRANSMITTER) !== 0) this.#emptied = true;
    this.#fifoControl = value & FIFO_KEPT;
    if (this.#hasFifos) this.#trigger = TRIGGERS[value >> 6]!;
    this.#update();
  }

  #setDivisor(divisor: number): void {
    this.#divisor = divisor;
    if (divisor === 0) return;
    const control = this.#lineControl;
    const bits = 7 + (control & 3) + (control >> 2 & 1) + (control >> 3 & 1);
    this.#characterTime = BigInt(Math.floor(1e9 * bits * divisor / (CLOCK / 16)));
  }

  /** Takes a byte from the line, or from the transmitter in loopback. */
  #receive(value: number): void {
    if (this.#hasFifos) {
      if (this.#fifo.length < FIFO_SIZE) this.#fifo.push(value);
      else this.#lineStatus |= OVERRUN;
      this.#startTimeout();
    } else {
      if ((this.#lineStatus & READY) !== 0) this.#lineStatus |= OVERRUN;
      this.#received = value;
    }
    this.#lineStatus |= READY;
    this.#update();
  }

  /** Bytes that nobody reads for as long as four characters take are told of, however few. */
  #startTimeout(): void {
    this.#timeout = this.#hart.now() + 4n * this.#characterTime;
  }

  /** Works out what it interrupts for. A line that stays up is raised anew. */
  #update(): void {
    const why = this.#reason();
    this.#identification = why | (this.#hasFifos ? ID_FIFOS : 0);
    this.#line.set(why !== ID_NONE);
  }

  #reason(): number {
    const enabled = this.#enabled;
    const status = this.#lineStatus;
    if ((enabled & ERRED) !== 0 && (status & ERRORS) !== 0) return ID_STATUS;
    if ((enabled & RECEIVED) !== 0) {
      if (this.#timedOut) return ID_TIMEOUT;
      const enough = !this.#hasFifos || this.#fifo.length >= this.#trigger;
      if ((status & READY) !== 0 && enough) return ID_DATA;
    }
    return (enabled & EMPTIED) !== 0 && this.#emptied ? ID_TRANSMITTER : ID_NONE;
  }
}

/** Prints what is stored to its first byte, and receives the host's input there. */
export const SERIAL: DeviceRow = {
  name: "serial",
  compatible: ["ns16550a"],
  regions: [{ start: 0x10000000, size: 0x100 }],
  interrupts: () => [{ source: 10 }],
  properties: { "clock-frequency": [CLOCK] },
  create: (context) => new Serial(context),
};
