/** What the management interface answers when it refuses, as an error of ours. */
import { CulvertError } from '../errors.js';

export interface ApiErrorDetail {
  readonly code: string;
  readonly message: string;
  readonly target?: string;
}

export class ApiError extends CulvertError {
  /** HTTP status. */
  readonly status: number;
  readonly details: readonly ApiErrorDetail[];

  constructor(status: number, code: string, message: string, details: readonly ApiErrorDetail[] = []) {
    // The first detail is what the message tells already.
    super(code, [message, ...details.slice(1).map((each) => `  ${each.code}: ${each.message}`)].join('\n'));
    this.name = 'ApiError';
    this.status = status;
    this.details = details;
  }
}
