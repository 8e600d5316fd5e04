/** Capture files: pcap and pcapng, read and written as streams. */
export { CaptureReader } from './reader.js';
export { CaptureWriter } from './writer.js';
export { StreamSource } from './source.js';
export type { CaptureInterface } from './interfaces.js';
export type { CaptureFormat } from './recognise.js';
export type { RegionOptions } from './region.js';
export type { CaptureSource } from './source.js';
export type { CaptureWriterOptions, WriterInterface } from './writer.js';
