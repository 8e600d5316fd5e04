/**
 * A TUN interface of the Linux kernel: what the kernel routes into it is read here, and what is written here the kernel
 * takes for received. It lives as long as it is open.
 */
import { CulvertError } from '../../errors.js';
import { type DeviceCounters, HEADROOM, NO_OFFLOAD, type Offload, type PacketDevice, SUPER_PACKET } from '../device.js';
import { type Handle, loadAddon, type TunAddon } from './addon.js';
import { configureInterface } from './ip-command.js';
import { checkOptions, DEFAULT_MTU, type TunOptions } from './options.js';

// linux/if_tun.h. USO is taken for IPv4 and IPv6 together or not at all (kernel 6.2 and later).
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_USO4 = 0x20;
const TUN_F_USO6 = 0x40;

/** From all that is wanted down to nothing: older kernels refuse flags that they do not know. */
const OFFLOAD_STEPS: readonly { readonly flags: number; readonly offload: Offload }[] = [
  { flags: TUN_F_CSUM | TUN_F_TSO4 | TUN_F_USO4 | TUN_F_USO6, offload: { csum: true, tso4: true, uso4: true } },
  { flags: TUN_F_CSUM | TUN_F_TSO4, offload: { csum: true, tso4: true, uso4: false } },
  { flags: TUN_F_CSUM, offload: { csum: true, tso4: false, uso4: false } },
  { flags: 0, offload: NO_OFFLOAD },
];

/** As in native/queue.h. */
const BAD_SLOT = -2;
const COUNTERS = 7;
const MAX_QUEUES = 256;

const NO_BUFFER = Buffer.alloc(0);
const NO_NUMBERS = new Int32Array(0);

export class TunDevice implements PacketDevice {
  readonly name: string;
  readonly mtu: number;
  readonly offload: Offload;
  readonly headroom = HEADROOM;
  private readonly addon: TunAddon;
  private readonly handle: Handle;
  private readonly counts: Float64Array;
  private closed = false;
  private watched = false;
  // What the addon knows the memory of; the length tells a buffer that was transferred away.
  private readSlab: Buffer = NO_BUFFER;
  private readSlabLength = 0;
  private readOffsets: Int32Array = NO_NUMBERS;
  private readLengths: Int32Array = NO_NUMBERS;
  private readEntries = 0;
  private readSlotSize = 0;
  private writeSlab: Buffer = NO_BUFFER;
  private writeSlabLength = 0;
  private writeOffsets: Int32Array = NO_NUMBERS;
  private writeLengths: Int32Array = NO_NUMBERS;
  private writeEntries = 0;

  private constructor(addon: TunAddon, handle: Handle, mtu: number, offload: Offload, counts: Float64Array) {
    this.addon = addon;
    this.handle = handle;
    this.name = addon.name(handle);
    this.mtu = mtu;
    this.offload = offload;
    this.counts = counts;
  }

  /**
   * Makes the interface, sets it up and brings it up. Needs CAP_NET_ADMIN.
   * @throws CulvertError TUN_OPTION_INVALID, TUN_ADDON_MISSING, TUN_NOT_PERMITTED, TUN_NAME_TAKEN, TUN_UNAVAILABLE,
   *   IP_COMMAND_MISSING, IP_COMMAND_FAILED; nothing is left behind
   */
  static open(options: TunOptions = {}): TunDevice {
    checkOptions(options);
    return set([TunDevice.openQueue(options, options.name ?? '', false, false)], options)[0]!;
  }

  /**
   * The same with several queues (IFF_MULTI_QUEUE), over which the kernel spreads flows; the interface goes when the
   * last one is closed.
   * @param queues 1 to 256
   */
  static openQueues(queues: number, options: TunOptions = {}): TunDevice[] {
    checkOptions(options);
    if (!(Number.isInteger(queues) && queues >= 1 && queues <= MAX_QUEUES))
      throw new CulvertError('TUN_OPTION_INVALID', `TUN device: queues is ${queues}; wanted: 1 to ${MAX_QUEUES}`);
    const opened: TunDevice[] = [];
    try {
      for (let i = 0; i < queues; i++)
        opened.push(TunDevice.openQueue(options, opened[0]?.name ?? options.name ?? '', true, false));
    } catch (error) {
      for (const device of opened) device.close();
      throw error;
    }
    return set(opened, options);
  }

  /**
   * Opens one queue of an interface that has several, each with a thread of its own. All are opened before the interface
   * is set up (`configureInterface`), since that may move it to where this thread does not find it.
   * @param first makes the interface, which must not be there yet
   */
  static attachQueue(first: boolean, options: TunOptions & { readonly name: string }): TunDevice {
    checkOptions(options);
    return TunDevice.openQueue(options, options.name, true, first);
  }

  private static openQueue(options: TunOptions, name: string, multi: boolean, exclusive: boolean): TunDevice {
    const addon = loadAddon();
    const counts = new Float64Array(COUNTERS);
    const wanted = options.offload === true;
    let handle: Handle;
    try {
      handle = addon.open(name, wanted, multi, exclusive, counts);
    } catch (error) {
      throw openError(error, name);
    }
    const offload = wanted ? negotiate(addon, handle) : NO_OFFLOAD;
    return new TunDevice(addon, handle, options.mtu ?? DEFAULT_MTU, offload, counts);
  }

  read(slab: Buffer, slotOffsets: Int32Array, slotSize: number, lengths: Int32Array, max: number): number {
    if (
      slab !== this.readSlab ||
      slotOffsets !== this.readOffsets ||
      lengths !== this.readLengths ||
      slotSize !== this.readSlotSize ||
      slab.length !== this.readSlabLength ||
      Math.min(slotOffsets.length, lengths.length) !== this.readEntries
    )
      this.attachRead(slab, slotOffsets, slotSize, lengths);
    const n = this.addon.read(this.handle, max);
    if (n === BAD_SLOT) throw new RangeError(`${this.name}: a slot for reading does not lie in the slab`);
    return n;
  }

  write(slab: Buffer, offsets: Int32Array, lengths: Int32Array, from: number, count: number): number {
    if (
      slab !== this.writeSlab ||
      offsets !== this.writeOffsets ||
      lengths !== this.writeLengths ||
      slab.length !== this.writeSlabLength ||
      Math.min(offsets.length, lengths.length) !== this.writeEntries
    )
      this.attachWrite(slab, offsets, lengths);
    return this.addon.write(this.handle, from, count);
  }

  onReadable(callback: () => void): void {
    if (this.closed) return;
    this.addon.watch(this.handle, callback);
    this.watched = true;
  }

  start(): void {
    if (!this.watched) throw new CulvertError('TUN_NOT_WATCHED', `${this.name}: start() before onReadable()`);
    this.addon.start(this.handle);
  }

  stop(): void {
    this.addon.stop(this.handle);
  }

  close(): void {
    this.closed = true;
    this.addon.close(this.handle);
    this.readSlab = this.writeSlab = NO_BUFFER;
  }

  get counters(): DeviceCounters {
    const [readPackets, readOctets, writtenPackets, writtenOctets, readErrors, writeErrors, full] = this.counts;
    return {
      readPackets: readPackets!,
      readOctets: readOctets!,
      writtenPackets: writtenPackets!,
      writtenOctets: writtenOctets!,
      readErrors: readErrors!,
      writeErrors: writeErrors!,
      full: full!,
    };
  }

  private attachRead(slab: Buffer, slotOffsets: Int32Array, slotSize: number, lengths: Int32Array): void {
    if (this.closed) return;
    const needed = this.offload.tso4 || this.offload.uso4 ? SUPER_PACKET : this.mtu;
    if (slotSize < needed) throw new RangeError(`${this.name}: slots of ${slotSize} octets; ${needed} are needed`);
    this.addon.attachRead(this.handle, slab, slotOffsets, lengths, slotSize);
    this.readSlab = slab;
    this.readSlabLength = slab.length;
    this.readOffsets = slotOffsets;
    this.readLengths = lengths;
    this.readEntries = Math.min(slotOffsets.length, lengths.length);
    this.readSlotSize = slotSize;
  }

  private attachWrite(slab: Buffer, offsets: Int32Array, lengths: Int32Array): void {
    if (this.closed) return;
    this.addon.attachWrite(this.handle, slab, offsets, lengths);
    this.writeSlab = slab;
    this.writeSlabLength = slab.length;
    this.writeOffsets = offsets;
    this.writeLengths = lengths;
    this.writeEntries = Math.min(offsets.length, lengths.length);
  }
}

function negotiate(addon: TunAddon, handle: Handle): Offload {
  return OFFLOAD_STEPS.find(({ flags }) => addon.offload(handle, flags) === 0)?.offload ?? NO_OFFLOAD;
}

/** Sets up the interface behind these queues, or closes them all. */
function set(queues: TunDevice[], options: TunOptions): TunDevice[] {
  try {
    configureInterface(queues[0]!.name, options);
    return queues;
  } catch (error) {
    for (const queue of queues) queue.close();
    throw error;
  }
}

function openError(error: unknown, name: string): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const what = `TUN device ${name === '' ? '' : `${name}: `}${error.message}`;
  const { code } = error;
  const make = (ours: string, advice: string): CulvertError =>
    new CulvertError(ours, `${what}; ${advice}`, {}, { cause: error });
  if (code === 'EPERM' || code === 'EACCES') return make('TUN_NOT_PERMITTED', 'run as root, or with CAP_NET_ADMIN');
  // EINVAL: there is an interface of that name, and it is no TUN device, or one of another number of queues.
  if (code === 'EBUSY' || code === 'EEXIST' || (code === 'EINVAL' && name !== ''))
    return make('TUN_NAME_TAKEN', 'an interface of that name is there already');
  if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO')
    return make('TUN_UNAVAILABLE', 'the kernel has no TUN device: modprobe tun, or give the container /dev/net/tun');
  return make('TUN_UNAVAILABLE', 'the kernel refused');
}
