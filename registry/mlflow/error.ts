/**
 * Why MLflow did not do what it was asked. Fit for logs: names the call and MLflow's own words for what is wrong, and holds
 * no credentials.
 */
export class MlflowError extends Error {
  override readonly name = 'MlflowError';
  /**
   * MLflow's code, for example `RESOURCE_DOES_NOT_EXIST`, or one of ours: `UNREACHABLE`, `LATE`, `NOT_UNDERSTOOD`, `REDIRECT`,
   * `TOO_LARGE`, `HTTP_<status>`.
   */
  readonly code: string;
  /** Of the answer. Undefined: there was none. */
  readonly status: number | undefined;

  constructor(call: string, what: string, code: string, status?: number) {
    super(`MLflow ${what} (${call})`);
    this.code = code;
    this.status = status;
  }

  /** Whether the same call may go through later. */
  get passes(): boolean {
    if (this.status === undefined) return this.code === 'UNREACHABLE' || this.code === 'LATE';
    return [408, 425, 429, 500, 502, 503, 504].includes(this.status);
  }
}

export const isMissing = (error: unknown): boolean => hasCode(error, 'RESOURCE_DOES_NOT_EXIST');
export const isTaken = (error: unknown): boolean => hasCode(error, 'RESOURCE_ALREADY_EXISTS');

const hasCode = (error: unknown, code: string) => error instanceof MlflowError && error.code === code;
