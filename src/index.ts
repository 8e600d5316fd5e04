/** The public API: named re-exports, nothing else. Octet-level parts are in `culvert-net/wire`. */
export { CulvertError, type ErrorPlace } from './errors.js';

export { ABSORBED, FORWARD, HELD, REASONS, reasonOf, type Reason } from './packet/verdict.js';
export { TO_CONSUMER, TO_PROVIDER, type Outbox } from './packet/outbox.js';

export {
  CaptureReader,
  CaptureWriter,
  StreamSource,
  type CaptureFormat,
  type CaptureInterface,
  type CaptureSource,
  type CaptureWriterOptions,
  type RegionOptions,
  type WriterInterface,
} from './capture/index.js';

export { GONE, HEADROOM, MAX_BURST, SUPER_PACKET } from './device/device.js';
export type { DeviceCounters, Offload, PacketDevice } from './device/device.js';
export { TunDevice } from './device/tun/tun-device.js';
export type { TunOptions } from './device/tun/options.js';
export { memoryPair, type MemoryDevice, type MemoryOptions } from './device/memory.js';
export { ImpairedDevice, type ImpairOptions } from './device/impair.js';
export type { Impairment, LineCounters } from './device/impaired-line.js';

export { Translator } from './translate/translator.js';
export type { Endpoint, Link, Tables } from './translate/tables.js';
export { LIFTED, Recording, SIDE_LIFTED } from './translate/recording.js';
export { DEFAULT_OPTIONS, TIMEOUT_PROFILES, type Timeouts, type TranslatorOptions } from './translate/options.js';
export type {
  Distribution,
  EndpointSpec,
  LinkSpec,
  ProbeRef,
  ProxySpec,
  RuleSpec,
  Topology,
} from './translate/topology.js';

export { ConfigError, loadLab, parseLab, type LabConfig, type TranslationSettings } from './config/index.js';

export { Replay, type OnProgress, type ReplayPlan, type ReplayResult } from './replay/replay.js';
export { reportOf, type ReplayReport } from './replay/report.js';
export { optionsOf } from './replay/settings.js';
export type { AdoptOptions } from './replay/adopt.js';
