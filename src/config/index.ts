export { ConfigError, formatFinding } from './findings.js';
export { loadLab, parseLab } from './lab.js';
export type { LabConfig, TranslationSettings } from './model.js';
export { labJsonSchema } from './schema.js';
