/** The door of the configuration: a lab file in, a checked lab out, or every mistake of the file at once. */
import { closeSync, openSync, readSync } from 'node:fs';
import { CulvertError } from '../errors.js';
import { checkModel } from '../service/rules.js';
import { compileTopology } from './compile.js';
import { ConfigError, Findings } from './findings.js';
import { resolveGateway } from './gateway.js';
import type { LabConfig } from './model.js';
import { resolveModel } from './resolve.js';
import { asWritten } from './security.js';
import { checkTranslation, resolveSettings } from './settings.js';
import { checkShape } from './shape.js';
import { readSource } from './source.js';

const MAX_OCTETS = 16 * 1024 * 1024;
const FIRST_OCTETS = 64 * 1024;
const RETRY_MS = 5;

/**
 * Reads a lab from text, YAML 1.2 or JSON.
 * @param file the name that mistakes are reported under
 * @throws {ConfigError} CONFIG_INVALID, with every mistake in `problems`
 */
export function parseLab(text: string, file: string): LabConfig {
  const source = readSource(text, file);
  if (source.value === undefined) throw new ConfigError(file, source.problems);
  const checked = checkShape(source.value);
  const findings = new Findings(source, checked);
  const { shape } = checked;
  if (shape === null) throw new ConfigError(file, findings.errors);
  const model = resolveModel(shape, findings);
  checkModel(model, asWritten(shape, findings));
  for (const { message, path } of checkTranslation(shape.translation, shape.gateway.workers)) {
    findings.error('SETTING_RANGE', message, ['translation', ...path]);
  }
  const gateway = resolveGateway(shape.gateway, shape.virtualNetworks, model, findings);
  if (findings.errors.length > 0) throw new ConfigError(file, findings.errors);
  const settings = resolveSettings(shape.translation);
  return { model, topology: compileTopology(model, settings), settings, gateway, warnings: findings.warnings };
}

function readOctets(path: string): Buffer {
  const descriptor = path === '-' ? 0 : openSync(path, 'r');
  try {
    let text = Buffer.allocUnsafe(FIRST_OCTETS);
    let octets = 0;
    // Counted as they come: a pipe or a device tells no size beforehand.
    for (;;) {
      if (octets === text.length) {
        if (octets > MAX_OCTETS) {
          throw new CulvertError('CONFIG_TOO_LARGE', `${path} is too large: a lab file has at most 16 MiB`);
        }
        const larger = Buffer.allocUnsafe(Math.min(2 * octets, MAX_OCTETS + 1));
        text.copy(larger);
        text = larger;
      }
      const count = read(descriptor, text, octets);
      if (count === 0) return text.subarray(0, octets);
      octets += count;
    }
  } finally {
    if (descriptor !== 0) closeSync(descriptor);
  }
}

/** Reads what there is, into the rest of `b`. @returns the count of octets, 0 at the end */
function read(descriptor: number, b: Buffer, at: number): number {
  for (;;) {
    try {
      return readSync(descriptor, b, at, b.length - at, null);
    } catch (error) {
      // Standard input may be in non-blocking mode, set so by another process that shares it.
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS);
    }
  }
}

/**
 * Reads a lab file.
 * @param path a file name; `-` is standard input
 * @throws {ConfigError} CONFIG_INVALID, with every mistake in `problems`; the file that cannot be read is one
 */
export function loadLab(path: string): LabConfig {
  const refuse = (code: string, message: string): ConfigError =>
    new ConfigError(path, [new CulvertError(code, message, { file: path })]);
  let octets: Buffer;
  try {
    octets = readOctets(path);
  } catch (error) {
    if (error instanceof CulvertError) throw refuse(error.code, error.message);
    const { code, message } = error as NodeJS.ErrnoException;
    const reasons: Readonly<Record<string, string>> = {
      ENOENT: 'there is no such file',
      EACCES: 'the file may not be read',
      EISDIR: 'this is a directory; name a YAML or JSON file',
    };
    throw refuse('CONFIG_UNREADABLE', reasons[code ?? ''] ?? message);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    throw refuse('CONFIG_NOT_TEXT', 'the file is not UTF-8 text; is it a capture?');
  }
  if (text.includes('\0')) throw refuse('CONFIG_NOT_TEXT', 'the file is binary, not YAML or JSON; is it a capture?');
  return parseLab(text, path);
}
