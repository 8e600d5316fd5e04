/** Finds and loads the native part of the TUN device: a prebuilt binary, else what `scripts/build-native.mjs` built. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { CulvertError } from '../../errors.js';
import { packageRoot } from '../../package-root.js';

/** A queue of an interface, good until closed. */
export type Handle = number;

/** See src/device/tun/native/addon.c. */
export interface TunAddon {
  open(name: string, vnet: boolean, multi: boolean, exclusive: boolean, counters: Float64Array): Handle;
  close(handle: Handle): void;
  name(handle: Handle): string;
  /** TUNSETOFFLOAD. @returns 0 or a negative errno */
  offload(handle: Handle, flags: number): number;
  attachRead(handle: Handle, slab: Buffer, slotOffsets: Int32Array, lengths: Int32Array, slotSize: number): void;
  attachWrite(handle: Handle, slab: Buffer, offsets: Int32Array, lengths: Int32Array): void;
  read(handle: Handle, max: number): number;
  write(handle: Handle, from: number, count: number): number;
  watch(handle: Handle, callback: () => void): void;
  start(handle: Handle): void;
  stop(handle: Handle): void;
  /** Where `tick` puts monotonic milliseconds; one place for all. */
  setClock(time: Float64Array): void;
  tick(): void;
}

let loaded: TunAddon | undefined;

/** @throws CulvertError TUN_ADDON_MISSING, with the command that builds it */
export function loadAddon(): TunAddon {
  loaded ??= load();
  return loaded;
}

function load(): TunAddon {
  const root = packageRoot();
  const places = [
    path.join(root, 'prebuilds', `linux-${process.arch}`, 'culvert_tun.node'),
    path.join(root, 'build', 'Release', 'culvert_tun.node'),
  ];
  const failures: string[] = [];
  for (const file of places) {
    if (!existsSync(file)) continue;
    try {
      return createRequire(import.meta.url)(file) as TunAddon;
    } catch (error) {
      // A binary of another C library or processor: the next one may do.
      failures.push(`${file}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const found = failures.length === 0 ? `neither ${places.join(' nor ')} is there` : failures.join('; ');
  throw new CulvertError(
    'TUN_ADDON_MISSING',
    `the native part of the TUN device could not be loaded (${found}); ` +
      `build it with: node ${path.join(root, 'scripts', 'build-native.mjs')} (needs g++, make, python3)`,
  );
}
